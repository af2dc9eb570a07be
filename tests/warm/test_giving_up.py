"""Waiting too long for a call under way: one question takes a slow warm's place, and what was written beside one counts."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from app.ledger.book import Call, Ledger
from app.store.warms import COLD as COLD_RECORD
from app.store.warms import WarmRecord, Warms, WarmState
from tests.client import Client, Event
from tests.recorder import END, Exchange, Recorder, held, message_start, text_events, usage
from tests.running import RedisProcess, until
from tests.warm.test_takeover import clients, cold
from tests.warm.test_withdrawing import fence, state, warms

__all__ = ["warms"]


async def wrote(exchange: Exchange) -> None:
    """Answer a question that wrote the cache, at once."""
    await exchange.start_stream()
    for data in (message_start(exchange.number, usage(read=0, written=5_000)), *text_events("Beside."), *END):
        await exchange.event(data)
    await exchange.end_stream()


@contextmanager
def waiting(client: Client, sessions: list[str]) -> Iterator[list[Iterator[Event]]]:
    """A question in each session, all of which join a call under way."""
    with ExitStack() as stack:
        streams = [stack.enter_context(client.asking(session, "And I?")) for session in sessions]
        assert [next(stream).data["plan"] for stream in streams] == ["join"] * len(streams)
        yield streams


def test_of_those_who_gave_up_on_a_warm_one_takes_over_and_the_others_join_it(
    redis: RedisProcess, upstream: Recorder
) -> None:
    with clients(redis, upstream, join_timeout_s=2) as [client]:
        sessions = [client.start()["session"] for _ in range(4)]
        upstream.script.extend([held, cold])
        client.warm(sessions[0])
        upstream.wait_for(1)
        with waiting(client, sessions) as streams:
            upstream.wait_for(2)
            assert upstream.warms[0].hung_up.wait(30)
            upstream.release()
            ends = [list(stream)[-1] for stream in streams]
    assert [end.name for end in ends] == ["verdict"] * 4
    # One wrote the prefix, and they knew that it had.
    assert sorted(end.data["expected_read"] for end in ends) == [0, 5_000, 5_000, 5_000]
    assert [end.data["reason"] for end in ends if end.data["cache"] == "miss"] == ["join_gave_up"]
    assert [exchange.is_warm for exchange in upstream.exchanges] == [True, False, False, False, False]


def test_the_one_that_took_over_may_be_slow_too_and_then_nobody_waits_a_third_time(
    redis: RedisProcess, upstream: Recorder
) -> None:
    with clients(redis, upstream, join_timeout_s=0.3) as [client]:
        sessions = [client.start()["session"] for _ in range(2)]
        upstream.script.extend([held, held])
        client.warm(sessions[0])
        upstream.wait_for(1)
        with waiting(client, sessions) as streams:
            # Whichever of them took over is still held.
            upstream.wait_for(3)
            fork = client.http.post(f"/api/sessions/{sessions[0]}/fork", json={"after_turn": 0}).json()["session"]
            upstream.release()
            waits = sorted(list(stream)[-1].data["waited_ms"] for stream in streams)
        assert waits[0] >= 300 and waits[1] >= 600
        assert client.session(fork)["warm"]["state"] == "warm"


def test_what_a_question_wrote_beside_a_slow_one_is_known_at_once(redis: RedisProcess, upstream: Recorder) -> None:
    with clients(redis, upstream, join_timeout_s=0.3) as [client]:
        first, second, third = (client.start()["session"] for _ in range(3))
        upstream.script.extend([held, wrote])
        with client.asking(first, "First?") as slow, waiting(client, [second]) as [beside]:
            assert list(beside)[-1].data["reason"] == "join_gave_up"
            began, *_, ended = client.ask(third, "And now?")
            assert (began.data["plan"], ended.data["expected_read"]) == ("hit", 5_000)
            upstream.release()
            assert list(slow)[-1].name == "verdict"


def test_it_is_known_also_when_the_slow_one_was_stopped_before_that(redis: RedisProcess, upstream: Recorder) -> None:
    with clients(redis, upstream, join_timeout_s=0.3) as [client]:
        first, second, third = (client.start()["session"] for _ in range(3))
        upstream.script.extend([held, cold])
        with client.asking(first, "First?") as slow, waiting(client, [second]) as [beside]:
            turn = next(slow).data["turn"]
            upstream.wait_for(2)
            assert client.http.post(f"/api/turns/{turn}/stop").is_success
            assert list(slow)[-1].name == "stopped"
            upstream.release()
            assert list(beside)[-1].data["reason"] == "join_gave_up"
        began, *_, ended = client.ask(third, "And now?")
        assert (began.data["plan"], ended.data["expected_read"]) == ("hit", 5_000)


def test_a_warm_whose_call_has_ended_enters_what_it_cost_whoever_takes_its_place(
    redis: RedisProcess, upstream: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = Ledger.record

    async def slowly(ledger: Ledger, call: Call) -> None:
        if call.kind == "warm":
            await asyncio.sleep(2)
        await record(ledger, call)

    monkeypatch.setattr(Ledger, "record", slowly)
    with clients(redis, upstream, join_timeout_s=0.3) as [client]:
        session = client.start()["session"]
        client.warm(session)
        first, *_, last = client.ask(session, "Now?")
        assert (first.data["plan"], last.data["expected_read"]) == ("join", 0)

        def totals() -> dict[str, Any]:
            return dict(client.http.get("/api/stats").json()["totals"])

        until(lambda: totals()["warm_calls"], "the warm in the ledger")
        assert (totals()["calls"]["warm"], totals()["warm_cost_usd"] > 0) == ({"ok": 1}, True)


async def test_what_was_written_beside_a_warm_that_is_taken_back_is_warm_and_no_warm_was_used(warms: Warms) -> None:
    now_ms = (await warms.get("d"))[1]
    holder = await fence(warms, "s_1", "focus")
    found = WarmRecord(WarmState.WARM, expires_ms=now_ms + 60_000, tokens_read=0, tokens_written=5_000)
    assert await warms.use("d", found) is None
    assert await warms.withdraw("d", holder)
    assert (await state(warms)).expires_ms == now_ms + 60_000
    assert (await state(warms)).state is WarmState.WARM
    assert await warms.use("d", found) is None


@pytest.mark.parametrize("outcome", [WarmState.FAILED, WarmState.COLD])
async def test_what_came_to_nothing_before_a_question_wrote_is_warm_by_the_question(
    warms: Warms, outcome: WarmState
) -> None:
    now_ms = (await warms.get("d"))[1]
    found = WarmRecord(WarmState.WARM, expires_ms=now_ms + 60_000, tokens_read=0, tokens_written=5_000)
    assert await warms.use("d", found) is None
    assert await state(warms) == COLD_RECORD, "nothing was ever claimed"
    failed = WarmRecord(outcome, reason="upstream_failed")
    assert await warms.settle("d", await fence(warms, "s_1", "focus"), failed)
    assert await warms.use("d", found) is None
    after = await state(warms)
    assert (after.state, after.reason, after.tokens) == (WarmState.WARM, None, 5_000)
    assert await warms.use("d", found) is None


@pytest.mark.parametrize("outcome", [WarmState.WARM, WarmState.FAILED, WarmState.COLD])
async def test_the_end_of_the_slow_call_takes_nothing_from_what_is_known(warms: Warms, outcome: WarmState) -> None:
    now_ms = (await warms.get("d"))[1]
    holder = await fence(warms, "s_1", "focus")
    assert (await state(warms)).expires_ms is None
    found = WarmRecord(WarmState.WARM, expires_ms=now_ms + 60_000, tokens_read=0, tokens_written=5_000)
    assert await warms.use("d", found) is None
    beside = await state(warms)
    assert (beside.live, beside.tokens, beside.expires_ms) == (True, 5_000, now_ms + 60_000)
    sooner = replace(found, state=outcome, expires_ms=now_ms + 40_000 if outcome is WarmState.WARM else None)
    assert await warms.settle("d", holder, sooner)
    after = await state(warms)
    assert (after.state, after.tokens, after.expires_ms) == (WarmState.WARM, 5_000, now_ms + 60_000)
    # A call that came to nothing is what nobody used.
    assert await warms.use("d", found) == ("focus" if outcome is WarmState.WARM else None)
