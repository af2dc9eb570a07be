"""Finding one's conversations again: the list of them, the words in them, and the branches that lead off them."""

import asyncio
import json
import re
from dataclasses import dataclass, replace

from app.store import keys
from app.store.listing import Listing, Said
from app.store.listing import Place as Place
from app.store.sessions import SessionRecord, Sessions
from app.turns.answer import visible_text
from app.turns.met import Met

MAX_TITLE_CHARS = 200
MAX_BRANCHES = 200
MAX_PINNED = 20
# What one search looks through before it answers with what it has and where to go on, and how much of that at a time.
SEARCHED = 200
_AT_A_TIME = 20
_LATEST = 3
_AUTOMATIC_CHARS = 80
# A row of the page's list shows about 40 characters: what was found is to be among them.
_BEFORE_CHARS = 16
_AFTER_CHARS = 60


@dataclass(frozen=True, slots=True)
class Listed:
    """A session as a list shows it. `forked_from` is the session that it left after turn `after_turn`, if that is still
    there; `match` a few words around what was searched for, in turn `match_turn`; `branches` how many of its family are in
    the list."""

    session: SessionRecord
    title: str
    asked_ms: int
    turns: int
    match: str | None = None
    match_turn: int | None = None
    branches: int = 1

    @property
    def place(self) -> Place:
        return Place(self.asked_ms, self.session.id)


class CannotPin(Exception):
    """A conversation cannot be pinned; the message says why."""


@dataclass(frozen=True, slots=True)
class Branches:
    """Where a session stands among its relatives: what it left, if that is still there, after how many turns; for each of
    its turns the sessions to go to for each question that was asked at this point, itself among them; and the others that
    have a link."""

    parent: str | None
    after_turn: int
    at: list[list[str]]
    linked: list[str]


class Finding:
    """Looks through the sessions of one owner at a time."""

    def __init__(self, sessions: Sessions, listing: Listing, met: Met) -> None:
        self._sessions = sessions
        self._listing = listing
        self._met = met

    async def newest(self, owner: str, after: Place | None, most: int) -> tuple[list[Listed], Place | None]:
        """The sessions of `owner` that were asked before `after`, the last asked first, and after which one it goes on."""
        places = await self._listing.newest(owner, after, most)
        return await self._described(owner, places), places[-1] if len(places) == most else None

    async def pinned(self, owner: str) -> list[Listed]:
        """Of each conversation that `owner` pinned the session that was asked last, the last asked first."""
        families = await self._listing.pinned(owner)
        placed = await self._listing.branches(owner, families, MAX_BRANCHES)
        await self._listing.unpin(owner, [one for one, places in zip(families, placed, strict=True) if not places])
        # The last one of a family can be one that was not asked in the end.
        latest = [place for places in placed for place in sorted(places, key=_order)[-_LATEST:]]
        listed = await self._described(owner, sorted(latest, key=_order, reverse=True))
        shown: dict[str, Listed] = {}
        for one in listed:
            shown.setdefault(one.session.family, one)
        return list(shown.values())

    async def is_pinned(self, record: SessionRecord) -> bool:
        """Whether the session's conversation is pinned."""
        return await self._listing.is_pinned(record.owner, record.family)

    async def pin(self, record: SessionRecord, pinned: bool) -> None:
        """Have the session's conversation stand at the head of its owner's list, or no more. Raises `CannotPin`."""
        owner, family = record.owner, record.family
        if not pinned:
            await self._listing.unpin(owner, [family])
            return
        relatives = await self.relatives(record)
        if not any(turns for turns, _ in await self._listing.openings([one.id for one in relatives])):
            raise CannotPin("nothing was asked in this conversation yet")
        others = [one for one in await self._listing.pinned(owner) if one != family]
        if len(others) >= MAX_PINNED:
            raise CannotPin(f"{MAX_PINNED} conversations are pinned already; unpin one of them first")
        # One that nothing was forked from is in no family yet, and it is found again by that.
        await self._sessions.relate(record)
        await self._listing.pin(owner, family)
        if await self._sessions.get(record.id) is None:
            # Erased meanwhile: what leads to it goes too.
            await self._sessions.erase(record)

    async def search(self, owner: str, words: str, after: Place | None, most: int) -> tuple[list[Listed], Place | None]:
        """Those of them with `words` in a title, a question, an answer or their context's name, whatever their case and the
        space between them. Looks through so many sessions, then says after which one to go on."""
        wanted = re.compile(r"\s+".join(map(re.escape, words.split())), re.IGNORECASE)
        found: list[Listed] = []
        for _ in range(0, SEARCHED, _AT_A_TIME):
            places = await self._listing.newest(owner, after, _AT_A_TIME)
            listed = await self._described(owner, places)
            said = await self._listing.said([one.session.id for one in listed])
            for match in await asyncio.to_thread(_matches, wanted, listed, said):
                found.append(match)
                if len(found) == most:
                    return found, match.place
            if len(places) < _AT_A_TIME:
                return found, None
            after = places[-1]
        return found, after

    async def rename(self, record: SessionRecord, title: str) -> None:
        """Call the session, and all its branches, by `title`."""
        relatives = await self._sessions.family(record, MAX_BRANCHES)
        await self._sessions.rename([one.id for one in relatives], title)

    async def relatives(self, record: SessionRecord) -> list[SessionRecord]:
        """The session and what it is a branch of, or has as branches."""
        return await self._sessions.family(record, MAX_BRANCHES)

    async def branches(self, record: SessionRecord) -> Branches:
        """How the session is joined to its relatives."""
        relatives = await self.relatives(record)
        own = await self._listing.traces([one.id for one in relatives])
        paths = {one.id: [*one.shared, *turns[len(one.shared) :]] for one, turns in zip(relatives, own, strict=True)}
        parent = next((one.id for one in relatives if keys.trace(one.id) == record.parent), None)
        mine = paths[record.id]
        ways = [_ways(paths, record.id, mine[:at]) for at in range(len(mine))]
        linked = [one.id for one in relatives if one.link is not None and one.id != record.id]
        return Branches(parent, len(record.shared), ways, linked)

    async def _described(self, owner: str, places: list[Place]) -> list[Listed]:
        if not places:
            return []
        names = [place.session for place in places]
        records = await self._sessions.get_all(names)
        openings = await self._listing.openings(names)
        await self._listing.drop(owner, [name for name, record in zip(names, records, strict=True) if record is None])
        listed = [
            Listed(record, record.title or automatic_title(question), place.asked_ms, turns)
            for place, record, (turns, question) in zip(places, records, openings, strict=True)
            if record is not None and record.owner == owner and turns
        ]
        for one in listed:
            if one.session.running is not None:
                self._met.note(one.session.running)
        # Also those that are further down, or match nothing: they are renamed and erased with it.
        placed = await self._listing.branches(owner, [one.session.family for one in listed], MAX_BRANCHES)
        return [replace(one, branches=max(1, len(places))) for one, places in zip(listed, placed, strict=True)]


