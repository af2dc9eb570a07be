"""Answers that are whole, as HTML: rendered when somebody asks, kept in this process for the next one who does."""

import asyncio
import json
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import sha256

from app.rendering.answer import blocks_of
from app.rendering.apart import apart
from app.rendering.citations import Source, sources_of

KEEP_CHARS = 32_000_000

Read = Callable[[str], Awaitable[list[dict[str, str]]]]


class Rendered:
    """The HTML of answers by what they say; the longest unused goes first when `keep` characters are passed.

    `read` gives a session's turns as they are stored, with the content blocks of each `answer` and their citations.
    """

    def __init__(self, read: Read, keep: int = KEEP_CHARS) -> None:
        self._read = read
        self._keep = keep
        self._kept: OrderedDict[bytes, list[str]] = OrderedDict()
        self._chars = 0
        self._lock = threading.Lock()

    async def of_session(self, session: str) -> dict[str, list[str]]:
        """The blocks of every answer of `session`, by turn."""
        turns = await self._read(session)

        def render() -> dict[str, list[str]]:
            with self._lock:
                return {fields["turn"]: self._one(fields.get("answer", "[]")) for fields in turns}

        return await asyncio.to_thread(render)

    async def apart(self, session: str) -> dict[str, tuple[str, list[Source]]]:
        """Every answer of `session` for a file that is read on its own, and its sources, by turn."""
        turns = await self._read(session)

        def render() -> dict[str, tuple[str, list[Source]]]:
            with self._lock:
                return {fields["turn"]: self._apart(fields) for fields in turns}

        return await asyncio.to_thread(render)

    def _apart(self, fields: dict[str, str]) -> tuple[str, list[Source]]:
        answer = fields.get("answer", "[]")
        sources = sources_of(json.loads(answer))
        return apart(self._one(answer), sources, f"source-{fields['number']}"), sources

    def _one(self, answer: str) -> list[str]:
        key = sha256(answer.encode()).digest()
        blocks = self._kept.pop(key, None)
        if blocks is None:
            blocks = blocks_of(json.loads(answer))
            self._chars += sum(map(len, blocks))
        self._kept[key] = blocks
        while self._chars > self._keep and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._chars -= sum(map(len, oldest))
        return blocks
