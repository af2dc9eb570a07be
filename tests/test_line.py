"""The connection that all of a process's commands share: each caller gets its own answers, whatever the others do."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from random import Random

import pytest
import uvloop

from app.store.connection import Store, StoreUnavailable
from app.store.nodes import COMMAND_TIMEOUT_S
from tests.running import RedisProcess

# So many that what happens once in thirty is bound to happen.
TRIES = 200


@pytest.fixture
async def store(own_redis: RedisProcess) -> AsyncIterator[Store]:
    store = Store(own_redis.url)
    yield store
    await store.close()


def connected(redis: RedisProcess) -> int:
    """How many connections there are, but for the one that asks."""
    return redis.say(b"CLIENT LIST").count(b"id=") - 1


async def test_many_callers_at_once_each_get_their_answer_over_one_connection(
    store: Store, own_redis: RedisProcess
) -> None:
    async def echo(number: int) -> bool:
        word = f"{number} ü" * (10_000 if number % 50 == 0 else 1)
        return bool(await store.do("ECHO", word) == word.encode())

    async def count(number: int) -> bool:
        key = f"{{{number}}}"
        first, second, refused = await store.batch([("INCR", key), ("INCR", key), ("LPUSH", key, 1)])
        done = await store.together([("INCR", key), ("GET", key)])
        return (first, second, type(refused).__name__, done) == (1, 2, "ResponseError", [3, b"3"])

    assert all(await asyncio.gather(*(work(number) for number in range(200) for work in (echo, count))))
    assert connected(own_redis) == 1


async def test_who_gives_up_on_an_answer_takes_nobody_elses(store: Store) -> None:
    async def echo(number: int) -> bytes:
        answer: bytes = await store.do("ECHO", str(number))
        return answer

    await store.check()
    asked = [asyncio.create_task(echo(number)) for number in range(100)]
    await asyncio.sleep(0)
    for task in asked[::3]:
        task.cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [answer for answer in answers if isinstance(answer, bytes)] == [
        b"%d" % number for number in range(100) if number % 3
    ]


async def test_a_blocked_reader_holds_up_nobody(store: Store) -> None:
    reading = asyncio.create_task(store.news({"{s}journal": "0"}, 20_000))
    began = time.monotonic()
    while not reading.done() and time.monotonic() < began + 20:
        await store.do("XADD", "{s}journal", "*", "f", "news")
    assert len(await reading) == 1


async def test_a_redis_that_was_restarted_is_found_again(store: Store, own_redis: RedisProcess) -> None:
    await store.do("SET", "kept", "1")
    own_redis.stop()
    with pytest.raises(StoreUnavailable):
        await store.do("GET", "kept")
    own_redis.start()
    assert await store.do("GET", "kept") == b"1"


def test_a_connection_that_is_lost_while_it_is_made_is_a_redis_that_is_away(own_redis: RedisProcess) -> None:
    carrying: set[asyncio.Task[None] | None] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carrying.add(asyncio.current_task())
        asyncio.get_running_loop().call_later(Random().uniform(0, 0.003), writer.transport.abort)
        from_redis, to_redis = await asyncio.open_unix_connection(str(own_redis.socket))
        with suppress(ConnectionError):
            while not writer.is_closing() and (said := await reader.read(65536)):
                to_redis.write(said)
                answered = await from_redis.read(65536)
                if not writer.is_closing():
                    writer.write(answered)
        for end in (to_redis, writer):
            end.transport.abort()

    async def listen(store: Store) -> None:
        async for _ in store.listen("a channel"):
            pass

    async def go() -> set[type]:
        server = await asyncio.start_server(carry, "127.0.0.1", 0)
        said = set()
        for number in range(TRIES):
            store = Store(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            # Asked three more times within a moment, a command is answered in the end, more often than not.
            for attempt in (store.do("GET", "x"), listen(store)) if number % 4 == 0 else (listen(store),):
                try:
                    await attempt
                except Exception as error:
                    said.add(type(error))
            await store.close()
        server.close()
        # The last to be let in may only just have been.
        await asyncio.sleep(0)
        await asyncio.gather(*filter(None, carrying), return_exceptions=True)
        return said

    # Its errors are what the servers see.
    assert uvloop.run(go()) == {StoreUnavailable}


async def test_silence_is_noticed_by_everyone_who_waits(store: Store, own_redis: RedisProcess) -> None:
    await store.check()
    said = own_redis.say(b"INFO server").decode()
    pid = next(int(line.split(":")[1]) for line in said.splitlines() if line.startswith("process_id:"))
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        async with asyncio.timeout(COMMAND_TIMEOUT_S * 5):
            answers = await asyncio.gather(*(store.do("GET", "x") for _ in range(20)), return_exceptions=True)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert {type(answer) for answer in answers} == {StoreUnavailable}
    assert time.monotonic() - began >= COMMAND_TIMEOUT_S
    assert await store.do("GET", "x") is None
