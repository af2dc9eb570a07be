"""Readers: many streams read at once by this process, and what each of them saw. Counts every delta, so that one that is
lost or comes twice is a failure; the time between a delta's stamp and its arrival is its lag.
"""

import asyncio
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast
from urllib.parse import urlsplit

from bench.stamping import STAMP

LONGEST_STAMP = 24


@dataclass(frozen=True, slots=True)
class Request:
    """What one reader sends: a POST of `body`, or a GET without one; `cookie` may be empty."""

    url: str
    body: bytes = b""
    cookie: str = ""

    def encoded(self, *, last: bool = True) -> bytes:
        """The request's bytes; after the `last` one's answer the connection is closed."""
        parts = urlsplit(self.url)
        head = [f"{'POST' if self.body else 'GET'} {parts.path} HTTP/1.1", f"host: {parts.netloc}"]
        if last:
            head.append("connection: close")
        if self.body:
            head += ["content-type: application/json", f"content-length: {len(self.body)}", "x-api-key: none"]
        if self.cookie:
            head.append(f"cookie: {self.cookie}")
        return "\r\n".join(head).encode() + b"\r\n\r\n" + self.body


class Reader(asyncio.Protocol):
    """One stream from request to end. `on_first` is called with its first delta, `on_end` when it is closed."""

    def __init__(self, request: bytes, on_first: Callable[[], None], on_end: Callable[[], None]) -> None:
        self.stamps: list[int] = []
        self.arrivals: list[int] = []
        self.began = 0
        self.status = b""
        self._request = request
        self._on_first, self._on_end = on_first, on_end
        self._rest = b""

    @property
    def ttft_ms(self) -> float:
        """From sending the request to the first delta."""
        return (self.arrivals[0] - self.began) / 1e6

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.began = time.monotonic_ns()
        cast(asyncio.Transport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self.status = self.status or data[9:12]
        text = self._rest + data
        end = 0
        for found in STAMP.finditer(text):
            if not self.stamps:
                self._on_first()
            self.stamps.append(int(found[1]))
            self.arrivals.append(now)
            end = found.end()
        self._rest = text[max(end, len(text) - LONGEST_STAMP) :]

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # however it ended
        self._on_end()


@dataclass
class Seen:
    """What a crowd of readers saw. Lags and TTFTs in milliseconds, CPU in seconds of the steady part, `steady_s` long:
    from when every stream had begun until the first one ended."""

    readers: list[Reader]
    expected: int
    cpu_s: float = 0.0
    redis_cpu_s: float = 0.0
    steady_s: float = 0.0
    steady_cpu_s: float = 0.0
    steady_deltas: int = 0

    @property
    def failed(self) -> int:
        """Streams that were refused, broke off, or missed or repeated a delta."""
        return sum(not self._whole(reader) for reader in self.readers)

    @property
    def said(self) -> str:
        """What can be said of the first stream that failed; nothing when none did."""
        for reader in self.readers:
            if not self._whole(reader):
                return f"{reader.status.decode() or 'no'} answer, {len(reader.stamps)} of {self.expected} deltas"
        return ""

    @property
    def deltas(self) -> int:
        return sum(len(reader.stamps) for reader in self.readers)

    @property
    def busy(self) -> float:
        """Of a core, in the steady part; infinite when there was none."""
        return self.steady_cpu_s / self.steady_s if self.steady_s else math.inf

    @property
    def steady_us_per_delta(self) -> float:
        """CPU per delta of the steady part; infinite when there was none."""
        return self.steady_cpu_s / self.steady_deltas * 1e6 if self.steady_deltas else math.inf

    @property
    def us_per_delta(self) -> float:
        return self.cpu_s / max(self.deltas, 1) * 1e6

    @property
    def redis_us_per_delta(self) -> float:
        return self.redis_cpu_s / max(self.deltas, 1) * 1e6

    @property
    def ttft_ms(self) -> float:
        """The median."""
        return statistics.median(reader.ttft_ms for reader in self.readers if reader.arrivals)

    def steady_lags_ms(self) -> list[float]:
        """Lags of what was written in the steady part: after the last stream's first delta, before the first one's last."""
        started = [reader for reader in self.readers if self._whole(reader)]
        if not started:
            return []
        first, last = max(reader.arrivals[0] for reader in started), min(reader.stamps[-1] for reader in started)
        return [
            (arrival - stamp) / 1e6
            for reader in started
            for stamp, arrival in zip(reader.stamps, reader.arrivals, strict=True)
            if first < stamp < last
        ]

    def _whole(self, reader: Reader) -> bool:
        ascending = all(a < b for a, b in zip(reader.stamps, reader.stamps[1:], strict=False))
        return reader.status == b"200" and len(reader.stamps) == self.expected and ascending


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of `values` lie; infinite when there are none."""
    ordered = sorted(values) or [math.inf]
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def read_all(
    requests: Sequence[Request],
    expected: int,
    *,
    cpu: Callable[[], float] = lambda: 0.0,
    redis_cpu: Callable[[], float] = lambda: 0.0,
    per_s: float = math.inf,
    within_s: float = 90,
) -> Seen:
    """Send all `requests`, at once or so many `per_s`, and read every stream to its end; each should have `expected`
    deltas."""
    seen = Seen([], expected)
    before, redis_before = cpu(), redis_cpu()
    async with asyncio.timeout(within_s):
        await _read(requests, seen, cpu, per_s)
    seen.cpu_s, seen.redis_cpu_s = cpu() - before, redis_cpu() - redis_before
    return seen


async def _read(requests: Sequence[Request], seen: Seen, cpu: Callable[[], float], per_s: float) -> None:
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    unbegun = unended = len(requests)
    steady_from = steady_cpu_from = 0.0

    def on_first() -> None:
        nonlocal unbegun, steady_from, steady_cpu_from
        unbegun -= 1
        if not unbegun and unended == len(requests):
            steady_from, steady_cpu_from, seen.steady_deltas = loop.time(), cpu(), -seen.deltas

    def on_end() -> None:
        nonlocal unended
        if unended == len(requests) and steady_from:
            seen.steady_s, seen.steady_cpu_s = loop.time() - steady_from, cpu() - steady_cpu_from
            seen.steady_deltas += seen.deltas
        unended -= 1
        if not unended and not over.done():
            over.set_result(None)

    async def connect(number: int, request: Request) -> None:
        parts = urlsplit(request.url)
        await asyncio.sleep(number / per_s)
        made = partial(Reader, request.encoded(), on_first, on_end)
        _, reader = await loop.create_connection(made, parts.hostname or "", parts.port or 80)
        seen.readers.append(reader)

    await asyncio.gather(*(connect(*each) for each in enumerate(requests)))
    await over
