"""Stored sessions: who owns one, which context it is over, and its transcript's bytes.

`hs:{s}:session` is a hash of small facts, `hs:{s}:transcript` the bytes its complete turns appended, `hs:{s}:ends` where
each of them ends, `hs:{s}:turns` the ids of all its turns, in order. A transcript grows only in `finish_turn.lua`.
"""

import json
from dataclasses import dataclass
from typing import Any

from app.store import keys
from app.store.connection import Command, Store


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session's small facts. `parameters` is what its opening is rendered from; `digests` are those of its prefixes,
    one per complete turn and the current one last, `sizes` their bytes; `running` is the turn that runs, or None;
    `last_message` the upstream's id of the last complete turn's answer; of the prefixes' bytes, `pdf_bytes` are PDFs with
    `pages` in all."""

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
        commands: list[Command] = [
            (
                *("HSET", keys.session(record.id), "owner", record.owner, "context", record.context),
                *("context_name", record.context_name, "isolation", record.isolation or ""),
                *("parameters", json.dumps(record.parameters), "created_ms", record.created_ms),
                *("breakpoints", record.breakpoints, "sizes", ",".join(map(str, record.sizes))),
                *("digests", ",".join(record.digests), "running", ""),
                *("pdf_bytes", record.pdf_bytes, "pages", record.pages),
            )
        ]
        if transcript:
            commands.append(("SET", keys.transcript(record.id), transcript))
            commands.append(("RPUSH", keys.ends(record.id), *(json.dumps(end) for end in ends or [])))
        await self._store.together(commands)

    async def get(self, session: str) -> SessionRecord | None:
        """The small facts of `session`; None when there is none."""
        fields = await self._store.do("HGETALL", keys.session(session))
        if not fields:
            return None
        text = {name.decode(): value.decode() for name, value in fields.items()}
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
        )

    async def transcript(self, session: str) -> tuple[bytes, list[Any]]:
        """The bytes that complete turns appended, and their ends as they were stored."""
        turns, ends = await self._store.together(
            [("GET", keys.transcript(session)), ("LRANGE", keys.ends(session), 0, -1)]
        )
        return turns or b"", [json.loads(end) for end in ends]

    async def erase(self, session: str) -> None:
        """Erase `session`, its transcript, its turns and their journals."""
        # The session first: from then on it accepts no turn that would be left behind.
        await self._store.do("DEL", keys.session(session))
        turns = [turn.decode() for turn in await self._store.do("LRANGE", keys.turn_list(session), 0, -1)]
        named = [name(session) for name in (keys.transcript, keys.ends, keys.turn_list)]
        owned = [name(session, turn) for turn in turns for name in (keys.turn, keys.journal, keys.tailed)]
        await self._store.do("DEL", *named, *owned)
        if turns:
            await self._store.do("ZREM", keys.RUNNING, *turns)
