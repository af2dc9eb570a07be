"""The contract's main path over any Redis: two servers, one owner, and everything that a conversation does."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx2

from app.doctor import examine
from app.settings import Settings
from tests.client import Client, events
from tests.failover import Server
from tests.recorder import Recorder, refuse
from tests.running import serving
from tests.turns import half_answered, ids, stop, told


@contextmanager
def two_servers(redis_url: str, upstream: Recorder) -> Iterator[tuple[Client, Client]]:
    """The same owner at each of two servers, with a context."""
    with ExitStack() as stack:
        here, there = (stack.enter_context(serving(redis_url, upstream.url, limits="on")) for _ in range(2))
        client = Client(stack.enter_context(httpx2.Client(base_url=here, timeout=30)))
        client.add_context()
        other = Client(stack.enter_context(httpx2.Client(base_url=there, timeout=30)))
        other.http.cookies.update(dict(client.http.cookies))
        yield client, other


def walk(client: Client, other: Client, upstream: Recorder) -> None:
    """Warm, ask, tail and stop from the other server, fork, erase; what one server did is so at the other."""
    session = client.start()["session"]
    assert client.warm(session, wait=True)["state"] == "warm"
    asked = client.ask(session, "What is this?")
    assert (asked[-1].name, asked[-1].data["cache"]) == ("verdict", "hit")
    assert told(other.tail(asked[0].data["turn"])) == told(asked)
    assert other.ask(session, "And there?")[-1].name == "verdict"

    upstream.hold()
    with half_answered(client, upstream) as (running, turn, stream):
        with other.http.stream("GET", f"/api/turns/{turn}/events") as response:
            tail = events(response.iter_bytes())
            first = next(tail)
            assert first.name == "turn"
            stop(other, turn)
            far, near = [first, *tail], list(stream)
        assert (far[-1].name, near[-1].name) == ("stopped", "stopped")
        assert ids(far) == sorted(set(ids(far)))
        assert told(far)[-len(near) :] == told(near)
        assert other.session(running)["turns"][0]["state"] == "stopped"

    forked = other.http.post(f"/api/sessions/{session}/fork", json={"after_turn": 1}).json()["session"]
    assert [turn["question"] for turn in client.session(forked)["turns"]] == ["What is this?"]
    assert client.ask(forked, "Elsewhere?")[-1].name == "verdict"
    assert len(other.session(session)["turns"]) == 2
    assert other.session(session)["turns"][1]["branches"] == [session, forked]
    assert client.http.patch(f"/api/sessions/{session}", json={"title": "A walk", "pinned": True}).status_code == 200
    listed = other.http.get("/api/sessions", params={"q": "walk"}).json()["sessions"]
    assert [one["session"] for one in listed] == [forked, session]

    path = other.http.post(f"/api/sessions/{session}/link").json()["path"]
    assert "And there?" in client.http.get(path).text
    rated = client.session(session)["turns"][0]["turn"]
    assert client.http.put(f"/api/turns/{rated}/rating", json={"rating": "good"}).status_code == 200
    assert other.session(session)["turns"][0]["rating"] == "good"

    forking = {"after_turn": 2, "isolation": "session"}
    copy = other.http.post(f"/api/sessions/{session}/fork", json=forking).json()["session"]
    assert client.ask(copy, "Cold?")[-1].name == "verdict"

    client.add_context("refused", instructions="Refused.")
    upstream.script.append(refuse(529, "overloaded_error", "Overloaded"))
    refused = client.warm(client.start("refused")["session"], wait=True)
    assert refused["state"] == "failed"

    assert other.http.get("/api/stats").json()["totals"]["ask_calls"] == len(upstream.asks)
    assert other.http.delete(f"/api/sessions/{session}").status_code == 204
    for gone in (f"/api/sessions/{session}", f"/api/sessions/{copy}", path):
        assert client.http.get(gone).status_code == 404
    assert other.http.delete("/api/contexts/refused").status_code == 204
    assert client.http.get("/readyz").status_code == 200


def go_on_after(kill: Callable[[str], Server], client: Client, upstream: Recorder) -> Server:
    """`kill` a Redis server mid-answer: the answer goes on after a pause, whole, and so does its session."""
    with half_answered(client, upstream) as (session, turn, stream):
        killed = kill(session)
        upstream.release()
        rest = list(stream)
    assert rest[-1].name == "verdict", rest
    whole = client.tail(turn)
    assert told(whole)[-len(rest) :] == told(rest)
    assert ids(whole) == sorted(set(ids(whole)))
    assert client.session(session)["turns"][0]["answer"] == "The first half, and the second."
    assert client.ask(session, "And now?")[-1].name == "verdict"
    return killed


async def findings(redis_url: str) -> tuple[bool, str]:
    """What `headstart doctor` finds out about Redis."""
    given: dict[str, Any] = {"_env_file": None, "redis_url": redis_url, "sandbox": "on"}
    (found,) = [one for one in await examine(Settings(**given), redis_url) if one.said.startswith("Redis")]
    return found.good, found.said
