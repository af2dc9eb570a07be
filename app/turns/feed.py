"""A turn's events in memory, once for all its clients in this process.

A client is a place in its turn's frames, so a slow one costs nothing and holds up nobody.
"""

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable

from app.store.turns import Entry

# Frames that a client is given at once: what it has not taken yet waits here only once, as everybody's frames. Further
# frames are not looked at once there are so many bytes.
MOST_AT_ONCE = 500
ENOUGH_BYTES = 65_536


class Feed:
    """A turn's events in this process: frames in order, and whether more can come.

    `cut` means that this process will not learn the rest: clients have to come back.
    """

    def __init__(self, session: str, turn: str) -> None:
        self.session = session
        self.turn = turn
        self.ids: list[int] = []
        self.frames: list[bytes] = []
        self.ended = False
        self.cut = False
        self.clients = 0
        self._left_at = time.monotonic()
        self._waiting: list[Tail] = []

    @property
    def last(self) -> int:
        """The last event's id, 0 before the first."""
        return self.ids[-1] if self.ids else 0

    def enter(self) -> None:
        """A client reads."""
        self.clients += 1

    def leave(self, tail: "Tail") -> None:
        """A client reads no more."""
        if tail in self._waiting:
            self._waiting.remove(tail)
        self.clients -= 1
        self._left_at = time.monotonic()

    def unread_for(self) -> float:
        """For how many seconds no client of this process has read."""
        return 0.0 if self.clients else time.monotonic() - self._left_at

    def publish(self, entries: list[Entry]) -> None:
        """Give clients what Redis has."""
        last: int = self.last
        for entry in entries:
            if entry.id > last:
                last = entry.id
                self.ids.append(last)
                self.frames.append(entry.frame)
                self.ended = self.ended or entry.last
        self._wake()

    def abandon(self) -> None:
        """Tell clients that nothing more will come from here."""
        self.cut = True
        self._wake()

    def serve(self, tail: "Tail") -> None:
        """Give `tail` what it has not had, so much that it is worth sending, or its end: now, or when there is something."""
        # Looked up each time: a client that comes from elsewhere can be ahead of this process.
        index = bisect_right(self.ids, tail.after)
        upto = len(self.ids)
        if index < upto:
            if index < upto - 1:
                upto = self._enough(index)
            tail.after = self.ids[upto - 1]
            tail.next.set_result(b"".join(self.frames[index:upto]))
        elif self.ended or self.cut:
            tail.next.set_exception(StopAsyncIteration())
            # Whoever waited may be gone by now: nothing to complain of.
            tail.next.exception()
        else:
            self._waiting.append(tail)

    def _enough(self, index: int) -> int:
        most, size = min(len(self.frames), index + MOST_AT_ONCE), 0
        while index < most and size < ENOUGH_BYTES:
            size += len(self.frames[index])
            index += 1
        return index

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for tail in waiting:
            if not tail.next.done():
                self.serve(tail)


class Tail:
    """The frames of a turn after event `after`, until its end: those that are there joined, the others as they come.

    An iterator, not a generator, and what it is asked for a future that the feed itself resolves: this is gone through for
    each delta and each client. `enter` gives the feed when the first frame is asked for, `left` is told of it at the end.
    """

    def __init__(self, after: int, enter: Callable[[], Feed], left: Callable[[Feed], None]) -> None:
        self.after = after
        self.next: asyncio.Future[bytes]
        self._enter = enter
        self._left = left
        self._feed: Feed | None = None

    def __aiter__(self) -> "Tail":
        return self

    def __anext__(self) -> "asyncio.Future[bytes]":
        feed = self._feed
        if feed is None:
            feed = self._feed = self._enter()
            feed.enter()
        self.next = asyncio.get_running_loop().create_future()
        feed.serve(self)
        return self.next

    async def aclose(self) -> None:
        """Read no more."""
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.leave(self)
            self._left(feed)
