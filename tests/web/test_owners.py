"""Who may do what, from outside: owner cookies, requests of other sites, and ids that are not the asker's."""

import secrets
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from app.access.cookies import ROTATE_S
from tests.client import Client
from tests.recorder import Recorder, recording
from tests.running import RedisProcess, serving

Operation = tuple[str, str]


@pytest.fixture(scope="module")
def shared_upstream() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture(scope="module")
def url(redis_process: RedisProcess, shared_upstream: Recorder) -> Iterator[str]:
    assert redis_process.say(b"FLUSHALL") == b"+OK\r\n"
    with serving(redis_process.url, shared_upstream.url) as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with httpx2.Client(base_url=url, timeout=30) as http:
        yield Client(http)


def set_cookie(response: httpx2.Response) -> tuple[str, str, set[str]]:
    """The name, the value and the attributes of the one cookie that `response` sets."""
    (line,) = response.headers.get_list("set-cookie")
    pair, *attributes = (part.strip() for part in line.split(";"))
    name, _, value = pair.partition("=")
    return name, value, set(attributes)


# Cookies


def test_over_tls_the_cookie_is_secure_and_this_hosts_alone(url: str) -> None:
    said = {"x-forwarded-proto": "https"}
    name, value, attributes = set_cookie(httpx2.get(f"{url}/api/contexts", headers=said))
    assert name == "__Host-headstart_owner"
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= attributes
    assert not any(attribute.lower().startswith("domain") for attribute in attributes)
    again = httpx2.get(f"{url}/api/contexts", headers={**said, "cookie": f"{name}={value}"})
    assert "set-cookie" not in again.headers
    # What was set over plain HTTP may have been set by anyone on the way: it does not count over TLS.
    planted = httpx2.get(f"{url}/api/contexts", headers={**said, "cookie": f"headstart_owner={value}"})
    assert set_cookie(planted)[1] != value


def test_a_proxy_that_is_not_trusted_is_not_believed(redis_process: RedisProcess, shared_upstream: Recorder) -> None:
    with serving(redis_process.url, shared_upstream.url, trusted_proxies="10.0.0.0/8") as url:
        name, _, attributes = set_cookie(httpx2.get(f"{url}/api/contexts", headers={"x-forwarded-proto": "https"}))
    assert (name, "Secure" in attributes) == ("headstart_owner", False)


def test_a_week_old_cookie_is_replaced_and_keeps_its_owner(client: Client) -> None:
    aged = f"n{int(time.time()) - ROTATE_S - 60:08x}{secrets.token_urlsafe(32)}"
    client.http.cookies.set("headstart_owner", aged)
    first = client.http.get("/api/contexts")
    value = set_cookie(first)[1]
    assert value != aged
    client.http.cookies.clear()
    client.http.cookies.set("headstart_owner", value)
    client.add_context("kept")
    session = client.start("kept")["session"]
    assert "set-cookie" not in client.http.get(f"/api/sessions/{session}").headers
    # For a while the old value counts too: requests that were under way with it are not lost.
    client.http.cookies.set("headstart_owner", aged)
    assert client.session(session)["session"] == session


# Pages of other sites

CROSS_SITE: list[dict[str, str]] = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1"},
    {"origin": "http://127.0.0.1:1"},
    {"origin": "http://["},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "something-new"},
    {"sec-fetch-site": "cross-site", "origin": "{here}"},
    {"sec-fetch-site": "none", "origin": "https://evil.example"},
]
OURS: list[dict[str, str]] = [
    {},
    {"origin": "{here}"},
    {"sec-fetch-site": "same-origin", "origin": "{here}"},
    {"sec-fetch-site": "none"},
    # Behind a proxy that names itself in Host, the browser's word is what is left.
    {"sec-fetch-site": "same-origin", "origin": "https://chat.example"},
    {"origin": "https://chat.example", "x-forwarded-host": "chat.example"},
    {
        "origin": "https://chat.example",
        "host": "chat.example:443",
        "x-forwarded-for": "192.0.2.1",
        "connection": "close",
    },
]


def said_by(headers: dict[str, str], url: str) -> dict[str, str]:
    return {name: value.format(here=url) for name, value in headers.items()}