def _order(place: Place) -> tuple[int, str]:
    return place.asked_ms, place.session


def automatic_title(question: str) -> str:
    """A question as a title: one line, cut between words."""
    line = " ".join(question.split())
    if len(line) <= _AUTOMATIC_CHARS:
        return line
    return f"{line[:_AUTOMATIC_CHARS].rsplit(' ', 1)[0]}…"


def _ways(paths: dict[str, list[str]], session: str, before: list[str]) -> list[str]:
    """For each different turn that follows `before`, the longest session that has it; for its own, `session`."""
    at = len(before)
    ways: dict[str, str] = {}
    for name, path in paths.items():
        if len(path) > at and path[:at] == before:
            known = ways.setdefault(path[at], name)
            ways[path[at]] = name if len(path) >= len(paths[known]) else known
    own = paths[session][at]
    return [session if trace == own else name for trace, name in ways.items()]


def _matches(wanted: re.Pattern[str], listed: list[Listed], said: list[list[Said]]) -> list[Listed]:
    matches: list[Listed] = []
    for one, turns in zip(listed, said, strict=True):
        if wanted.search(one.title):
            matches.append(one)
            continue
        for number, turn in enumerate(turns, 1):
            texts = (turn.question, visible_text(json.loads(turn.answer)))
            around = next((_around(text, found) for text in texts if (found := wanted.search(text))), None)
            if around is not None:
                matches.append(replace(one, match=around, match_turn=number))
                break
        else:
            if wanted.search(one.session.context_name):
                matches.append(one)
    return matches


def _around(text: str, found: re.Match[str]) -> str:
    start, end = max(0, found.start() - _BEFORE_CHARS), min(len(text), found.end() + _AFTER_CHARS)
    before = text[start : found.start()]
    if start:
        # Not from within a word, unless all of it is one.
        before = "…" + re.sub(r"^\S*\s+", "", before)
    line = " ".join((before + text[found.start() : end]).split())
    return f"{line}{'…' if end < len(text) else ''}"
