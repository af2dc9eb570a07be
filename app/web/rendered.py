"""Answers that are whole, as HTML: rendered when somebody asks, kept in this process for the next one who does."""

import asyncio
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from app.rendering.answer import blocks_of

KEEP_CHARS = 32_000_000

Content = Sequence[Mapping[str, Any]]


class Rendered:
    """The HTML of answers by what they say; the longest unused goes first when `keep` characters are passed."""

    def __init__(self, keep: int = KEEP_CHARS) -> None:
        self._keep = keep
        self._kept: OrderedDict[bytes, list[str]] = OrderedDict()
        self._chars = 0
        self._lock = threading.Lock()

    async def all(self, answers: Sequence[Content]) -> list[list[str]]:
        """The blocks of each of `answers`, which are given as the content blocks of the Messages API."""

        def render() -> list[list[str]]:
            with self._lock:
                return [self._one(answer) for answer in answers]

        return await asyncio.to_thread(render)

    def _one(self, answer: Content) -> list[str]:
        key = sha256(json.dumps(answer).encode()).digest()
        blocks = self._kept.pop(key, None)
        if blocks is None:
            blocks = blocks_of(answer)
            self._chars += sum(map(len, blocks))
        self._kept[key] = blocks
        while self._chars > self._keep and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._chars -= sum(map(len, oldest))
        return blocks
