"""Callers: many short requests at an even rate, over few connections. Written by hand, as a client library takes longer to
send a request than the server takes to answer it, and would have been what is measured.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from typing import cast
from urllib.parse import urlsplit

from bench.readers import Request

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")


class Caller(asyncio.Protocol):
    """A connection that is kept, for one short request at a time."""

    def __init__(self) -> None:
        self.lost = False
        self._answer: asyncio.Future[bytes] | None = None
        self._came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, found, body = self._came.partition(b"\r\n\r\n")
        if self._answer and not self._answer.done() and found and len(body) >= _length(head):
            self._answer.set_result(head[9:12])

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("closed before the answer"))

    async def status(self, request: bytes) -> bytes:
        """The status of the answer, once all of it has come."""
        self._came, self._answer = b"", asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self._transport.close()


def _length(head: bytes) -> int:
    """Bytes of the body that the answer's head announces."""
    found = _LENGTH.search(head)
    return int(found[1]) if found else 0


async def at_rate(per_s: float, requests: Sequence[Request]) -> tuple[list[float], int]:
    """Send `requests` at an even rate, whether or not earlier ones have been answered. Milliseconds of each, and how many
    were not taken (202)."""
    loop = asyncio.get_running_loop()
    free: list[Caller] = []
    took: list[float] = []
    failed = 0

    async def send(request: Request) -> None:
        nonlocal failed
        began = time.perf_counter()
        caller = free.pop() if free else None
        # The server closes what it has heard nothing over for a while.
        if caller is None or caller.lost:
            parts = urlsplit(request.url)
            _, caller = await loop.create_connection(Caller, parts.hostname or "", parts.port or 80)
        failed += await caller.status(request.encoded(last=False)) != b"202"
        took.append((time.perf_counter() - began) * 1000)
        free.append(caller)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, request in enumerate(requests):
            await asyncio.sleep(max(0.0, began + number / per_s - time.perf_counter()))
            group.create_task(send(request))
    for caller in free:
        caller.close()
    return took, failed
