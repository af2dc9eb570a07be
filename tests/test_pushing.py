"""What is published reaches a client whole and in order, whether its connection takes it at once or has it wait."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.store.turns import Entry, event_id
from app.turns.feed import MOST_AT_ONCE, Feed
from app.turns.tail import Tail


def frame(number: int) -> bytes:
    return b"id: %d\n\n" % number


def tail_of(feed: Feed, after: int = 0) -> Tail:
    return Tail(after, lambda: feed, lambda _: None)


async def settled() -> None:
    """Until all that can go on without news has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def published(feed: Feed, sizes: list[int], between: Callable[[], Awaitable[None]]) -> bytes:
    """Publish so many events at a time, the last of them the end; all their frames."""
    number, frames = 0, []
    for place, size in enumerate(sizes):
        entries = []
        for _ in range(size):
            number += 1
            entries.append(Entry(event_id(0, number), frame(number)))
        if place == len(sizes) - 1:
            entries[-1] = entries[-1]._replace(last=True)
        frames += [entry.frame for entry in entries]
        feed.publish(entries)
        await between()
    return b"".join(frames)


@given(
    st.lists(st.one_of(st.integers(1, 5), st.just(MOST_AT_ONCE + 3)), min_size=1, max_size=12),
    st.lists(st.integers(0, 3), min_size=1, max_size=8),
    st.booleans(),
)
async def test_a_client_gets_every_frame_once_however_slowly_it_takes_them(
    sizes: list[int], waits: list[int], pause: bool
) -> None:
    feed, got = Feed("session", "turn"), b""
    calls = 0

    async def send(chunk: bytes) -> None:
        nonlocal got, calls
        calls += 1
        for _ in range(waits[calls % len(waits)]):
            await asyncio.sleep(0)
            waiting = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(waiting.set_result, None)
            await waiting
        got += chunk

    reading = asyncio.create_task(tail_of(feed).into(send))
    await asyncio.sleep(0)
    frames = await published(feed, sizes, settled if pause else lambda: asyncio.sleep(0))
    await asyncio.wait_for(reading, 10)
    assert got == frames
    assert (feed.clients, feed.listeners) == (0, set())


async def test_a_client_that_takes_at_once_has_its_frame_when_it_is_published() -> None:
    feed, got = Feed("session", "turn"), []

    async def send(chunk: bytes) -> None:
        got.append(chunk)

    reading = asyncio.create_task(tail_of(feed).into(send))
    await settled()
    feed.publish([Entry(event_id(0, 1), frame(1))])
    assert got == [frame(1)]
    feed.abandon()
    await reading


async def test_who_is_cancelled_while_a_frame_waits_takes_that_back_too() -> None:
    feed, ended = Feed("session", "turn"), []

    async def send(chunk: bytes) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(chunk)

    reading = asyncio.create_task(tail_of(feed).into(send))
    await settled()
    feed.publish([Entry(event_id(0, 1), frame(1))])
    await settled()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert ended == [frame(1)]
    assert (feed.clients, feed.listeners) == (0, set())


@pytest.mark.parametrize("waits_first", [False, True])
async def test_a_connection_that_breaks_ends_its_client_alone(waits_first: bool) -> None:
    feed, whole = Feed("session", "turn"), []

    async def broken(_: bytes) -> None:
        if waits_first:
            await asyncio.sleep(0)
        raise OSError("gone")

    async def send(chunk: bytes) -> None:
        whole.append(chunk)

    readers = [asyncio.create_task(tail_of(feed).into(each)) for each in (broken, send)]
    await settled()
    frames = await published(feed, [1, 1, 1], settled)
    with pytest.raises(OSError, match="gone"):
        await readers[0]
    await readers[1]
    assert b"".join(whole) == frames
