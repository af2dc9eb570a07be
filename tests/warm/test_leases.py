"""What is warm or being warmed already: refreshed in time, waited for within bounds, taken over from who sleeps."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from app.ledger.book import Call, Ledger
from app.ledger.usage import Usage
from app.store.connection import Store
from app.store.ledger import LedgerStore
from app.warm import patience
from tests.client import Client
from tests.recorder import Recorder, held
from tests.running import RedisProcess, free_port, server, serving, until
from tests.warm.gate import counting, warmed
from tests.warm.turning import Memory

MODEL = "claude-sonnet-5-5"
LEASE_MS = 10_000


def test_a_warm_is_refreshed_by_a_trigger_near_its_end_and_not_before(
    serve: Callable[..., Client], upstream: Recorder, memory: Memory
) -> None:
    client = serve()
    client.add_context()
    session = client.start()
    digest = session["prefix"]["digest"]
    assert warmed(client, session["session"]) == "warm"
    memory.age(digest, 265)
    ends = client.warm(session["session"], trigger="focus")["expires_at"]
    assert len(upstream.warms) == 1
    memory.age(digest, 10)
    # Nothing refreshes it by itself, and looking at it is no trigger.
    assert client.session(session["session"])["warm"]["state"] == "warm"
    assert len(upstream.warms) == 1
    refreshed = client.warm(session["session"], trigger="visible", wait=True)
    assert (refreshed["state"], len(upstream.warms)) == ("warm", 2)
    assert refreshed["expires_at"] > ends
    assert client.warm(session["session"], trigger="visible")["expires_at"] == refreshed["expires_at"]
    assert len(upstream.warms) == 2


def test_a_question_does_not_wait_while_a_live_entry_is_refreshed(
    serve: Callable[..., Client], upstream: Recorder, memory: Memory
) -> None:
    client = serve()
    client.add_context()
    session = client.start()
    assert warmed(client, session["session"]) == "warm"
    memory.age(session["prefix"]["digest"], 275)
    upstream.script.append(held)
    assert client.warm(session["session"], trigger="focus")["state"] == "warming"
    upstream.wait_for(2)
    first, *_, last = client.ask(session["session"], "Now?")
    assert first.data["plan"] == "hit"
    assert (last.data["cache"], last.data["expected_read"], last.data["waited_ms"]) == ("hit", 5_000, 0)
    upstream.release()


def test_a_refresh_that_is_refused_leaves_warm_what_is_warm(serve: Callable[..., Client], memory: Memory) -> None:
    client = serve()
    client.add_context()
    session = client.start()
    assert warmed(client, session["session"]) == "warm"
    memory.age(session["prefix"]["digest"], 275)
    name = memory.key("hs:bucket:*all*")
    memory.redis.hset(name, mapping={"tokens": "0", "at": f"{memory.now_ms() / 1_000 + 5:.3f}"})
    assert client.warm(session["session"], trigger="focus")["state"] == "warm"
    assert client.ask(session["session"], "Now?")[0].data["plan"] == "hit"


async def taught(redis_url: str, identity: str, calls: list[tuple[int, float]]) -> None:
    """Teach a deployment its pace: calls of so many uncached tokens that took so many seconds to their first byte."""
    store = Store(redis_url)
    ledger = Ledger(LedgerStore(store, identity), time.time)
    for tokens, seconds in calls:
        seen = Usage(uncached=tokens, reported=True)
        await ledger.record(Call("ask", MODEL, "d", "s_1", seen, seconds, seconds, "ok", context="c_1"))
    await store.close()


def test_a_question_gives_up_on_a_warm_at_the_stated_multiple_of_what_it_should_take(
    serve: Callable[..., Client],
    redis: RedisProcess,
    upstream: Recorder,
    memory: Memory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "JOIN_FLOOR_S", 0.0)
    client = serve()
    client.add_context(documents=[{"title": "a", "text": "Alpha beta. " * 1_000}])
    session = client.start()
    upstream.script.append(held)
    client.warm(session["session"])
    upstream.wait_for(1)
    identity = memory.key("hs:warm:*").split("{")[1].split(":")[0]
    # A base of 0.1 s and 20 µs a token.
    asyncio.run(taught(redis.url, identity, [(1_000, 0.12), (10_000, 0.3), (20_000, 0.5)]))
    # It has been under way for longer than a hit takes, so that nobody takes over.
    memory.redis.hincrby(memory.key("hs:warm:*"), "started_ms", -1_000)
    last = client.ask(session["session"], "How long?")[-1].data
    tokens = session["prefix"]["bytes"] / 3.3
    expected_ms = 3 * (100 + tokens * 0.02)
    assert 0.9 * expected_ms < last["waited_ms"] < expected_ms + 1_500
    assert (last["reason"], last["detail"]) in [(None, None), ("join_gave_up", None)]
    upstream.release()


def test_a_warm_that_has_lost_its_lease_is_given_up_too_when_its_server_ends(
    redis: RedisProcess, upstream: Recorder, memory: Memory
) -> None:
    upstream.default = held
    with serving(redis.url, upstream.url) as url, httpx2.Client(base_url=url, timeout=30) as http:
        client = Client(http)
        client.add_context()
        session = client.start()
        for number in (1, 2):
            assert client.warm(session["session"])["state"] == "warming"
            upstream.wait_for(number)
            memory.age(session["prefix"]["digest"], LEASE_MS / 1_000)
    with serving(redis.url, upstream.url) as url, httpx2.Client(base_url=url, timeout=30) as http:
        assert http.get("/api/stats").json()["totals"]["warm_stopped"] == 2


def test_a_stalled_process_blocks_nobody_longer_than_its_lease_and_overwrites_nothing(
    redis: RedisProcess, upstream: Recorder, memory: Memory, tmp_path: Path
) -> None:
    environment = {
        "HEADSTART_REDIS_URL": redis.url,
        "ANTHROPIC_BASE_URL": upstream.url,
        "ANTHROPIC_API_KEY": "sk-test-key",
        "HEADSTART_VALUE_OF_SECOND_USD": "1000000",
        "HEADSTART_PORT": str(free_port()),
    }
    with ExitStack() as stack:
        stalled = stack.enter_context(server(log=tmp_path / "stalled.log", **environment))
        survivor = stack.enter_context(serving(redis.url, upstream.url, limits="on"))
        stalled.wait_ready()
        client = Client(stack.enter_context(httpx2.Client(base_url=stalled.url, timeout=30)))
        client.add_context()
        session = client.start()
        digest = session["prefix"]["digest"]
        other = Client(stack.enter_context(httpx2.Client(base_url=survivor, timeout=30)))
        other.http.cookies.update(dict(client.http.cookies))
        upstream.script.append(held)
        assert client.warm(session["session"])["state"] == "warming"
        upstream.wait_for(1)
        stalled.popen.send_signal(signal.SIGSTOP)
        try:
            assert other.warm(session["session"])["state"] == "warming"
            left_ms = int(memory.warm(digest)["lease_ms"]) - memory.now_ms()
            assert left_ms <= LEASE_MS
            # The lease runs out: another takes over, and is not in the way of itself.
            memory.age(digest, left_ms / 1_000 + 0.1)
            upstream.script.append(counting(4_321))
            taken = other.warm(session["session"], wait=True)
            assert (taken["state"], taken["tokens_written"]) == ("warm", 4_321)
            settled = memory.warm(digest)
        finally:
            stalled.popen.send_signal(signal.SIGCONT)
        # The one that slept wakes to its answer, pays for it, and leaves what is known as it is.
        upstream.release()
        until(lambda: other.http.get("/api/stats").json()["totals"]["warm_calls"] == 2, "the books to have both calls")
        until(lambda: not memory.redis.keys("hs:budget:*:*"), "nothing to be reserved")
        assert memory.warm(digest) == settled
        assert other.ask(session["session"], "Which one?")[-1].data["expected_read"] == 4_321
