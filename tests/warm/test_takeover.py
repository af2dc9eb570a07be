"""A question that comes just after the focus: it does not wait for a warm that has only begun, but goes itself.

The upstream's pace is taught: 5,000 tokens take 20 seconds, a hit 8.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx2
import pytest

from app.ledger.book import Call, Ledger
from app.ledger.usage import Usage
from app.store.connection import Store
from app.store.ledger import LedgerStore
from app.upstream.client import Upstream
from app.warm import coordinator
from tests.client import Client
from tests.recorder import END, Exchange, Recorder, answer, held, message_start, text_events, usage
from tests.running import RedisProcess, serving
from tests.warm.turning import Memory

MODEL = "claude-sonnet-5-5"
COLD_S, HIT_S = 20.0, 8.0
COLD, HIT = (5_000, COLD_S), (0, HIT_S)


def teach(redis: RedisProcess, upstream: Recorder, *points: tuple[int, float]) -> None:
    """Have the deployment remember calls that wrote so many tokens, and took so many seconds."""

    async def record() -> None:
        identity = Upstream(upstream.url, "sk-test-key", timeout_s=1, max_retries=0).identity
        store = Store(redis.url)
        ledger = Ledger(LedgerStore(store, identity), lambda: 1_700_000_000.0)
        for written, seconds in points:
            used = Usage(read=5_000 - written, written_5m=written, reported=True)
            await ledger.record(Call("ask", MODEL, "d", "s", used, seconds, seconds, "ok", context="c"))
        await store.close()

    asyncio.run(record())


async def cold(exchange: Exchange) -> None:
    """Answer a question, after `Recorder.release`, that wrote the cache."""
    if await exchange.pause():
        await exchange.start_stream()
        for data in (message_start(exchange.number, usage(read=0, written=5_000)), *text_events("Cold."), *END):
            await exchange.event(data)
        await exchange.end_stream()


@contextmanager
def clients(redis: RedisProcess, upstream: Recorder, count: int = 1, **settings: object) -> Iterator[list[Client]]:
    """Clients of so many servers, of one owner."""
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(redis.url, upstream.url, **settings)) for _ in range(count)]
        found = [Client(stack.enter_context(httpx2.Client(base_url=url, timeout=30))) for url in urls]
        found[0].add_context()
        for other in found[1:]:
            other.http.cookies.update(dict(found[0].http.cookies))
        yield found


def test_a_question_does_not_wait_for_a_warm_that_has_only_begun(redis: RedisProcess, upstream: Recorder) -> None:
    teach(redis, upstream, COLD, HIT, COLD, HIT)
    with clients(redis, upstream) as [client]:
        mine, other = (client.start()["session"] for _ in range(2))
        upstream.script.extend([held, cold])
        assert client.warm(mine)["state"] == "warming"
        upstream.wait_for(1)
        with client.asking(mine, "Now?") as stream, client.asking(other, "And I?") as joining:
            first = next(stream)
            assert (first.data["plan"], first.data["warm"]["state"]) == ("cold", "warming")
            upstream.wait_for(2)
            # The warm's call is given up at once, and others join the question.
            assert upstream.warms[0].hung_up.wait(30)
            assert next(joining).data["plan"] == "join"
            assert len(upstream.exchanges) == 2
            upstream.release()
            *_, last = stream
            *_, joined = joining
    assert (last.name, last.data["reason"]) == ("verdict", "not_warmed")
    assert "its warm began only" in last.data["detail"]
    assert last.data["waited_ms"] == 0 < joined.data["waited_ms"]
    assert [exchange.is_warm for exchange in upstream.exchanges] == [True, False, False]


def test_what_the_call_that_was_given_up_may_have_cost_stays_set_aside(
    redis: RedisProcess, upstream: Recorder, memory: Memory
) -> None:
    teach(redis, upstream, COLD, HIT, COLD, HIT)
    with clients(redis, upstream, limits="on") as [client]:
        session = client.start()["session"]
        upstream.script.append(held)
        client.warm(session)
        upstream.wait_for(1)
        budget = memory.key("hs:budget:{all}")
        reserved = memory.redis.hget(budget, "hour_spent")
        assert client.ask(session, "Now?")[0].data["plan"] == "cold"
        assert upstream.warms[0].hung_up.wait(30)
        assert client.http.get("/api/stats").json()["totals"]["warm_stopped"] == 1
    # The server has ended, and with it whatever was still to be settled.
    assert memory.redis.hget(budget, "hour_spent") == reserved != "0"


@pytest.mark.parametrize("points", [(), (HIT, COLD), (COLD,) * 5, (HIT,) * 5, (COLD,) * 40 + (HIT,) + (COLD,) * 40])
def test_where_too_little_is_known_of_the_pace_it_waits(
    redis: RedisProcess, upstream: Recorder, points: tuple[tuple[int, float], ...]
) -> None:
    teach(redis, upstream, *points)
    assert_joins(redis, upstream)


def test_it_waits_for_a_warm_that_is_under_way_for_longer_than_a_hit_takes(
    redis: RedisProcess, upstream: Recorder, memory: Memory
) -> None:
    teach(redis, upstream, COLD, HIT, COLD, HIT)
    assert_joins(redis, upstream, memory, aged_s=HIT_S)


def assert_joins(redis: RedisProcess, upstream: Recorder, memory: Memory | None = None, aged_s: float = 0.0) -> None:
    with clients(redis, upstream) as [client]:
        session = client.start()
        upstream.script.append(held)
        client.warm(session["session"])
        upstream.wait_for(1)
        if memory is not None:
            record = f"hs:warm:*{session['prefix']['digest']}}}"
            memory.redis.hincrby(memory.key(record), "started_ms", -round(aged_s * 1000))
        with client.asking(session["session"], "Now?") as stream:
            assert next(stream).data["plan"] == "join"
            upstream.release()
            *_, last = stream
    assert last.name == "verdict"
    assert [exchange.is_warm for exchange in upstream.exchanges] == [True, False]


def test_a_question_does_not_take_over_from_another_question(redis: RedisProcess, upstream: Recorder) -> None:
    teach(redis, upstream, COLD, HIT, COLD, HIT)
    with clients(redis, upstream) as [client]:
        one, other = (client.start()["session"] for _ in range(2))
        upstream.script.append(held)
        with client.asking(one, "First?") as first, client.asking(other, "Second?") as second:
            assert [next(stream).data["plan"] for stream in (first, second)] == ["cold", "join"]
            upstream.release()
            assert [list(stream)[-1].name for stream in (first, second)] == ["verdict"] * 2
    assert len(upstream.asks) == 2


def test_a_warm_that_only_refreshes_is_left_alone(redis: RedisProcess, upstream: Recorder, memory: Memory) -> None:
    teach(redis, upstream, COLD, HIT, COLD, HIT)
    with clients(redis, upstream) as [client]:
        session = client.start()
        client.warm(session["session"], wait=True)
        memory.age(session["prefix"]["digest"], 280)
        upstream.script.append(held)
        assert client.warm(session["session"])["state"] == "warming"
        upstream.wait_for(2)
        assert client.ask(session["session"], "Still?")[0].data["plan"] == "hit"
        assert not upstream.warms[1].hung_up.is_set()
        upstream.release()


def test_a_warm_of_another_process_is_given_up_when_its_lease_would_be_renewed(
    redis: RedisProcess, upstream: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinator, "LEASE_MS", 900)
    teach(redis, upstream, COLD, HIT, COLD, HIT)
    with clients(redis, upstream, 2) as [here, there]:
        session = here.start()["session"]
        upstream.script.append(held)
        here.warm(session)
        upstream.wait_for(1)
        assert there.ask(session, "Now?")[0].data["plan"] == "cold"
        assert upstream.warms[0].hung_up.wait(30)
        # Its end changes nothing of what the question left.
        assert here.session(session)["warm"]["state"] == there.session(session)["warm"]["state"]
        fork = here.http.post(f"/api/sessions/{session}/fork", json={"after_turn": 0}).json()
        assert fork["warm"]["state"] == "warm"
        upstream.default = answer
        assert here.ask(fork["session"], "And now?")[0].data["plan"] == "hit"
