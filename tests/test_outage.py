"""While Redis is away, those who wait for it ask seldom, however many they are; when it is back, all go on at once."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial

import pytest

from app.store.connection import Store, StoreClosed, persistently
from tests.running import RedisProcess

WAITING = 100


class Waiting:
    """`WAITING` steps that must be taken, each over and over until it is."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.tries: Counter[int] = Counter()
        self.done: dict[int, float] = {}
        self._changed = asyncio.Event()
        self.tasks = [asyncio.create_task(persistently(partial(self._try, one))) for one in range(WAITING)]

    async def _try(self, one: int) -> None:
        self.tries[one] += 1
        self._changed.set()
        await self._store.do("INCR", f"hs:{one}")
        self.done[one] = time.monotonic()

    async def until_tried(self, times: int) -> None:
        """Until each has been tried so often, on average."""
        while self.tries.total() < times * WAITING:
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 30)


@pytest.fixture
async def store(own_redis: RedisProcess) -> AsyncIterator[Store]:
    store = Store(own_redis.url)
    await store.check()
    await asyncio.to_thread(own_redis.stop)
    yield store
    await store.close()


async def test_many_wait_for_redis_as_cheaply_as_one_and_all_go_on_when_it_is_back(
    own_redis: RedisProcess, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    began = time.monotonic()
    waiting = Waiting(store)
    await waiting.until_tried(3)
    # Four tries a second each would have taken less than one.
    assert time.monotonic() - began > 2
    await asyncio.to_thread(own_redis.start)
    await asyncio.wait_for(asyncio.gather(*waiting.tasks), 30)
    assert max(waiting.done.values()) - min(waiting.done.values()) < 0.5
    assert [await store.do("GET", f"hs:{one}") for one in range(WAITING)] == [b"1"] * WAITING
    assert caplog.messages.count("Redis is away: trying until it is back") == 1


async def test_those_who_wait_get_through_when_who_tried_for_them_gives_up(
    own_redis: RedisProcess, store: Store
) -> None:
    waiting = Waiting(store)
    await waiting.until_tried(1)
    kept = waiting.tasks.pop()
    while waiting.tasks:
        waiting.tasks.pop(0).cancel()
        await asyncio.sleep(0)
    await asyncio.to_thread(own_redis.start)
    await asyncio.wait_for(kept, 30)


async def test_who_waits_for_redis_waits_no_more_when_this_process_has_closed_the_store(store: Store) -> None:
    waiting = Waiting(store)
    await waiting.until_tried(2)
    await store.close()
    ended = await asyncio.wait_for(asyncio.gather(*waiting.tasks, return_exceptions=True), 30)
    assert {type(one) for one in ended} == {StoreClosed}


async def test_who_connects_to_redis_hears_that_this_process_has_closed_the_store_and_is_not_cancelled() -> None:
    greeted = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        greeted.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        store = Store(f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}/0")
        waiting = [asyncio.create_task(persistently(partial(store.do, "GET", f"hs:{one}"))) for one in range(3)]
        await asyncio.wait_for(greeted.wait(), 30)
        given_up = waiting.pop()
        given_up.cancel()
        await store.close()
        ended = await asyncio.wait_for(asyncio.gather(*waiting, given_up, return_exceptions=True), 30)
    assert [type(one) for one in ended] == [StoreClosed, StoreClosed, asyncio.CancelledError]
