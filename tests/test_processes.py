"""Processes that die, and a Redis that goes away: every accepted turn ends, and nothing is lost that was said."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.client import Client, Event, events
from tests.recorder import Exchange, Recorder, halfway, held, message_start, text_events, whole_answer
from tests.running import Process, RedisProcess, free_port, server, serving
from tests.turns import half_answered, stop, told

# Two seconds are promised; a machine that is busy with other tests gets a few more.
STOPS_WITHIN_S = 8


@contextmanager
def headstart(log: Path, redis: RedisProcess, upstream: Recorder, **environment: str) -> Iterator[Process]:
    """`headstart serve`, started and ready; it leaves its turns at once when it is told to stop."""
    with server(
        log=log,
        HEADSTART_PORT=str(free_port()),
        HEADSTART_REDIS_URL=redis.url,
        ANTHROPIC_BASE_URL=upstream.url,
        ANTHROPIC_API_KEY="sk-test-key",
        **{"HEADSTART_DRAIN_S": "0", **environment},
    ) as running:
        running.wait_ready()
        yield running


@contextmanager
def owner_of(url: str, cookies: Any = None) -> Iterator[Client]:
    with httpx2.Client(base_url=url, timeout=30) as http:
        if cookies is not None:
            http.cookies.update(dict(cookies))
        yield Client(http)


def rest_of(stream: Iterator[Event]) -> list[Event]:
    """What still comes, until the end or until the connection breaks."""
    got: list[Event] = []
    with suppress(httpx2.HTTPError):
        got.extend(stream)
    return got


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "mid-answer"])
def test_a_process_stops_in_time_also_while_redis_is_away(
    own_redis: RedisProcess, upstream: Recorder, tmp_path: Path, busy: bool
) -> None:
    log = tmp_path / "stopped.log"
    with ExitStack() as stack:
        stopped = stack.enter_context(headstart(log, own_redis, upstream))
        client = stack.enter_context(owner_of(stopped.url))
        client.add_context()
        assert client.ask(client.start()["session"], "Before?")[-1].name == "verdict"
        if busy:
            stack.enter_context(half_answered(client, upstream))
            client.add_context("other", instructions="Other.")
            upstream.script.append(held)
            client.warm(client.start("other")["session"])
            upstream.wait_for(3)
        own_redis.stop()
        assert_unavailable(client.http.get("/readyz"))
        started = time.monotonic()
        stopped.popen.terminate()
        stopped.popen.wait(30)
        assert time.monotonic() - started < STOPS_WITHIN_S
        assert "Traceback" not in log.read_text()


@pytest.fixture
def mortal(own_redis: RedisProcess, upstream: Recorder) -> Iterator[Client]:
    """A client of Headstart over a Redis that the test may end."""
    with serving(own_redis.url, upstream.url) as url, owner_of(url) as client:
        client.add_context()
        yield client


def test_redis_gone_for_a_while_mid_answer_is_a_pause_and_nothing_is_lost(
    mortal: Client, own_redis: RedisProcess, upstream: Recorder
) -> None:
    with half_answered(mortal, upstream) as (session, turn, stream):
        so_far = mortal.http.get("/healthz")
        own_redis.stop()
        upstream.release()
        assert so_far.status_code == 200
        # The whole answer has come, and nobody may hear of it before Redis has.
        assert_unavailable(mortal.http.get(f"/api/sessions/{session}"))
        own_redis.start()
        rest = list(stream)
    assert rest[-1].name == "verdict"
    whole = mortal.tail(turn)
    assert told(whole)[-len(rest) :] == told(rest)
    (done,) = mortal.session(session)["turns"]
    assert (done["state"], done["answer"]) == ("done", "The first half, and the second.")
    assert mortal.ask(session, "And on?")[-1].name == "verdict"
    assert b"and the second." in upstream.asks[-1].body
    totals = mortal.http.get("/api/stats").json()["totals"]
    assert totals["ask_calls"] == len(upstream.asks)


def test_redis_gone_while_a_warm_runs_does_not_make_it_run_again(
    mortal: Client, own_redis: RedisProcess, upstream: Recorder
) -> None:
    upstream.script.append(held)
    session = mortal.start()["session"]
    mortal.warm(session)
    upstream.wait_for(1)
    own_redis.stop()
    upstream.release()
    assert_unavailable(mortal.http.get("/readyz"))
    own_redis.start()
    assert mortal.warm(session, wait=True)["state"] == "warm"
    assert mortal.ask(session, "Warm?")[-1].data["cache"] == "hit"
    assert len(upstream.warms) == 1
    assert mortal.http.get("/api/stats").json()["totals"]["warm_calls"] == 1


def assert_unavailable(response: httpx2.Response) -> None:
    assert response.status_code == 503, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.json()["code"], response.json()["retryable"]) == ("store_unavailable", True)


def test_without_redis_the_process_lives_says_so_and_recovers_by_itself(
    mortal: Client, own_redis: RedisProcess, upstream: Recorder
) -> None:
    session = mortal.start()["session"]
    done = mortal.ask(session, "Before?")[0].data["turn"]
    own_redis.stop()
    for method, path, body in [
        ("GET", "/api/contexts", None),
        ("POST", "/api/contexts", {"name": "x", "documents": [{"title": "a", "text": "b"}]}),
        ("POST", "/api/sessions", {"context": "docs"}),
        ("GET", f"/api/sessions/{session}", None),
        ("DELETE", f"/api/sessions/{session}", None),
        ("POST", f"/api/sessions/{session}/warm", {}),
        ("POST", f"/api/sessions/{session}/ask", {"question": "During?"}),
        ("POST", f"/api/sessions/{session}/fork", {"after_turn": 1}),
        ("GET", f"/api/turns/{done}/events", None),
        ("POST", f"/api/turns/{done}/stop", None),
        ("GET", "/api/stats", None),
        ("GET", "/readyz", None),
    ]:
        assert_unavailable(mortal.http.request(method, path, json=body))
    assert mortal.http.get("/healthz").status_code == 200
    assert mortal.http.get("/", headers={"accept": "text/html"}).status_code == 503
    assert len(upstream.exchanges) == 1
    own_redis.start()
    assert mortal.ask(session, "After?")[-1].name == "verdict"
    assert [turn["question"] for turn in mortal.session(session)["turns"]] == ["Before?", "After?"]
    assert mortal.http.get("/readyz").status_code == 200


def test_a_redis_that_comes_back_empty_is_an_empty_redis(
    mortal: Client, own_redis: RedisProcess, upstream: Recorder
) -> None:
    session = mortal.start()["session"]
    done = mortal.ask(session, "Before?")[0].data["turn"]
    own_redis.stop()
    own_redis.start(empty=True)
    for path in (f"/api/sessions/{session}", f"/api/turns/{done}/events", "/api/contexts/docs"):
        assert mortal.http.get(path).status_code == 404
    assert mortal.http.post(f"/api/sessions/{session}/ask", json={"question": "?"}).status_code == 404
    assert [context["name"] for context in mortal.http.get("/api/contexts").json()["contexts"]] == ["asyncio"]
    mortal.add_context()
    assert mortal.ask(mortal.start()["session"], "After?")[-1].name == "verdict"
    assert len(upstream.exchanges) == 2


async def for_ever(exchange: Exchange) -> None:
    """Answer without an end, until the client hangs up."""
    start, delta, _ = text_events("more", pieces=1)
    await exchange.start_stream()
    for data in (message_start(), start):
        await exchange.event(data)
    closed = asyncio.ensure_future(exchange.reader.read(1))
    try:
        while not closed.done():
            await exchange.event(delta)
            await asyncio.wait({closed}, timeout=0.01)
    finally:
        closed.cancel()
        exchange.hung_up.set()


def test_a_redis_that_loses_everything_mid_turn_ends_clients_and_spending(
    mortal: Client, own_redis: RedisProcess, upstream: Recorder
) -> None:
    upstream.script.append(for_ever)
    with serving(own_redis.url, upstream.url) as url, owner_of(url, mortal.http.cookies) as other:
        session = mortal.start()["session"]
        with mortal.asking(session, "For ever?") as stream:
            turn = next(stream).data["turn"]
            with other.http.stream("GET", f"/api/turns/{turn}/events") as response:
                tail = events(response.iter_bytes())
                assert next(tail).name == "turn"
                assert own_redis.say(b"FLUSHALL") == b"+OK\r\n"
                assert {event.name for event in stream} <= {
                    "message_start",
                    "content_block_start",
                    "content_block_delta",
                }
                assert {event.name for event in tail} <= {"message_start", "content_block_start", "content_block_delta"}
        assert upstream.exchanges[0].hung_up.wait(30)
    assert mortal.http.get(f"/api/turns/{turn}/events").status_code == 404


def test_a_redis_that_is_full_is_said_to_be_away_and_all_goes_on_when_there_is_room(
    mortal: Client, own_redis: RedisProcess, upstream: Recorder
) -> None:
    session = mortal.start()["session"]
    with half_answered(mortal, upstream) as (halved, _, stream):
        assert own_redis.say(b"CONFIG SET maxmemory 1") == b"+OK\r\n"
        upstream.release()
        assert_unavailable(mortal.http.post(f"/api/sessions/{session}/ask", json={"question": "Room?"}))
        assert own_redis.say(b"CONFIG SET maxmemory 0") == b"+OK\r\n"
        assert rest_of(stream)[-1].name == "verdict"
    assert mortal.session(halved)["turns"][0]["answer"] == "The first half, and the second."
    assert mortal.ask(session, "Room now?")[-1].name == "verdict"
    # The loops behind it all have lived on: a stop from elsewhere is still heard.
    upstream.hold()
    upstream.script.append(halfway())
    with ExitStack() as stack:
        url = stack.enter_context(serving(own_redis.url, upstream.url))
        other = stack.enter_context(owner_of(url, mortal.http.cookies))
        again = stack.enter_context(mortal.asking(session, "Stop me?"))
        stop(other, next(again).data["turn"])
        assert list(again)[-1].name == "stopped"


def test_sessions_erased_while_they_are_asked_leave_nothing(redis: RedisProcess, upstream: Recorder) -> None:
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(redis.url, upstream.url)) for _ in range(2)]
        client = stack.enter_context(owner_of(urls[0]))
        client.add_context()
        other = stack.enter_context(owner_of(urls[1], client.http.cookies))
        for _ in range(15):
            session = client.start()["session"]
            together = threading.Barrier(2)

            def ask(session: str = session, together: threading.Barrier = together) -> None:
                together.wait(30)
                with client.http.stream("POST", f"/api/sessions/{session}/ask", json={"question": "Race?"}) as response:
                    assert response.status_code in (200, 404)
                    response.read()

            asker = threading.Thread(target=ask)
            asker.start()
            together.wait(30)
            assert other.http.delete(f"/api/sessions/{session}").status_code == 204
            asker.join(30)
            assert not asker.is_alive()
            assert [key for key in redis.named() if session.removeprefix("s_") in key] == []


def test_redis_may_be_killed_at_every_point_of_an_answer(
    mortal: Client, own_redis: RedisProcess, upstream: Recorder
) -> None:
    sent = whole_answer("One, two, three.")
    steps = threading.Semaphore(0)

    async def step_by_step(exchange: Exchange) -> None:
        await exchange.start_stream()
        for data in sent:
            await asyncio.to_thread(steps.acquire)
            await exchange.event(data)
        await exchange.end_stream()

    session = mortal.start()["session"]
    for killed_after in range(len(sent)):
        upstream.script.append(step_by_step)
        with mortal.asking(session, "Whole?") as stream:
            heard = [next(stream)]
            upstream.wait_for(killed_after + 1)
            for _ in range(killed_after):
                steps.release()
                heard.append(next(stream))
            own_redis.stop()
            for _ in range(len(sent) - killed_after):
                steps.release()
            own_redis.start()
            heard += list(stream)
        assert [event.data for event in heard[1:-1]] == sent
        assert heard[-1].name == "verdict"
        assert told(mortal.tail(heard[0].data["turn"])) == told(heard)
    turns = mortal.session(session)["turns"]
    assert [turn["answer"] for turn in turns] == ["One, two, three."] * len(sent)
    assert mortal.http.get("/api/stats").json()["totals"]["turns"] == len(sent)
