"""Stored sessions: who owns one, which context it is over, and its transcript's bytes.

`hs:{s}:session` is a hash of small facts, `hs:{s}:transcript` the bytes its complete turns appended, `hs:{s}:ends` where
each of them ends, `hs:{s}:turns` the ids of all its turns, in order, `hs:{s}:copies` a set of the copies that were made of
it. A transcript grows only in `finish_turn.lua`. A copy is in no list: it is in that set before it is stored and for as long
as it is there, and never outlives what it is a copy of.

Three sorted sets lead to sessions: an owner's, by when each was last asked (`app/store/listing.py` reads it), that of a
family, which has what was forked from one another, and a share of all sessions, by when each was last used. They live in
other slots than the sessions, so each is written where a crash before or after leaves at most a name too many, and whoever
reads them drops names of sessions that are gone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.store import keys
from app.store.connection import Command, Store


@dataclass(frozen=True, slots=True)
class Link:
    """What leads whoever has its `id` to the first so many `turns` of a session, under the `title` that it had then. It was
    made, or made to lead further, `at_ms`."""

    id: str
    turns: int
    at_ms: int
    title: str


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session's small facts. `parameters` is what its opening is rendered from; `digests` are those of its prefixes,
    one per complete turn and the current one last, `sizes` their bytes; `running` is the turn that runs, or None;
    `last_message` the upstream's id of the last complete turn's answer; of the prefixes' bytes, `pdf_bytes` are PDFs with
    `pages` in all. `title` is what the owner calls it, if anything. A fork has the `family` of what it was forked from,
    whose trace is `parent`, and `shared` are the traces of the turns that it began with. A copy, which is no branch, is
    the copy of session `copy_of`."""

    id: str
    owner: str
    context: str
    context_name: str
    isolation: str | None
    parameters: dict[str, Any]
    created_ms: int
    breakpoints: int
    digests: tuple[str, ...]
    sizes: tuple[int, ...]
    running: str | None
    last_message: str | None = None
    pdf_bytes: int = 0
    pages: int = 0
    title: str | None = None
    family: str = ""
    parent: str | None = None
    shared: tuple[str, ...] = ()
    copy_of: str | None = None
    link: Link | None = None

    @property
    def size(self) -> int:
        """The current prefix in bytes."""
        return self.sizes[-1]


