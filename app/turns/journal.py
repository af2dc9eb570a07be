"""Journals in memory: one writer and one reader per process between Redis and all its clients.

The writer drains every turn's pending events into one round trip at a time; what queues meanwhile goes with the next. An
event is published to the clients of this process only after Redis has it. Turns that another process produces are read
by one task for all of them.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

from app.store.connection import StoreUnavailable, relinquish
from app.store.turns import Entry, Turns, event_id
from app.turns.feed import Feed
from app.turns.tail import Tail

log = logging.getLogger("headstart.journal")

FOLLOW_BLOCK_MS = 200
RETRY_S = 0.25
CHECK_S = 1.0
# For so long, a process that said that a turn is read by its clients need not say it again.
TAILED_MS = 15_000


class JournalGone(LookupError):
    """The turn is known, but its journal has expired or was erased."""


@dataclass(slots=True)
class Barrier:
    """A place in the writer's queue: `passed` is set when everything before it is written or refused."""

    passed: asyncio.Event


class Journal:
    """The journals that this process writes, and those that its clients read."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._feeds: dict[str, Feed] = {}
        self._produced: set[str] = set()
        self._pending: list[tuple[Feed, Entry] | Barrier] = []
        self._work = asyncio.Event()
        self._followed = asyncio.Event()
        self._checked_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def readers(self) -> int:
        """How many clients read from this process."""
        return sum(feed.clients for feed in self._feeds.values())

    def start(self) -> None:
        """Begin to write and to follow."""
        self._tasks = [asyncio.create_task(self._write(), name="journal writer")]
        self._tasks.append(asyncio.create_task(self._follow(), name="journal reader"))

    async def close(self) -> None:
        """Stop. What is still pending is not written."""
        for feed in self._feeds.values():
            feed.abandon()
        await relinquish(self._tasks)

    def open(self, session: str, turn: str, first: Entry) -> Feed:
        """The feed of a turn that this process produces, whose `first` event Redis has."""
        feed = self._feeds[turn] = Feed(session, turn)
        self._produced.add(turn)
        feed.publish([first])
        return feed

    async def adopt(self, session: str, turn: str) -> Feed:
        """The feed of a turn that this process goes on with, up to date. Nobody else writes its journal any more."""
        followed = self._feeds.get(turn)
        feed = followed or Feed(session, turn)
        entries = await self._turns.read(session, turn, feed.last)
        # Clients may have come meanwhile, or gone: then the feed that is there is another one.
        while (found := self._feeds.setdefault(turn, feed)) is not feed:
            feed, entries = found, await self._turns.read(session, turn, found.last)
        feed.publish(entries)
        self._produced.add(turn)
        return feed

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

    def end(self, feed: Feed, last: Entry | None) -> None:
        """Nothing more is produced here: `last` is the end that Redis has, None when it was refused, or is not ours."""
        self._produced.discard(feed.turn)
        if last is not None:
            feed.publish([last])
        else:
            feed.abandon()
        self._forget_unread(feed)

    def abandon(self, turn: str) -> None:
        """The producer of `turn` is gone: if it has not ended, its clients have to look for its end elsewhere."""
        feed = self._feeds.get(turn)
        if feed is not None and turn in self._produced:
            self.end(feed, None)
        self._produced.discard(turn)

    async def tail(self, session: str, turn: str, after: int) -> Tail:
        """The frames of `turn` after event `after`, until its end. Raises `JournalGone`."""
        feed = self._feeds.get(turn) or await self._open_remote(session, turn)
        return Tail(after, lambda: self._entered(feed), self._forget_unread)

    async def mark_tailed(self) -> list[str]:
        """Tell whoever produces the turns that our clients read, and this process does not produce, that they are read.
        Answers these turns."""
        read = [
            (feed.session, turn)
            for turn, feed in self._feeds.items()
            if turn not in self._produced and feed.clients and not feed.ended
        ]
        if read:
            await self._turns.mark_tailed(read, TAILED_MS)
        return [turn for _, turn in read]

    def send_readers_away(self, *, all_of_them: bool) -> None:
        """Cut off the clients of turns that other processes produce, or of all: this one ends; they can read elsewhere."""
        for turn, feed in list(self._feeds.items()):
            if all_of_them or turn not in self._produced:
                feed.abandon()
                self._forget_unread(feed)

    def _entered(self, feed: Feed) -> Feed:
        # A client that never gets here leaves nothing behind. Others may have come to this turn meanwhile, or gone.
        self._followed.set()
        return feed if feed.cut else self._feeds.setdefault(feed.turn, feed)

    def _forget_unread(self, feed: Feed) -> None:
        # Whoever comes back after a feed was cut off needs a new one, even while others still read the old one's rest.
        over = feed.cut or (feed.clients == 0 and feed.turn not in self._produced)
        if over and self._feeds.get(feed.turn) is feed:
            del self._feeds[feed.turn]

    async def _open_remote(self, session: str, turn: str) -> Feed:
        await self._turns.mark_tailed([(session, turn)], TAILED_MS)
        feed = Feed(session, turn)
        feed.publish(await self._turns.read(session, turn, 0))
        if not feed.ids:
            raise JournalGone(turn)
        return feed

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
                self.end(feed, None)
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
            await self._followed.wait()
            remote = [feed for turn, feed in self._feeds.items() if turn not in self._produced and not feed.ended]
            if not remote:
                self._followed.clear()
                continue
            try:
                await self._follow_once(remote)
            except StoreUnavailable:
                await asyncio.sleep(RETRY_S)
            except Exception:
                log.exception("reading journals failed")
                await asyncio.sleep(RETRY_S)

    async def _follow_once(self, remote: list[Feed]) -> None:
        positions = {(feed.session, feed.turn): feed.last for feed in remote}
        followed = {feed.turn: feed for feed in remote}
        news = await self._turns.follow(positions, FOLLOW_BLOCK_MS)
        for turn, entries in news.items():
            # Not whichever feed the turn has by now: it may be one that does not have what was before.
            followed[turn].publish(entries)
        if time.monotonic() - self._checked_at > CHECK_S:
            # A journal that was erased says nothing any more, and does not say that.
            self._checked_at = time.monotonic()
            for turn in await self._turns.without_journal(list(positions)):
                followed[turn].abandon()
                self._forget_unread(followed[turn])


def first_entry(frame: bytes) -> Entry:
    """The event that a turn is accepted with."""
    return Entry(event_id(0, 1), frame)
