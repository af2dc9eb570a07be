"""The ledger over a real Redis: every call an entry, and totals that are their sum."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import asdict

import pytest

from app.ledger.book import Call, Ledger
from app.ledger.counters import Answered
from app.ledger.figures import figures
from app.ledger.usage import Usage
from app.ledger.verdict import Expectation, Timing, judge
from app.store.connection import Store
from app.store.ledger import LedgerStore
from tests.running import RedisProcess


@pytest.fixture
async def entries(redis: RedisProcess) -> AsyncIterator[LedgerStore]:
    store = Store(redis.url)
    yield LedgerStore(store, "upstream")
    await store.close()


@pytest.fixture
def ledger(entries: LedgerStore) -> Ledger:
    return Ledger(entries, lambda: 1_795_262_635.0)


def call(kind: str, usage: Usage, outcome: str = "ok", model: str = "claude-haiku-4-5") -> Call:
    return Call(
        kind,
        model,
        "digest",
        "s_1",
        usage,
        1.5 if outcome == "ok" else None,
        2.0,
        outcome,
        "msg_1",
        "t_1",
        context="c_1",
    )


async def test_an_entry_says_what_a_call_was_used_and_cost(ledger: Ledger, entries: LedgerStore) -> None:
    await ledger.record(call("warm", Usage(3, 1000, 200, 300, 0, True)))
    (entry,) = await entries.entries(10)
    assert entry == {
        **{"kind": "warm", "model": "claude-haiku-4-5", "digest": "digest"},
        **{"outcome": "ok", "read": 1000, "written_5m": 200, "written_1h": 300, "uncached": 3, "output": 0},
        # 3 × 1 + 1,000 × 0.10 + 200 × 1.25 + 300 × 2, per million
        **{"cost_usd": pytest.approx(0.000953), "message_id": "msg_1", "first_byte_s": 1.5, "duration_s": 2.0},
        **{"at": 1_795_262_635.0, "context": "c_1", "trigger": None, "id": entry["id"]},
        # Of their ids: the same for all their calls, and nothing that leads to them.
        **{"session": hashlib.sha256(b"s_1").hexdigest()[:32], "turn": hashlib.sha256(b"t_1").hexdigest()[:32]},
    }


async def test_the_newest_entry_comes_first_and_failures_are_entries_too(ledger: Ledger, entries: LedgerStore) -> None:
    await ledger.record(call("warm", Usage(), "upstream_overloaded"))
    await ledger.record(call("ask", Usage(), "stopped"))
    assert [entry["outcome"] for entry in await entries.entries(10)] == ["stopped", "upstream_overloaded"]
    assert [entry["outcome"] for entry in await entries.entries(1)] == ["stopped"]


async def test_totals_are_the_sum_of_all_calls(ledger: Ledger) -> None:
    await ledger.record(call("warm", Usage(0, 0, 100_000, 0, 0, True)))
    await ledger.record(call("ask", Usage(25, 100_000, 0, 0, 330, True)))
    await ledger.record(call("ask", Usage(), "upstream_timeout"))
    await ledger.record(call("ask", Usage(1000, 0, 0, 0, 10), "stopped", "my-own-model"))
    totals = asdict(figures((await ledger.sheets()).total))
    expected = {
        **{"warm_calls": 1, "ask_calls": 3, "ask_failed": 1, "unpriced_calls": 1},
        **{"tokens_read": 100_000, "tokens_written": 100_000, "tokens_uncached": 1025, "tokens_output": 340},
        # 100,000 × 1.25; 25 × 1 + 100,000 × 0.10 + 330 × 5; −100,000 × 1.25 + 100,000 × 0.90
        **{"warm_cost_usd": pytest.approx(0.125), "ask_cost_usd": pytest.approx(0.011675)},
        "saved_usd": pytest.approx(-0.035),
    }
    assert {name: totals[name] for name in expected} == expected


async def test_only_calls_whose_answer_began_teach_the_pace(ledger: Ledger) -> None:
    for tokens, seconds in ((100_000, 10.5), (200_000, 20.5)):
        await ledger.record(
            Call("ask", "m", "d", "s", Usage(tokens, 5, 0, 0, 1, True), seconds, seconds, "ok", context="c")
        )
        await ledger.record(
            Call("ask", "m", "d", "s", Usage(tokens, 5, 0, 0, 1, True), None, 99, "upstream_timeout", context="c")
        )
    pace = await ledger.pace("m")
    assert pace is not None
    assert (pace.base_s, pace.seconds_per_token) == pytest.approx((0.5, 0.0001))
    assert await ledger.pace("another") is None


async def test_verdicts_are_counted_by_what_the_cache_did_and_the_time_it_spared(ledger: Ledger) -> None:
    usages = [Usage(0, 1000, 0, 0, 1, True), Usage(0, 1000, 0, 0, 1, True), Usage(0, 0, 1000, 0, 1, True)]
    for number, usage in enumerate(usages):
        verdict = judge(
            "m",
            usage,
            Expectation(1000, None),
            Timing(0, 100, 200, 300),
            message_id=None,
            seconds_per_token=0.001,
        )
        await ledger.record_verdict(Answered(f"t_{number}", "c_1", verdict))
    totals = asdict(figures((await ledger.sheets()).total))
    # Two hits spared 1,000 tokens at a millisecond each; the miss spared nothing.
    assert (totals["turns"], totals["turns_hit"], totals["turns_miss"]) == (3, 2, 1)
    assert totals["waiting_saved_ms"] == 2000