class Sessions:
    """The sessions in `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create(self, record: SessionRecord, transcript: bytes = b"", ends: list[Any] | None = None) -> None:
        """Store a new session; a fork brings the transcript it starts with."""
        # First: one that nobody finds when it is over would be kept for ever.
        await self.use(record.id)
        commands: list[Command] = [
            (
                *("HSET", keys.session(record.id), "owner", record.owner, "context", record.context),
                *("context_name", record.context_name, "isolation", record.isolation or ""),
                *("parameters", json.dumps(record.parameters), "created_ms", record.created_ms),
                *("breakpoints", record.breakpoints, "sizes", ",".join(map(str, record.sizes))),
                *("digests", ",".join(record.digests), "running", ""),
                *("pdf_bytes", record.pdf_bytes, "pages", record.pages, "title", record.title or ""),
                *("family", record.family, "parent", record.parent or "", "shared", ",".join(record.shared)),
                *("copy_of", record.copy_of or ""),
            )
        ]
        if transcript:
            commands.append(("SET", keys.transcript(record.id), transcript))
            commands.append(("RPUSH", keys.ends(record.id), *(json.dumps(end) for end in ends or [])))
        await self._store.together(commands)

    async def get(self, session: str) -> SessionRecord | None:
        """The small facts of `session`; None when there is none."""
        return _record(session, await self._store.do("HGETALL", keys.session(session)))

    async def get_all(self, sessions: Sequence[str]) -> list[SessionRecord | None]:
        """The small facts of each of `sessions`."""
        answers = await self._store.batch([("HGETALL", keys.session(session)) for session in sessions])
        return [_record(session, answer) for session, answer in zip(sessions, answers, strict=True)]

    async def rename(self, sessions: Sequence[str], title: str) -> None:
        """Have `sessions`, as far as they are still there, be called `title`."""
        for session in sessions:
            await self._store.run("rename_session", [keys.session(session)], [title])

    async def link(self, session: str, turns: int, at_ms: int, title: str) -> Link | None:
        """The session's link, a new one if it had none, to its first `turns`; None when the session is gone."""
        args = (keys.new_link_secret(), turns, at_ms, title)
        link = await self._store.run("link_session", [keys.session(session)], args)
        return _link(session, link.decode()) if link else None

    async def unlink(self, session: str) -> None:
        """Have the session's link lead nowhere."""
        await self._store.do("HDEL", keys.session(session), "link")

    async def relate(self, *relatives: SessionRecord) -> None:
        """Have sessions of one family be found in it."""
        born = [part for one in relatives for part in (one.created_ms, one.id)]
        await self._store.do("ZADD", keys.family(relatives[0].family), *born)

    async def note_copy(self, original: str, copy: str) -> bool:
        """Have `copy` be erased with `original`; whether that is still there."""
        return bool(await self._store.run("note_copy", [keys.session(original), keys.copies(original)], [copy]))

    async def copies(self, record: SessionRecord) -> list[SessionRecord]:
        """The copies of the session that are there."""
        names = [name.decode() for name in await self._store.do("SMEMBERS", keys.copies(record.id))]
        return [copy for copy in await self.get_all(names) if copy is not None] if names else []

    async def family(self, record: SessionRecord, most: int) -> list[SessionRecord]:
        """What was forked from one another and is still there, the eldest first: at least `record`, at most `most`."""
        names = await self._store.do("ZRANGE", keys.family(record.family), 0, most - 1)
        others = [name.decode() for name in names if name.decode() != record.id]
        if not others:
            return [record]
        found = dict(zip(others, await self.get_all(others), strict=True))
        if gone := [session for session, other in found.items() if other is None]:
            await self._store.do("ZREM", keys.family(record.family), *gone)
        return sorted((record, *filter(None, found.values())), key=lambda one: (one.created_ms, one.id))

    async def transcript(self, session: str) -> tuple[bytes, list[Any]]:
        """The bytes that complete turns appended, and their ends as they were stored."""
        turns, ends = await self._store.together(
            [("GET", keys.transcript(session)), ("LRANGE", keys.ends(session), 0, -1)]
        )
        return turns or b"", [json.loads(end) for end in ends]

    async def erase(self, record: SessionRecord) -> None:
        """Erase the session, its transcript, its turns and their journals, and before it its copies."""
        session = record.id
        await self._erase(session)
        commands: list[Command] = [
            ("ZREM", keys.sessions_of(record.owner), session),
            ("ZREM", keys.family(record.family), session),
        ]
        if record.copy_of is not None:
            commands.append(("SREM", keys.copies(record.copy_of), session))
        *_, left = await self._store.batch([*commands, ("ZCARD", keys.family(record.family))])
        if not left:
            await self._store.do("SREM", keys.pinned_of(record.owner), record.family)

    async def _erase(self, session: str) -> None:
        """Erase what is `session`'s own, and its copies; also of one that is only half made, or half erased."""
        named = [name(session) for name in (keys.session, keys.transcript, keys.ends, keys.turn_list, keys.copies)]
        prefixes = [name(session, "") for name in (keys.turn, keys.journal, keys.tailed)]
        while True:
            copies, turns = await self._store.run("erase_session", named, prefixes)
            if not copies:
                break
            names = [name.decode() for name in copies]
            for name, copy in zip(names, await self.get_all(names), strict=True):
                await (self.erase(copy) if copy is not None else self._erase(name))
            await self._store.do("SREM", keys.copies(session), *copies)
        if turns:
            await self._store.do("ZREM", keys.RUNNING, *turns)
        await self.forget(session)

    async def use(self, session: str) -> None:
        """`session` is used now."""
        await self._store.run("use_session", [keys.used(keys.share_of(session))], [session])

    async def unused(self, share: str, for_s: float, most: int, taken_s: float) -> list[str]:
        """Sessions of a `share` (of `keys.SHARES`) that nobody has used for so long, `most` at a time. Nobody else is told
        of them for `taken_s`."""
        args = [round(for_s * 1000), most, round(taken_s * 1000)]
        return [name.decode() for name in await self._store.run("unused_sessions", [keys.used(share)], args)]

    async def forget(self, session: str) -> None:
        """`session` is gone: it is unused no more."""
        await self._store.do("ZREM", keys.used(keys.share_of(session)), session)


def _record(session: str, fields: dict[bytes, bytes]) -> SessionRecord | None:
    """A session as it is stored; one of before has no family yet, and begins its own under its trace."""
    if not fields:
        return None
    text = {name.decode(): value.decode() for name, value in fields.items()}
    shared = text.get("shared")
    return SessionRecord(
        id=session,
        owner=text["owner"],
        context=text["context"],
        context_name=text["context_name"],
        isolation=text["isolation"] or None,
        parameters=json.loads(text["parameters"]),
        created_ms=int(text["created_ms"]),
        breakpoints=int(text["breakpoints"]),
        digests=tuple(text["digests"].split(",")),
        sizes=tuple(map(int, text["sizes"].split(","))),
        running=text["running"] or None,
        last_message=text.get("last_message") or None,
        pdf_bytes=int(text.get("pdf_bytes", 0)),
        pages=int(text.get("pages", 0)),
        title=text.get("title") or None,
        family=text.get("family") or keys.trace(session),
        parent=text.get("parent") or None,
        shared=tuple(shared.split(",")) if shared else (),
        copy_of=text.get("copy_of") or None,
        link=_link(session, text["link"]) if "link" in text else None,
    )


def _link(session: str, stored: str) -> Link:
    secret, turns, at_ms, *title = stored.split(" ", 3)
    return Link(keys.link_id(session, secret), int(turns), int(at_ms), "".join(title))
