"""What is logged, and that no secret is: not in a log, an error, a page, Redis or the OpenAPI document."""

import json
import logging
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.access.cookies import ROTATE_S
from app.logs import Json, Pretty, fields, request_id
from tests.client import Client, events
from tests.commands import headstart
from tests.recorder import Recorder, refuse
from tests.running import Process, RedisProcess, free_port, server, until

UPSTREAM_KEY = "sk-planted-" + secrets.token_hex(12)
ADMIN_KEY = "planted-admin-" + secrets.token_hex(12)
QUESTION = "a question that nobody writes down"


@dataclass
class Traffic:
    """A client of a server, which keeps everything that comes back except the cookies that it is given."""

    url: str
    heard: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    planted: list[str] = field(default_factory=lambda: [UPSTREAM_KEY, ADMIN_KEY])

    def __call__(self, method: str, path: str, http: httpx2.Client | None = None, **given: Any) -> httpx2.Response:
        response = (
            httpx2.request(method, self.url + path, **given) if http is None else http.request(method, path, **given)
        )
        for cookie in response.headers.get_list("set-cookie"):
            self.planted.append(cookie.partition("=")[2].partition(";")[0])
        said = {name: value for name, value in response.headers.items() if name != "set-cookie"}
        self.heard.append(f"{said}\n{response.text}")
        self.ids.append(response.headers["x-request-id"])
        return response


@pytest.fixture
def served(redis: RedisProcess, upstream: Recorder, tmp_path: Path) -> Iterator[Process]:
    """A server that logs everything, as JSON."""
    environment = {
        "ANTHROPIC_API_KEY": UPSTREAM_KEY,
        "ANTHROPIC_BASE_URL": upstream.url,
        "HEADSTART_REDIS_URL": redis.url,
        "HEADSTART_ADMIN_KEY": ADMIN_KEY,
        "HEADSTART_LOG_LEVEL": "debug",
        "HEADSTART_LOG_FORMAT": "json",
        "HEADSTART_UPSTREAM_RETRIES": "0",
        "HEADSTART_CORS_ORIGINS": "https://front.example",
    }
    with server(log=tmp_path / "log", HEADSTART_PORT=str(free_port()), **environment) as running:
        running.wait_ready()
        yield running


def lines(served: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in served.log.read_text().splitlines()]


def of_requests(served: Process) -> list[dict[str, Any]]:
    return [line for line in lines(served) if line["logger"] == "headstart.request" and line["level"] == "info"]


def a_session(traffic: Traffic, http: httpx2.Client) -> str:
    documents = [{"title": "a.txt", "text": "Alpha. " * 50}]
    traffic("POST", "/api/contexts", http, json={"name": "docs", "documents": documents})
    return str(traffic("POST", "/api/sessions", http, json={"context": "docs"}).json()["session"])


def good_and_bad(traffic: Traffic, http: httpx2.Client, upstream: Recorder, key: str) -> None:
    """A day of traffic, in short."""
    session = a_session(traffic, http)
    path = f"/api/sessions/{session}"
    traffic("POST", f"{path}/warm", http, json={"wait": True})
    repeating = f"invalid x-api-key: {UPSTREAM_KEY}"
    for refusal in (None, refuse(401, "authentication_error", repeating), refuse(500, "api_error", repeating)):
        if refusal is not None:
            upstream.script.append(refusal)
        traffic("POST", f"{path}/ask", http, json={"question": QUESTION})
    traffic("POST", f"{path}/ask", http, json={"question": "\0" + QUESTION})
    traffic("POST", f"{path}/ask", http, content=b"{" + key.encode())
    traffic("GET", path, http)
    everyone = [{}, {"authorization": f"Bearer {key}"}, {"authorization": f"Bearer {ADMIN_KEY}"}]
    everyone += [{"authorization": f"Bearer {key[:-1]}"}, {"authorization": f"Basic {ADMIN_KEY}"}]
    everyone += [{"origin": "https://evil.example"}, {"origin": "https://front.example"}, {"accept": "text/html"}]
    for headers in everyone:
        for wanted in ("/", "/dashboard", "/docs", "/openapi.json", "/metrics", "/api/stats", "/api/contexts"):
            traffic("GET", f"{wanted}?key={key}&token={ADMIN_KEY}", headers=headers)
        for method in ("GET", "POST", "DELETE"):
            for wanted in (f"/api/sessions/{key}", f"/{ADMIN_KEY}", path, f"/api/contexts/{key}"):
                traffic(method, wanted, headers=headers)
    traffic("POST", "/dashboard", data={"key": ADMIN_KEY})
    traffic("POST", "/dashboard", data={"key": key})
    aged = f"n{int(time.time()) - ROTATE_S - 60:08x}{secrets.token_urlsafe(32)}"
    traffic.planted.append(aged)
    for _ in range(2):
        traffic("GET", "/api/contexts", headers={"cookie": f"headstart_owner={aged}"})


