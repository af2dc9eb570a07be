"""What one client reads of a turn, from after the last event that it has seen to the end.

A client that has everything so far is given what comes from where it is published, as long as its connection takes it at
once, and its task is not woken for it. `into` is for that; iterating is for whoever makes something else of the frames.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from types import coroutine
from typing import Any

from app.turns.feed import Feed

Send = Callable[[bytes], Coroutine[Any, Any, None]]


class Tail:
    """The frames after event `after` of the feed that `enter` gives, which is told to `leave` when no more are read."""

    def __init__(self, after: int, enter: Callable[[], Feed], leave: Callable[[Feed], None]) -> None:
        self._after = after
        self._enter = enter
        self._leave = leave

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self._reading() as feed:
            while True:
                chunk, last = feed.after(self._after)
                if chunk:
                    yield chunk
                elif last == self._after:
                    if feed.over:
                        return
                    await feed.change()
                self._after = last

    async def into(self, send: Send) -> None:
        """Give all of it to `send`."""
        with self._reading() as feed:
            while True:
                chunk, last = feed.after(self._after)
                if chunk:
                    await send(chunk)
                elif last == self._after:
                    if feed.over:
                        return
                    if (rest := await self._pushed(feed, send)) is not None:
                        await rest
                    continue
                self._after = last

    @contextmanager
    def _reading(self) -> Iterator[Feed]:
        feed = self._enter()
        feed.enter()
        try:
            yield feed
        finally:
            feed.leave()
            self._leave(feed)

    async def _pushed(self, feed: Feed, send: Send) -> Awaitable[None] | None:
        """Have what is published sent from there, until that takes more than an instant (the rest of it), or is over."""
        stopped: asyncio.Future[Awaitable[None] | None] = asyncio.get_running_loop().create_future()

        def push() -> None:
            if stopped.done():
                return
            chunk, self._after = feed.after(self._after)
            try:
                rest = _at_once(send(chunk)) if chunk else None
            except Exception as error:
                stopped.set_exception(error)
            else:
                # What is more than is sent in one go, and the end, are for `into`.
                if rest is not None or feed.over or feed.last > self._after:
                    stopped.set_result(rest)

        feed.listeners.add(push)
        try:
            return await stopped
        finally:
            feed.listeners.discard(push)


def _at_once(sending: Coroutine[Any, Any, None]) -> Awaitable[None] | None:
    """Send as far as that goes without waiting; what is left of it, if it has to wait."""
    try:
        awaited = sending.send(None)
    except StopIteration:
        return None
    return _rest(sending, awaited)


@coroutine
def _rest(begun: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """Go on, in the task that awaits this, with what was begun outside of any and waits for `awaited`."""
    try:
        while True:
            try:
                yield awaited
            except BaseException as error:
                awaited = begun.throw(error)
            else:
                awaited = begun.send(None)
    except StopIteration:
        return
