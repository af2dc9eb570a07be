"""Limits per owner, from outside: how much there is, what is said when it is used up, and when there is more."""

import math
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from app.access.limits import _network
from tests.client import Client
from tests.recorder import Recorder, halfway, held
from tests.running import RedisProcess, serving, until

GOOD = [{"title": "a.txt", "text": "Some text."}]


@pytest.fixture
def serve(redis: RedisProcess, upstream: Recorder) -> Iterator[Callable[..., str]]:
    """Start a server with limits on, and these settings, for real money."""
    always = {"limits": "on", "sandbox": "off"}
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(redis.url, upstream.url, **always, **settings))


@pytest.fixture
def new(request: pytest.FixtureRequest) -> Callable[..., Client]:
    """A new owner at `url`."""

    def make(url: str, **headers: str) -> Client:
        http = httpx2.Client(base_url=url, timeout=30, headers=headers)
        request.addfinalizer(http.close)
        return Client(http)

    return make


def refused(response: httpx2.Response, limit: str, most: float, within_s: float) -> dict[str, Any]:
    """That `response` is a 429 for this limit, which says when to come back: within so many seconds; its body."""
    assert response.status_code == 429, response.text
    body: dict[str, Any] = response.json()
    assert (body["code"], body["limit"], body["most"], body["retryable"]) == ("limit_reached", limit, most, True)
    assert int(response.headers["retry-after"]) == body["retry_after_s"]
    assert 1 <= body["retry_after_s"] <= math.ceil(within_s)
    assert "come back in" in body["detail"]
    return body


def later(redis: RedisProcess, pattern: str, seconds: float) -> None:
    """Make what the buckets remember `seconds` older."""
    found = redis.named(f"hs:bucket:{pattern}")
    assert found
    for key in found:
        at = float(redis.say(f"HGET {key} at".encode()).split(b"\r\n")[1])
        redis.say(f"HSET {key} at {at - seconds:.6f}".encode())


def test_questions_a_minute(serve: Callable[..., str], new: Callable[..., Client], redis: RedisProcess) -> None:
    url = serve(owner_turns_per_minute=3)
    client, other = new(url), new(url)
    client.add_context()
    sessions = [client.start()["session"] for _ in range(2)]
    # What is refused for another reason takes nothing.
    for _ in range(5):
        assert client.http.post(f"/api/sessions/{sessions[0]}/ask", json={"question": " "}).status_code == 422
        assert client.http.post(f"/api/sessions/s_{'0' * 32}/ask", json={"question": "?"}).status_code == 404
    for number in range(3):
        assert client.ask(sessions[number % 2], "Well?")[-1].name == "verdict"
    body = refused(
        client.http.post(f"/api/sessions/{sessions[0]}/ask", json={"question": "?"}), "turns_per_minute", 3, 20
    )
    assert "3 questions a minute" in body["detail"]
    assert len(client.session(sessions[0])["turns"]) == 2
    other.add_context()
    assert other.ask(other.start()["session"], "And I?")[-1].name == "verdict"
    later(redis, "*turns_per_minute*", body["retry_after_s"])
    assert client.ask(sessions[0], "Now?")[-1].name == "verdict"


def test_open_streams(serve: Callable[..., str], new: Callable[..., Client], upstream: Recorder) -> None:
    url = serve(owner_open_streams=2)
    client, other = new(url), new(url)
    upstream.script.extend([halfway(), halfway()])
    turns = []
    for one in (client, other):
        one.add_context()
        session = one.start()["session"]
        with one.asking(session, "How long?") as stream:
            turns.append(next(stream).data["turn"])
    path = f"/api/turns/{turns[0]}/events"
    with ExitStack() as stack:
        for _ in range(2):
            assert stack.enter_context(client.http.stream("GET", path)).status_code == 200
        refused(client.http.get(path), "open_streams", 2, 5)
        assert stack.enter_context(other.http.stream("GET", f"/api/turns/{turns[1]}/events")).status_code == 200
    # What was refused for another reason, or has ended, is open no more.
    nothing = f"/api/turns/t_{'0' * 64}/events"
    until(lambda: client.http.get(nothing).status_code == 404, "the server to notice that its client is gone")
    for _ in range(3):
        assert client.http.get(nothing).status_code == 404
    upstream.release()
    for _ in range(3):
        assert client.tail(turns[0])[-1].name == "verdict"


def test_questions_at_once_over_processes(serve: Callable[..., str], new: Callable[..., Client]) -> None:
    urls = [serve(owner_turns_per_minute=4) for _ in range(2)]
    client = new(urls[0])
    client.add_context()
    sessions = [client.start()["session"] for _ in range(10)]

    def ask(number: int) -> int:
        address = f"{urls[number % 2]}/api/sessions/{sessions[number]}/ask"
        return httpx2.post(address, json={"question": "?"}, cookies=dict(client.http.cookies), timeout=30).status_code

    with ThreadPoolExecutor(10) as pool:
        assert sorted(pool.map(ask, range(10))) == [200] * 4 + [429] * 6


