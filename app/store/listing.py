"""An owner's sessions, by when each was last asked: the sorted set that leads to them, and what a list says of each. Beside
it the set of the families that the owner pinned; it too may name what is gone, until a reader takes it out.

A session is in the set before its turn is accepted, and taken out after it was erased. So the set can name one that is
gone, never miss one that is there; a reader takes out what is gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from app.store import keys
from app.store.connection import Command, Store


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session stands in its owner's list: the later it was asked, the earlier."""

    asked_ms: int
    session: str


@dataclass(frozen=True, slots=True)
class Said:
    """A turn's question, and its answer's content blocks as JSON."""

    question: str
    answer: str


class Listing:
    """The lists of all owners in `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def note(self, owner: str, place: Place) -> None:
        """`owner` asks this session now."""
        await self._store.do("ZADD", keys.sessions_of(owner), place.asked_ms, place.session)

    async def drop(self, owner: str, sessions: Sequence[str]) -> None:
        """These sessions are gone."""
        if sessions:
            await self._store.do("ZREM", keys.sessions_of(owner), *sessions)

    async def newest(self, owner: str, after: Place | None, most: int) -> list[Place]:
        """The places that follow `after` (None: from the first), at most `most`."""
        found: list[Place] = []
        latest = "+inf" if after is None else after.asked_ms
        offset = 0
        while len(found) < most:
            command: Command = ("ZRANGE", keys.sessions_of(owner), latest, "-inf", "BYSCORE", "REV")
            raw = await self._store.do(*command, "LIMIT", offset, most, "WITHSCORES")
            places = [Place(int(score), name.decode()) for name, score in _pairs(raw)]
            # Of one millisecond, the set's own order is by name, backwards.
            found += [place for place in places if after is None or _follows(place, after)]
            offset += most
            if len(places) < most:
                break
        return found[:most]

    async def openings(self, sessions: Sequence[str]) -> list[tuple[int, str]]:
        """Of each session, how many turns it has, and its first question."""
        lists = [keys.turn_list(session) for session in sessions]
        commands: list[Command] = [("LRANGE", name, 0, 0) for name in lists]
        answers = await self._store.batch([*commands, *(("LLEN", name) for name in lists)])
        firsts, counts = answers[: len(lists)], answers[len(lists) :]
        asked = [
            keys.turn(session, first[0].decode() if first else "")
            for session, first in zip(sessions, firsts, strict=True)
        ]
        questions = await self._store.batch([("HGET", name, "question") for name in asked])
        return [(int(count), (question or b"").decode()) for count, question in zip(counts, questions, strict=True)]

    async def branches(self, owner: str, families: Sequence[str], most: int) -> list[list[Place]]:
        """Those of each family, at most `most` of which are looked at, that are in `owner`'s list."""
        if not families:
            return []
        answers = await self._store.batch([("ZRANGE", keys.family(family), 0, most - 1) for family in families])
        names = list(chain.from_iterable(answers))
        scores = iter(await self._store.do("ZMSCORE", keys.sessions_of(owner), *names) if names else [])
        placed = [[(name.decode(), next(scores)) for name in members] for members in answers]
        return [[Place(int(score), name) for name, score in one if score is not None] for one in placed]

    async def pinned(self, owner: str) -> list[str]:
        """The families that `owner` pinned."""
        return sorted(family.decode() for family in await self._store.do("SMEMBERS", keys.pinned_of(owner)))

    async def is_pinned(self, owner: str, family: str) -> bool:
        """Whether `owner` pinned the family."""
        return bool(await self._store.do("SISMEMBER", keys.pinned_of(owner), family))

    async def pin(self, owner: str, family: str) -> None:
        """Have the family stand at the head of `owner`'s list."""
        await self._store.do("SADD", keys.pinned_of(owner), family)

    async def unpin(self, owner: str, families: Sequence[str]) -> None:
        """Have them stand there no more."""
        if families:
            await self._store.do("SREM", keys.pinned_of(owner), *families)

    async def said(self, sessions: Sequence[str]) -> list[list[Said]]:
        """Everything that was asked and answered in each of `sessions`."""
        if not sessions:
            return []
        lists = await self._store.batch([("LRANGE", keys.turn_list(session), 0, -1) for session in sessions])
        names = [
            keys.turn(session, turn.decode()) for session, turns in zip(sessions, lists, strict=True) for turn in turns
        ]
        answers = await self._store.batch([("HMGET", name, "question", "answer") for name in names]) if names else []
        told = iter([Said((question or b"").decode(), (answer or b"[]").decode()) for question, answer in answers])
        return [[next(told) for _ in turns] for turns in lists]

    async def traces(self, sessions: Sequence[str]) -> list[list[str]]:
        """The traces of each session's turns, in order."""
        lists = await self._store.batch([("LRANGE", keys.turn_list(session), 0, -1) for session in sessions])
        return [[keys.trace(turn.decode()) for turn in turns] for turns in lists]


def _follows(place: Place, after: Place) -> bool:
    return (place.asked_ms, place.session) < (after.asked_ms, after.session)


def _pairs(raw: list[Any]) -> list[tuple[bytes, float]]:
    """Names with their scores, in the shape that either protocol gives them."""
    if raw and isinstance(raw[0], list | tuple):
        return [(name, float(score)) for name, score in raw]
    return [(name, float(score)) for name, score in zip(raw[::2], raw[1::2], strict=True)]
