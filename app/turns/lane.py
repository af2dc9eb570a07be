"""The journals that one server of Redis has: a writer and a reader between it and this process.

The writer drains every turn's pending events into one round trip at a time; what queues meanwhile goes with the next. An
event is published to the clients of this process only after Redis has it. Turns that another process produces are read
by one task for all of them. In a cluster each server has its own, so that one that is away holds up its own turns alone.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.store.connection import StoreUnavailable, relinquish
from app.store.turns import Entry, Turns
from app.turns.feed import Feed

log = logging.getLogger("headstart.journal")

FOLLOW_BLOCK_MS = 200
RETRY_S = 0.25
CHECK_S = 1.0


@dataclass(slots=True)
class Barrier:
    """A place in the writer's queue: `passed` is set when everything before it is written or refused."""

    passed: asyncio.Event


class Lane:
    """Writes what is put here, and follows what `followed` answers; `lost` is called for a feed whose journal takes nothing
    more from us, or is gone."""

    def __init__(self, turns: Turns, followed: Callable[[], list[Feed]], lost: Callable[[Feed], None]) -> None:
        self._turns = turns
        self._followed = followed
        self._lost = lost
        self._pending: list[tuple[Feed, Entry] | Barrier] = []
        self._work = asyncio.Event()
        self._news = asyncio.Event()
        self._checked_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to write and to follow."""
        self._tasks = [asyncio.create_task(self._write(), name="journal writer")]
        self._tasks.append(asyncio.create_task(self._follow(), name="journal reader"))

    async def close(self) -> None:
        """Stop. What is still pending is not written."""
        await relinquish(self._tasks)

    def put(self, feed: Feed, entry: Entry) -> None:
        """Have `entry` written, and then published."""
        self._pending.append((feed, entry))
        self._work.set()

    async def flush(self) -> None:
        """Wait until all that was put before is written or refused."""
        barrier = Barrier(asyncio.Event())
        self._pending.append(barrier)
        self._work.set()
        await barrier.passed.wait()

    def look(self) -> None:
        """There may be more to follow than before."""
        self._news.set()

    async def _write(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            batch, self._pending = self._pending, []
            entries = [item for item in batch if not isinstance(item, Barrier)]
            written = await self._write_through(entries) if entries else []
            refused = [feed for (feed, _), accepted in zip(entries, written, strict=True) if not accepted]
            published: dict[str, tuple[Feed, list[Entry]]] = {}
            for (feed, entry), accepted in zip(entries, written, strict=True):
                if accepted:
                    published.setdefault(feed.turn, (feed, []))[1].append(entry)
            for feed, accepted_entries in published.values():
                feed.publish(accepted_entries)
            for feed in refused:
                self._lost(feed)
            for item in batch:
                if isinstance(item, Barrier):
                    item.passed.set()

    async def _write_through(self, entries: list[tuple[Feed, Entry]]) -> list[bool]:
        """Write until Redis has answered: while it is away, events wait here and clients see a pause."""
        while True:
            try:
                return await self._turns.write([(feed.session, feed.turn, entry) for feed, entry in entries])
            except StoreUnavailable:
                log.warning("Redis is away: %d events wait to be written", len(entries))
            except Exception:
                log.exception("writing %d events failed", len(entries))
            await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        while True:
            await self._news.wait()
            followed = self._followed()
            if not followed:
                self._news.clear()
                continue
            try:
                await self._follow_once(followed)
            except StoreUnavailable:
                await asyncio.sleep(RETRY_S)
            except Exception:
                log.exception("reading journals failed")
                await asyncio.sleep(RETRY_S)

    async def _follow_once(self, feeds: list[Feed]) -> None:
        positions = {(feed.session, feed.turn): feed.last for feed in feeds}
        followed = {feed.turn: feed for feed in feeds}
        news = await self._turns.follow(positions, FOLLOW_BLOCK_MS)
        for turn, entries in news.items():
            # Not whichever feed the turn has by now: it may be one that does not have what was before.
            followed[turn].publish(entries)
        if time.monotonic() - self._checked_at > CHECK_S:
            # A journal that was erased says nothing any more, and does not say that.
            self._checked_at = time.monotonic()
            for turn in await self._turns.without_journal(list(positions)):
                self._lost(followed[turn])