def test_conversations_a_day_forks_among_them(
    serve: Callable[..., str], new: Callable[..., Client], redis: RedisProcess
) -> None:
    client = new(serve(owner_sessions_per_day=3))
    client.add_context()
    session = client.start()["session"]
    assert client.http.post(f"/api/sessions/{session}/fork", json={"after_turn": 0}).status_code == 201
    client.start()
    # To erase one makes no room: what counts is how many were begun.
    assert client.http.delete(f"/api/sessions/{session}").status_code == 204
    response = client.http.post("/api/sessions", json={"context": "docs"})
    body = refused(response, "sessions_per_day", 3, 8 * 3600)
    later(redis, "*sessions_per_day*", body["retry_after_s"])
    client.start()


def test_what_is_refused_for_another_reason_takes_nothing(
    serve: Callable[..., str], new: Callable[..., Client], upstream: Recorder
) -> None:
    client = new(serve(owner_sessions_per_day=2, owner_turns_per_minute=2, owners_per_address=1))
    for _ in range(3):
        assert client.http.post("/api/contexts", json={"name": "x", "documents": []}).status_code == 422
        client.http.cookies.clear()
    client.add_context(thinking="between_tools")
    session = client.start()["session"]
    for _ in range(3):
        assert client.http.post(f"/api/sessions/{session}/fork", json={"after_turn": 9}).status_code == 422
        odd = client.http.post("/api/sessions", json={"context": "docs", "model": "claude-sonnet-5"})
        assert odd.status_code == 422
    upstream.script.append(held)
    with client.asking(session, "Well?") as stream:
        for _ in range(3):
            assert client.http.post(f"/api/sessions/{session}/ask", json={"question": "?"}).status_code == 409
        upstream.release()
        assert list(stream)[-1].name == "verdict"
    client.start()
    assert client.ask(session, "And now?")[-1].name == "verdict"


def test_what_an_owner_may_spend_in_a_day(
    serve: Callable[..., str], new: Callable[..., Client], upstream: Recorder
) -> None:
    url = serve(owner_usd_per_day=0.01)
    client, other = new(url), new(url)
    client.add_context()
    session, unused = client.start()["session"], client.start(isolation="session")["session"]
    # 5,000 tokens written, at $2.50 a million: a warm is its owner's spending too.
    assert client.warm(session, wait=True)["cost_usd"] == pytest.approx(0.0125, rel=0.1)
    response = client.http.post(f"/api/sessions/{session}/ask", json={"question": "?"})
    body = refused(response, "usd_per_day", 0.01, 24 * 3600)
    assert "$0.01" in body["detail"]
    assert re.search(r"come back in \d+ (h|min|s)", body["detail"])
    # Nothing new is warmed for such a one; what is warm is still said to be.
    assert (client.warm(unused)["state"], client.warm(unused)["reason"]) == ("skipped", "budget_spent")
    assert client.warm(session)["state"] == "warm"
    assert len(upstream.exchanges) == 1
    other.add_context()
    assert other.ask(other.start()["session"], "And I?")[-1].name == "verdict"


def test_what_everyone_may_spend_in_a_day(serve: Callable[..., str], new: Callable[..., Client]) -> None:
    url = serve(usd_per_day=0.01)
    client, other = new(url), new(url)
    for each in (client, other):
        each.add_context()
    sessions = [client.start()["session"], other.start()["session"]]
    client.warm(sessions[0], wait=True)
    response = other.http.post(f"/api/sessions/{sessions[1]}/ask", json={"question": "?"})
    body = refused(response, "usd_per_day_of_all", 0.01, 24 * 3600)
    assert "HEADSTART_USD_PER_DAY" in body["detail"]


def test_the_sandboxs_money_is_play_money(redis: RedisProcess, upstream: Recorder, new: Callable[..., Client]) -> None:
    with serving(redis.url, upstream.url, limits="on", owner_usd_per_day=0, usd_per_day=0) as url:
        client = new(url)
        client.add_context()
        assert client.ask(client.start()["session"], "Well?")[-1].name == "verdict"