def test_no_secret_is_anywhere(served: Process, upstream: Recorder, redis: RedisProcess, tmp_path: Path) -> None:
    traffic = Traffic(served.url)
    key = headstart("keys", "add", "planted", home=tmp_path, HEADSTART_REDIS_URL=redis.url).lines[0]
    traffic.planted.append(key)
    with httpx2.Client(base_url=served.url, timeout=30) as http:
        good_and_bad(traffic, http, upstream, key)
    assert all(UPSTREAM_KEY in "".join(exchange.headers.values()) for exchange in upstream.exchanges)
    listed = headstart("keys", "list", home=tmp_path, HEADSTART_REDIS_URL=redis.url).text
    places = {"log": served.log.read_text(), "answers": "\n".join(traffic.heard), "Redis": redis.dump(), "list": listed}
    planted = {secret for secret in traffic.planted if secret}
    assert len(planted) >= 6
    for where, text in places.items():
        assert [secret for secret in planted if secret in text or secret[-24:] in text] == [], where
    # It looked where something could be found.
    assert all(len(text) > 100 for text in places.values())
    assert QUESTION not in served.log.read_text()


def test_one_line_for_each_request_and_each_call(served: Process) -> None:
    traffic = Traffic(served.url)
    with httpx2.Client(base_url=served.url, timeout=30) as http:
        session = a_session(traffic, http)
        traffic("POST", f"/api/sessions/{session}/warm", http, json={"wait": True})
        warming = traffic.ids[-1]
        stream = traffic("POST", f"/api/sessions/{session}/ask", http, json={"question": QUESTION})
        asking, turn = traffic.ids[-1], stream.headers["turn-id"]
        assert list(events(iter([stream.content])))[-1].name == "verdict"
        for path in ("/nothing?secret=1", f"/api/sessions/{session}?x=1", "/api/sessions/s_" + "0" * 32):
            traffic("GET", path, http)
        given = traffic("GET", "/api/contexts", http, headers={"x-request-id": "mine-1"})
        assert given.headers["x-request-id"] == "mine-1"
        forged = traffic("GET", "/api/contexts", http, headers={"x-request-id": "two\tlines"})
        assert forged.headers["x-request-id"] != "two\tlines"
    # A stream's line comes when it has ended, which its reader may learn first.
    until(lambda: len(of_requests(served)) == len(traffic.ids), "every line")
    by_id = {line["request"]: line for line in of_requests(served)}
    requests, said = [by_id[id] for id in traffic.ids], lines(served)
    assert all({"at", "method", "route", "status", "ms"} <= line.keys() for line in requests)
    routes = [(line["method"], line["route"], line["status"]) for line in requests]
    assert routes[2:7] == [
        ("POST", "/api/sessions/{session}/warm", 202),
        ("POST", "/api/sessions/{session}/ask", 200),
        ("GET", "-", 404),
        ("GET", "/api/sessions/{session}", 200),
        ("GET", "/api/sessions/{session}", 404),
    ]
    assert requests[2]["session"] == session
    assert len({line["owner"] for line in requests if "owner" in line}) == 1
    assert all(len(line["owner"]) == 8 for line in requests if "owner" in line)
    warm, ask = [line for line in said if line["logger"] == "headstart.call"]
    assert (warm["kind"], warm["session"], warm["outcome"], warm["request"]) == ("warm", session, "ok", warming)
    assert (ask["kind"], ask["turn"], ask["outcome"], ask["request"]) == ("ask", turn, "ok", asking)
    assert (warm["written_5m"], ask["read"]) == (5000, 5000)
    assert warm["ms"] >= 0 and warm["cost_usd"] > 0
    quiet = [line for line in said if line["logger"] == "headstart.request" and line["level"] == "debug"]
    assert {line["route"] for line in quiet} == {"/readyz"}


def test_an_error_says_the_id_of_its_request(client: Client) -> None:
    missing = client.http.get("/api/sessions/none")
    assert missing.json()["request_id"] == missing.headers["x-request-id"]
    large = client.http.post("/api/sessions", content=b" " * 3_000_000)
    assert (large.status_code, large.json()["request_id"]) == (413, large.headers["x-request-id"])


def record(message: str, *values: object, **named: Any) -> logging.LogRecord:
    made = logging.LogRecord("headstart.test", logging.INFO, __file__, 1, message, values, None)
    made.__dict__.update(fields(**named))
    return made


@pytest.mark.parametrize("formatter", [Pretty, Json])
def test_a_secret_in_a_line_is_blotted_out(formatter: type[Pretty] | type[Json]) -> None:
    written = formatter(["the secret itself", "short", 'quoted "secret" \\'])
    cookie, key = f"n6565f1c2{secrets.token_urlsafe(32)}", "hs_" + "a2" * 16
    try:
        raise ValueError(f"with {key}")
    except ValueError as error:
        told = record("said %s, short", "the secret itself", cookie=cookie, key=f"x{key}", url=f"?k={UPSTREAM_KEY}")
        told.exc_info = (type(error), error, error.__traceback__)
    line = written.format(told)
    quoted = written.format(record("said %s", 'quoted "secret" \\'))
    assert "said …" in quoted and "quoted" not in quoted
    assert not [secret for secret in ("the secret itself", cookie, key) if secret in line]
    assert "said …, short" in line
    assert "ValueError" in line


def test_people_and_machines_are_told_the_same() -> None:
    token = request_id.set("r1")
    try:
        told = record("POST %s %d", "/api/x", 200, method="POST", status=200, ms=1.5, owner=None, name="ü\n“")
        line = json.loads(Json([]).format(told))
        assert {"method": "POST", "status": 200, "ms": 1.5, "name": "ü\n“", "request": "r1"}.items() <= line.items()
        assert "owner" not in line
        assert line["at"].endswith("Z")
        pretty = Pretty([]).format(told)
        assert "POST /api/x 200  ms=1.5" in pretty
        assert "request=r1" in pretty
    finally:
        request_id.reset(token)
