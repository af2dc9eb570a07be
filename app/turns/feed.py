"""A turn's events in memory, once for all its clients in this process.

A client is an index into its turn's frames, so a slow one costs nothing and holds up nobody.
"""

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable

from app.store.address import Endpoint
from app.store.turns import Entry

# Frames that a client is given at once: what it has not taken yet waits here only once, as everybody's frames. Further
# frames are not looked at once there are so many bytes.
MOST_AT_ONCE = 500
ENOUGH_BYTES = 65_536


class Feed:
    """A turn's events in this process: frames in order, and whether more can come.

    `part` is the server of a cluster that had its journal when this was made. `cut` means that this process will not learn
    the rest: clients have to come back. `listeners` are called at all news.
    """

    def __init__(self, session: str, turn: str, part: Endpoint | None = None) -> None:
        self.session = session
        self.turn = turn
        self.part = part
        self.ids: list[int] = []
        self.frames: list[bytes] = []
        self.ended = False
        self.cut = False
        self.clients = 0
        self._left_at = time.monotonic()
        self.listeners: set[Callable[[], None]] = set()

    @property
    def over(self) -> bool:
        """Whether nothing more will come from here."""
        return self.ended or self.cut

    @property
    def last(self) -> int:
        """The last event's id, 0 before the first."""
        return self.ids[-1] if self.ids else 0

    def enter(self) -> None:
        """A client reads."""
        self.clients += 1

    def leave(self) -> None:
        """A client reads no more."""
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

    def after(self, last: int) -> tuple[bytes, int]:
        """The frames after event `last`, so many that it is worth sending them, and which event is the last of them."""
        # Looked up each time: a client that comes from elsewhere can be ahead of this process.
        index = bisect_right(self.ids, last)
        if index == len(self.ids) - 1:
            return self.frames[-1], self.ids[-1]
        upto = self._enough(index)
        return (b"".join(self.frames[index:upto]), self.ids[upto - 1]) if upto > index else (b"", last)

    async def change(self) -> None:
        """Wait for more frames, or for the news that there will be none."""
        changed = asyncio.Event()
        self.listeners.add(changed.set)
        try:
            await changed.wait()
        finally:
            self.listeners.discard(changed.set)

    def _enough(self, index: int) -> int:
        most, size = min(len(self.frames), index + MOST_AT_ONCE), 0
        while index < most and size < ENOUGH_BYTES:
            size += len(self.frames[index])
            index += 1
        return index

    def _wake(self) -> None:
        for listener in list(self.listeners):
            listener()
