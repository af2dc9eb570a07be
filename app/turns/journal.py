"""The journals that this process writes, and those that its clients read: which of them there are, as feeds in memory.

What goes between them and Redis goes through lanes, one for each server that has journals (`app/turns/lane.py`).
"""

import asyncio
from functools import partial

from app.store.address import Endpoint
from app.store.turns import Entry, Turns, event_id
from app.turns.feed import Feed
from app.turns.lane import Lane
from app.turns.tail import Tail

# For so long, a process that said that a turn is read by its clients need not say it again.
TAILED_MS = 15_000


class JournalGone(LookupError):
    """The turn is known, but its journal has expired or was erased."""


class Journal:
    """All journals of this process."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._feeds: dict[str, Feed] = {}
        self._produced: set[str] = set()
        self._lanes: dict[Endpoint | None, Lane] = {}
        self._started = False

    @property
    def readers(self) -> int:
        """How many clients read from this process."""
        return sum(feed.clients for feed in self._feeds.values())

    def start(self) -> None:
        """Begin to write and to follow."""
        self._started = True
        for lane in self._lanes.values():
            lane.start()

    async def close(self) -> None:
        """Stop. What is still pending is not written."""
        for feed in self._feeds.values():
            feed.abandon()
        await asyncio.gather(*(lane.close() for lane in self._lanes.values()))

    def open(self, session: str, turn: str, first: Entry) -> Feed:
        """The feed of a turn that this process produces, whose `first` event Redis has."""
        feed = self._feeds[turn] = self._feed(session, turn)
        self._produced.add(turn)
        feed.publish([first])
        return feed

    async def adopt(self, session: str, turn: str) -> Feed:
        """The feed of a turn that this process goes on with, up to date. Nobody else writes its journal any more."""
        followed = self._feeds.get(turn)
        feed = followed or self._feed(session, turn)
        entries = await self._turns.read(session, turn, feed.last)
        # Clients may have come meanwhile, or gone: then the feed that is there is another one.
        while (found := self._feeds.setdefault(turn, feed)) is not feed:
            feed, entries = found, await self._turns.read(session, turn, found.last)
        feed.publish(entries)
        self._produced.add(turn)
        return feed

    def put(self, feed: Feed, entry: Entry) -> None:
        """Have `entry` written, and then published."""
        self._lanes[feed.part].put(feed, entry)

    async def flush(self, feed: Feed) -> None:
        """Wait until all that was put before for `feed` is written or refused."""
        await self._lanes[feed.part].flush()

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
        self._lanes[feed.part].look()
        return feed if feed.cut else self._feeds.setdefault(feed.turn, feed)

    def _feed(self, session: str, turn: str) -> Feed:
        """A new feed. It stays in its lane, also when its journal has moved: its events must not overtake one another."""
        part = self._turns.part(session)
        if part not in self._lanes:
            lane = self._lanes[part] = Lane(
                self._turns, partial(self._followed, part), lambda feed: self.end(feed, None)
            )
            if self._started:
                lane.start()
        return Feed(session, turn, part)

    def _followed(self, part: Endpoint | None) -> list[Feed]:
        """What is to be followed in that part of Redis."""
        return [
            feed
            for turn, feed in self._feeds.items()
            if feed.part == part and turn not in self._produced and not feed.ended
        ]

    def _forget_unread(self, feed: Feed) -> None:
        # Whoever comes back after a feed was cut off needs a new one, even while others still read the old one's rest.
        over = feed.cut or (feed.clients == 0 and feed.turn not in self._produced)
        if over and self._feeds.get(feed.turn) is feed:
            del self._feeds[feed.turn]

    async def _open_remote(self, session: str, turn: str) -> Feed:
        await self._turns.mark_tailed([(session, turn)], TAILED_MS)
        feed = self._feed(session, turn)
        feed.publish(await self._turns.read(session, turn, 0))
        if not feed.ids:
            raise JournalGone(turn)
        return feed


def first_entry(frame: bytes) -> Entry:
    """The event that a turn is accepted with."""
    return Entry(event_id(0, 1), frame)
