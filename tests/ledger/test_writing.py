"""What writing to the ledger costs: one script over one slot, and keys that end."""

import re
from collections.abc import AsyncIterator

import pytest

from app.ledger.book import Call, Ledger
from app.ledger.counters import ASK, WARM, Answered
from app.ledger.usage import Usage
from app.ledger.verdict import Expectation, Timing, judge
from app.store import keys
from app.store.connection import Store
from app.store.ledger import DAYS_KEPT_S, HOURS_KEPT_S, LedgerStore, day_of, hour_of
from tests.running import RedisProcess

NOW = 1_795_262_635.0


@pytest.fixture
async def store(redis: RedisProcess) -> AsyncIterator[Store]:
    store = Store(redis.url)
    yield store
    await store.close()


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger(LedgerStore(store, "upstream"), lambda: NOW)


def call(kind: str, trigger: str | None = None) -> Call:
    usage = Usage(7, 5000 if kind == ASK else 0, 5000 if kind == WARM else 0, 0, 9, True)
    return Call(
        kind, "claude-sonnet-5-5", "digest", "s_1", usage, 0.5, 1.0, "ok", context="c_1", trigger=trigger, lives_s=300
    )


async def answer(ledger: Ledger) -> None:
    verdict = judge(
        "m",
        Usage(read=5, reported=True),
        Expectation(5, None),
        Timing(0, 1, 2, 3),
        message_id=None,
        seconds_per_token=None,
    )
    await ledger.record_verdict(Answered("t_1", "c_1", verdict, 1))


def scripts_run(redis: RedisProcess) -> int:
    found = re.search(rb"cmdstat_evalsha:calls=(\d+)", redis.say(b"INFO commandstats"))
    return int(found[1]) if found else 0


async def test_a_call_a_verdict_and_a_skip_are_one_script_each(ledger: Ledger, redis: RedisProcess) -> None:
    await ledger.count_skip("c_1", "disabled")
    for writing in (ledger.record(call(WARM)), ledger.record(call(ASK)), answer(ledger)):
        assert redis.say(b"CONFIG RESETSTAT") == b"+OK\r\n"
        await writing
        assert scripts_run(redis) == 1


async def test_all_of_the_ledger_lies_in_one_slot(ledger: Ledger, store: Store) -> None:
    await ledger.record(call(WARM))
    await ledger.record(call(ASK))
    await answer(ledger)
    found = await store.do("KEYS", "*")
    assert len(found) >= 7
    assert all(key.startswith(b"hs:{ledger}:") for key in found)


async def test_what_adds_up_outlives_entries_and_yet_does_not_grow_for_ever(ledger: Ledger, store: Store) -> None:
    await ledger.record(call(WARM))
    assert await store.do("TTL", keys.ledger_total()) == -1
    for key, kept_s in (
        (keys.ledger_hour(hour_of(NOW)), HOURS_KEPT_S),
        (keys.ledger_day(day_of(NOW)), DAYS_KEPT_S),
        (keys.ledger_context("c_1"), DAYS_KEPT_S),
    ):
        assert 0 <= kept_s - await store.do("TTL", key) <= 5


async def test_a_warm_says_what_triggered_it(ledger: Ledger) -> None:
    await ledger.record(call(WARM, "keystroke"))
    await ledger.record(call(ASK))
    assert [(entry["kind"], entry["trigger"]) for entry in await ledger.entries(5)] == [
        (ASK, None),
        (WARM, "keystroke"),
    ]


async def test_warms_that_nobody_used_are_forgotten_once_no_question_can_claim_them(
    redis: RedisProcess, store: Store
) -> None:
    now = NOW
    ledger = Ledger(LedgerStore(store, "upstream"), lambda: now)
    await ledger.record(call(WARM))
    now += 300 + 3600 + 10
    await ledger.record(Call(WARM, "m", "another", "s_1", Usage(0, 0, 9, 0, 0, True), 1, 1, "ok", context="c_1"))
    assert await store.do("HKEYS", keys.LEDGER_UNUSED) == [b"upstream:another"]
    assert redis.say(b"ZCARD hs:{ledger}:ends") == b":1\r\n"


async def test_two_upstreams_never_use_each_others_warms(store: Store) -> None:
    one, other = (Ledger(LedgerStore(store, name), lambda: NOW) for name in ("one", "other"))
    await one.record(call(WARM))
    await other.record(call(ASK))
    assert len(await store.do("HKEYS", keys.LEDGER_UNUSED)) == 1
    await one.record(call(ASK))
    assert await store.do("HKEYS", keys.LEDGER_UNUSED) == []
