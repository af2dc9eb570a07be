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

Turns = list[dict[str, str]]
Read = Callable[[str], Awaitable[Turns]]


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
        return await asyncio.to_thread(lambda: {turn["turn"]: self._one(_answer(turn)) for turn in turns})

    async def apart(self, session: str, most: int | None = None) -> dict[str, tuple[str, list[Source]]]:
        """The answers of `session`, of its first turns `most`, for a file that is read on its own, and their sources, by
        turn."""
        turns = (await self._read(session))[:most]
        return await asyncio.to_thread(lambda: {turn["turn"]: self._apart(turn) for turn in turns})

    def _apart(self, turn: dict[str, str]) -> tuple[str, list[Source]]:
        answer = _answer(turn)
        sources = sources_of(json.loads(answer))
        return apart(self._one(answer), sources, f"source-{turn['number']}"), sources

    def _one(self, answer: str) -> list[str]:
        key = sha256(answer.encode()).digest()
        with self._lock:
            blocks = self._kept.get(key)
            if blocks is not None:
                self._kept.move_to_end(key)
                return blocks
        # Nobody waits for what others want. Two may render the same, and one of them is kept.
        blocks = blocks_of(json.loads(answer))
        with self._lock:
            if key not in self._kept:
                self._kept[key] = blocks
                self._chars += sum(map(len, blocks))
            while self._chars > self._keep and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                self._chars -= sum(map(len, oldest))
        return blocks


def _answer(turn: dict[str, str]) -> str:
    return turn.get("answer", "[]")
