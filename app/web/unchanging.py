"""Pages that say the same whoever comes: made once, one at a time, and kept as they go over the wire."""

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256

from fastapi import Request
from fastapi.responses import HTMLResponse

KEEP_BYTES = 16_000_000
_PACKED = {"content-encoding": "gzip", "vary": "Accept-Encoding"}


class Unchanging:
    """Pages by all that makes them what they are; the longest unused go first when their compressed bytes pass `keep`."""

    def __init__(self, keep: int = KEEP_BYTES) -> None:
        self._keep = keep
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0
        # However many come at once, what they want takes no more than one thread from everybody else.
        self._making = asyncio.Lock()

    async def page(self, of: str, make: Callable[[], Awaitable[str]]) -> bytes:
        """The page of `of`, compressed by gzip; `make` makes it if it is not there."""
        key = sha256(of.encode()).digest()
        if key not in self._kept:
            async with self._making:
                if key not in self._kept:
                    self._put(key, await asyncio.to_thread(_compressed, await make()))
        self._kept.move_to_end(key)
        return self._kept[key]

    async def answer(
        self, request: Request, of: str, make: Callable[[], Awaitable[str]], headers: Mapping[str, str] | None = None
    ) -> HTMLResponse:
        """The same for who sent `request`, in a coding that they can read."""
        packed = await self.page(of, make)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return HTMLResponse(packed, headers={**(headers or {}), **_PACKED})
        return HTMLResponse(await asyncio.to_thread(gzip.decompress, packed), headers=headers)

    def _put(self, of: bytes, page: bytes) -> None:
        self._kept[of] = page
        self._bytes += len(page)
        while self._bytes > self._keep and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest)


def _compressed(html: str) -> bytes:
    return gzip.compress(html.encode(), compresslevel=6, mtime=0)
