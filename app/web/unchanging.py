"""Pages that never change, for whoever comes: made once, one at a time, and kept as they go over the wire."""

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Awaitable, Callable

KEEP_BYTES = 16_000_000


class Unchanging:
    """Pages by what they are of; the longest unused go first when their compressed bytes pass `keep`."""

    def __init__(self, keep: int = KEEP_BYTES) -> None:
        self._keep = keep
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        # However many come at once, what they want takes no more than one thread from everybody else.
        self._making = asyncio.Lock()

    async def page(self, of: str, make: Callable[[], Awaitable[str]]) -> bytes:
        """The page of `of`, compressed by gzip; `make` makes it if it is not there."""
        if of not in self._kept:
            async with self._making:
                if of not in self._kept:
                    self._put(of, await asyncio.to_thread(_compressed, await make()))
        self._kept.move_to_end(of)
        return self._kept[of]

    def _put(self, of: str, page: bytes) -> None:
        self._kept[of] = page
        self._bytes += len(page)
        while self._bytes > self._keep and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest)


def _compressed(html: str) -> bytes:
    return gzip.compress(html.encode(), compresslevel=6, mtime=0)