def test_who_drops_the_cookie_is_a_newcomer_and_an_address_brings_so_many(
    serve: Callable[..., str], new: Callable[..., Client], redis: RedisProcess
) -> None:
    url = serve(owners_per_address=2)
    here = {"x-forwarded-for": "192.0.2.1"}
    known = [new(url, **here) for _ in range(2)]
    known[0].start("asyncio")
    # Whoever only adds a context takes room, too.
    known[1].add_context()
    stranger = new(url, **here)
    kept = stranger.http.post("/api/contexts", json={"name": "docs", "documents": GOOD})
    refused(kept, "owners_per_address", 2, 12 * 3600)
    for _ in range(2):
        response = stranger.http.post("/api/sessions", json={"context": "asyncio"})
        body = refused(response, "owners_per_address", 2, 12 * 3600)
    for client in known:
        client.start("asyncio")
    new(url, **{"x-forwarded-for": "192.0.2.2"}).start("asyncio")
    later(redis, "*192.0.2.1:owners_per_address*", body["retry_after_s"])
    stranger.start("asyncio")


def test_contexts_and_their_bytes(serve: Callable[..., str], new: Callable[..., Client]) -> None:
    client = new(serve(owner_contexts=2, owner_bytes=1000))
    first = client.add_context("c0")["bytes"]
    response = client.http.post("/api/contexts", json={"name": "large", "documents": [GOOD[0] | {"text": "x" * 900}]})
    assert (response.status_code, response.json()["code"]) == (409, "too_many_bytes")
    assert "1,000" in response.json()["detail"] and f"{first:,}" in response.json()["detail"]
    client.add_context("c1")
    response = client.http.post("/api/contexts", json={"name": "c2", "documents": GOOD})
    assert (response.status_code, response.json()["code"]) == (409, "too_many_contexts")
    # Waiting does not help, so nothing says how long.
    assert "retry-after" not in response.headers
    assert client.http.delete("/api/contexts/c0").status_code == 204
    client.add_context("c2")


def add(client: Client, **body: Any) -> httpx2.Response:
    return client.http.post("/api/contexts", json={"name": "docs", "documents": GOOD, **body})


def test_work_that_fails_is_work_all_the_same(
    serve: Callable[..., str], new: Callable[..., Client], redis: RedisProcess
) -> None:
    client = new(serve(owner_contexts_per_hour=3, owner_urls_per_hour=5))
    client.add_context()
    elsewhere = [{"url": f"http://127.0.0.1:1/{number}"} for number in range(4)]
    assert add(client, documents=elsewhere).status_code == 422
    assert "fetched URLs an hour" in refused(add(client, documents=elsewhere), "urls_per_hour", 5, 2160)["detail"]
    body = refused(add(client), "contexts_per_hour", 3, 1200)
    assert "At most 3 tries at adding a context an hour" in body["detail"]
    later(redis, "*contexts_per_hour*", body["retry_after_s"])
    client.add_context("again")


def test_folders_looked_through(serve: Callable[..., str], new: Callable[..., Client]) -> None:
    url = serve(owner_sifts_per_hour=1)

    def sift(client: Client) -> httpx2.Response:
        return client.http.post("/api/sift", json={"paths": ["a.txt"], "gitignores": {}})

    client = new(url)
    assert sift(client).json()["taken"] == ["a.txt"]
    refused(sift(client), "sifts_per_hour", 1, 3600)
    # Nine more come from this address, or one who drops the cookie nine times.
    assert [sift(new(url)).status_code for _ in range(9)] == [200] * 9
    refused(sift(new(url)), "sifts_per_hour_per_address", 10, 3600)


def test_searches(serve: Callable[..., str], new: Callable[..., Client]) -> None:
    client = new(serve(owner_searches_per_hour=2))
    for words in ("one", "two"):
        assert client.http.get("/api/sessions", params={"q": words}).status_code == 200
    refused(client.http.get("/api/sessions", params={"q": "three"}), "searches_per_hour", 2, 1800)
    assert client.http.get("/api/sessions").status_code == 200


def test_off_means_off(redis: RedisProcess, upstream: Recorder, new: Callable[..., Client]) -> None:
    lowest: dict[str, Any] = {f"owner_{name}": 1 for name in ("sessions_per_day", "turns_per_minute", "contexts")}
    lowest |= {f"owner_{what}_per_hour": 1 for what in ("contexts", "urls", "sifts", "searches")}
    lowest |= {"owner_bytes": 0, "owner_usd_per_day": 0, "usd_per_day": 0, "owners_per_address": 1}
    with serving(redis.url, upstream.url, limits="off", **lowest) as url:
        for client in (new(url), new(url)):
            for number in range(3):
                client.add_context(f"c{number}")
                session = client.start(f"c{number}")["session"]
                assert client.warm(session)["state"] in ("warming", "warm")
                assert client.ask(session, "Well?")[-1].name == "verdict"
    assert redis.named("hs:bucket:*") == []


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002::"),
        ("2001:db8:1:2::1", "20010db800010002::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_an_ipv6_customer_is_one_address(address: str, network: str) -> None:
    assert _network(address) == network