def state_changes(client: Client) -> list[Operation]:
    """Everything in the OpenAPI document that is not a GET."""
    paths: dict[str, dict[str, Any]] = client.http.get("/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods if method != "get"]


@pytest.mark.parametrize("headers", CROSS_SITE, ids=str)
def test_a_page_of_another_site_changes_nothing(client: Client, url: str, headers: dict[str, str]) -> None:
    client.add_context()
    session = client.start()["session"]
    changes = state_changes(client)
    assert len(changes) >= 8
    for method, path in changes:
        there = path.format_map(_Ids(session=session, context="docs"))
        response = client.http.request(method, there, headers=said_by(headers, url), json={})
        assert (response.status_code, response.json()["code"]) == (403, "cross_site"), (method, path)
        assert "HEADSTART_CORS_ORIGINS" in response.json()["detail"]
    assert client.session(session)["turns"] == []
    # To look, it may ask: what comes back, the browser keeps from it.
    assert client.http.get("/api/contexts", headers=said_by(headers, url)).status_code == 200


@pytest.mark.parametrize("headers", OURS, ids=str)
def test_our_own_page_and_programs_pass(client: Client, url: str, headers: dict[str, str]) -> None:
    client.add_context()
    response = client.http.post("/api/sessions", json={"context": "docs"}, headers=said_by(headers, url))
    assert response.status_code == 201, response.text


# What is another's


class _Ids(dict[str, str]):
    """Values for a path's parameters; for one that is not known here, an id of nothing."""

    def __missing__(self, _: str) -> str:
        return "0" * 32


# The least that each operation takes, so that nothing but the owner can be what it minds.
BODIES: dict[Operation, dict[str, Any]] = {
    ("PUT", "/api/turns/{turn}/rating"): {"rating": "bad"},
    ("POST", "/api/sessions/{session}/ask"): {"question": "Whose?"},
    ("POST", "/api/sessions/{session}/fork"): {"after_turn": 0},
    ("PATCH", "/api/sessions/{session}"): {"title": "Whose?", "pinned": True},
}
QUERIES: dict[Operation, dict[str, str]] = {("GET", "/api/sessions/{session}/export"): {"format": "json"}}


def operations_on(client: Client) -> list[Operation]:
    """Every operation of the OpenAPI document that names something in its path."""
    paths: dict[str, dict[str, Any]] = client.http.get("/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods if "{" in path]


def answers(client: Client, ids: dict[str, str], **more: Any) -> dict[Operation, tuple[int, str]]:
    """What each operation answers with for these ids."""
    found = {}
    for method, path in operations_on(client):
        body = BODIES.get((method, path))
        query = QUERIES.get((method, path))
        response = client.http.request(method, path.format_map(_Ids(ids)), json=body, params=query, **more)
        # Every answer has an id of its own; apart from that, they can be compared.
        text = response.text.replace(response.headers["x-request-id"], "")
        found[(method, path)] = (response.status_code, text)
    return found


def everything_of(client: Client) -> dict[str, str]:
    """A context, a session over it, and a turn of that."""
    # Of its own: the same texts are the same context, and whoever has them has it.
    text = secrets.token_hex(400)
    context = client.add_context("private", documents=[{"title": "a.txt", "text": text}])["context"]
    session = client.start("private")["session"]
    return {"context": context, "session": session, "turn": client.ask(session, "Mine?")[0].data["turn"]}


def guessed(ids: dict[str, str]) -> dict[str, str]:
    """Ids of the same form that belong to nobody."""
    return {name: value[:2] + secrets.token_hex((len(value) - 2) // 2) for name, value in ids.items()}


def test_every_route_keeps_what_is_anothers(client: Client, url: str) -> None:
    ids = everything_of(client)
    before = client.session(ids["session"])
    with httpx2.Client(base_url=url, timeout=30) as http:
        stranger = Client(http)
        stranger.add_context("own")
        nothing = answers(stranger, guessed(ids))
        assert len(nothing) >= 9
        assert {status for status, _ in nothing.values()} == {404}
        # The same words too: nobody learns by asking whether there is such a thing.
        assert answers(stranger, ids) == nothing
        own = everything_of(stranger)
        mixed = ids | {"turn": "t_" + own["session"][2:] + ids["turn"][34:]}
        assert answers(stranger, mixed) == nothing
    assert client.session(ids["session"]) == before
    assert client.http.get(f"/api/contexts/{ids['context']}").status_code == 200


def test_ids_of_what_was_erased_lead_nowhere(client: Client) -> None:
    ids = everything_of(client)
    assert client.http.delete(f"/api/sessions/{ids['session']}").status_code == 204
    assert client.http.delete(f"/api/contexts/{ids['context']}").status_code == 204
    assert {status for status, _ in answers(client, ids).values()} == {404}


def test_an_owners_id_is_not_its_cookie(client: Client, url: str, redis_process: RedisProcess) -> None:
    ids = everything_of(client)
    stored = redis_process.say(f"HGET hs:{{{ids['session']}}}:session owner".encode()).split(b"\r\n")[1].decode()
    for cookie in (stored, f"n{int(time.time()):08x}{stored}AAA", client.http.cookies["headstart_owner"][::-1]):
        headers = {"cookie": f"headstart_owner={cookie}"}
        with httpx2.Client(base_url=url, timeout=30) as http:
            found = answers(Client(http), ids, headers=headers)
            assert {status for status, _ in found.values()} == {404}
