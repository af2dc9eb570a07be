"""Calls that nobody saw the end of: each is opened before it is made, and entered once, whoever dies in between."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.ledger.book import ABANDONED, Call, Ledger
from app.ledger.figures import figures
from app.ledger.usage import Usage
from app.store import keys
from app.store.connection import Store
from app.store.ledger import LedgerStore
from tests.running import RedisProcess

NOW = 1_795_262_635.0
USED = Usage(written_5m=5_000, reported=True)


@pytest.fixture
async def store(redis: RedisProcess) -> AsyncIterator[Store]:
    store = Store(redis.url)
    yield store
    await store.close()


def ledger(store: Store) -> Ledger:
    """The ledger of one process."""
    return Ledger(LedgerStore(store, "upstream"), lambda: NOW)


def call() -> Call:
    return Call("warm", "claude-sonnet-5-5", "digest", "s_1", context="c_1", lives_s=300)


def ended(opened: Call) -> Call:
    return replace(opened, usage=USED, first_byte_s=1.0, duration_s=1.0, outcome="ok")


async def let_lapse(store: Store) -> None:
    """Have the time pass for which every open call is vouched for."""
    for open_call in await store.do("ZRANGE", keys.LEDGER_VOUCHED, 0, -1):
        await store.do("ZADD", keys.LEDGER_VOUCHED, 1, open_call)


async def outcomes(book: Ledger) -> dict[str, int]:
    return figures((await book.sheets(periods=False)).total).calls["warm"]


async def still_open(store: Store) -> int:
    sizes = [await store.do("HLEN", keys.LEDGER_OPEN), await store.do("ZCARD", keys.LEDGER_VOUCHED)]
    assert len(set(sizes)) == 1
    return int(sizes[0])


async def test_a_call_that_ended_is_entered_and_no_longer_open(store: Store) -> None:
    book, opened = ledger(store), call()
    await book.open(opened)
    assert (await still_open(store), await outcomes(book)) == (1, {})
    await book.record(ended(opened))
    await let_lapse(store)
    await ledger(store).record_abandoned()
    assert (await still_open(store), await outcomes(book)) == (0, {"ok": 1})


async def test_what_nobody_vouches_for_is_entered_once_by_whoever_notices(store: Store) -> None:
    await ledger(store).open(call())
    others = [ledger(store) for _ in range(5)]
    await asyncio.gather(*(other.record_abandoned() for other in others))
    assert await outcomes(others[0]) == {}
    await let_lapse(store)
    await asyncio.gather(*(other.record_abandoned() for other in others))
    assert (await still_open(store), await outcomes(others[0])) == (0, {ABANDONED: 1})
    (entry,) = await others[0].entries(10)
    assert (entry["outcome"], entry["duration_s"], entry["cost_usd"], entry["written_5m"]) == (ABANDONED, None, 0, 0)


async def test_what_is_vouched_for_is_left_alone_and_so_is_ones_own(store: Store) -> None:
    book = ledger(store)
    await book.open(call())
    await let_lapse(store)
    await book.record_abandoned()
    await let_lapse(store)
    await book.vouch()
    await ledger(store).record_abandoned()
    assert (await still_open(store), await outcomes(book)) == (1, {})


async def test_one_that_dies_while_entering_leaves_it_to_the_next(store: Store) -> None:
    await ledger(store).open(call())
    await let_lapse(store)
    # It took the call over, and got no further.
    assert len(await LedgerStore(store, "upstream").adopt(8_000)) == 1
    await ledger(store).record_abandoned()
    assert await still_open(store) == 1
    await let_lapse(store)
    await ledger(store).record_abandoned()
    assert (await still_open(store), await outcomes(ledger(store))) == (0, {ABANDONED: 1})


async def test_a_process_that_was_only_asleep_sets_its_entry_right(store: Store) -> None:
    sleeper, other, opened = ledger(store), ledger(store), call()
    await sleeper.open(opened)
    await let_lapse(store)
    await other.record_abandoned()
    for _ in range(2):
        await sleeper.record(ended(opened))
    assert await outcomes(other) == {"ok": 1}
    sheets = await other.sheets(["c_1"])
    for sheet in (
        sheets.total,
        *list(sheets.hours.values())[-1:],
        *list(sheets.days.values())[-1:],
        sheets.contexts["c_1"],
    ):
        assert figures(sheet).calls["warm"] == {"ok": 1}
        assert (figures(sheet).warm_calls, figures(sheet).tokens_written) == (1, 5_000)
    (entry,) = await other.entries(10)
    assert (entry["id"], entry["outcome"]) == (opened.id, "ok")


async def test_one_that_is_stopped_before_it_is_made_is_no_call(store: Store) -> None:
    book = ledger(store)
    opening = asyncio.create_task(book.open(call()))
    await asyncio.wait([opening], timeout=0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    async with asyncio.timeout(5):
        while asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
    assert await still_open(store) == 0


async def test_without_redis_a_call_is_made_all_the_same_and_entered_when_redis_is_back(tmp_path: Path) -> None:
    redis = RedisProcess(tmp_path)
    store = Store(redis.url)
    book, opened = ledger(store), call()
    async with asyncio.timeout(10):
        await book.open(opened)
    redis.start()
    try:
        await book.vouch()
        await book.record(ended(opened))
        assert (await still_open(store), await outcomes(book)) == (0, {"ok": 1})
        await store.close()
    finally:
        redis.stop()


async def test_opening_costs_one_script_in_the_ledgers_slot(store: Store, redis: RedisProcess) -> None:
    book = ledger(store)
    await book.open(call())
    assert redis.say(b"CONFIG RESETSTAT") == b"+OK\r\n"
    await book.open(call())
    found = re.search(rb"cmdstat_evalsha:calls=(\d+)", redis.say(b"INFO commandstats"))
    assert found and int(found[1]) == 1
    assert all(key.startswith(b"hs:{ledger}:") for key in await store.do("KEYS", "*"))
