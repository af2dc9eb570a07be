"""A turn's stream with its answer as HTML: the raw frames as they are, and `html` frames between them.

An `html` frame says what block n of the answer looks like now. Finished blocks are sent once; what follows them is one open
block, sent again as it grows: at once when it begins, then at most every 50 ms, and less often when it is long or slow to
render, so that an answer costs what its length does. Nothing of this is journalled. A client that comes back after event n
gets every block again, whole, because they are derived from the events before n too.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from app.rendering.answer import AnswerHtml

PAUSE_S = 0.05
# Of the time between two renderings, the part that a rendering may take.
BUSY = 0.1
OPEN_BYTES_PER_S = 1_000_000

_ANEW = ("restart", "message_start")
_CONTENT = ("content_block_start", "content_block_delta", "content_block_stop")
_ENDS = ("verdict", "stopped", "error")


async def with_html(frames: AsyncIterator[bytes], after: int = 0) -> AsyncIterator[bytes]:
    """`frames`, which are a turn's from its first one, without those up to event `after`, and their answer as HTML."""
    answer = _Derived(after)
    due = 0.0
    coming = asyncio.ensure_future(_next(frames))
    try:
        while True:
            await asyncio.wait([coming], timeout=max(0.0, due - time.monotonic()) if answer.stale else None)
            if coming.done():
                chunk = coming.result()
                if chunk is None:
                    return
                raw, last = answer.take(chunk)
                coming = asyncio.ensure_future(_next(frames))
                if last:
                    yield raw + await asyncio.to_thread(answer.finish) + last
                elif raw:
                    yield raw
            began = time.monotonic()
            if answer.stale and began >= due:
                html = await asyncio.to_thread(answer.render)
                ended = time.monotonic()
                due = ended + max(PAUSE_S, (ended - began) / BUSY, len(html) / OPEN_BYTES_PER_S)
                yield html
    finally:
        coming.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await coming
        # Whoever counts the turn's readers is to know at once.
        inner: Any = frames
        await inner.aclose()


async def _next(frames: AsyncIterator[bytes]) -> bytes | None:
    return await anext(frames, None)


class _Derived:
    """One client's answer, as far as the frames that were taken. `stale` says that there is more to show than was sent."""

    def __init__(self, after: int) -> None:
        self.stale = False
        self._after = after
        self._answer = AnswerHtml()
        self._sent = 0
        self._open = ""
        self._forget = False

    def take(self, chunk: bytes) -> tuple[bytes, bytes]:
        """What of whole frames is to be passed on, and, once the turn has ended, the frame that says so."""
        raw, last = [], b""
        for frame in chunk.split(b"\n\n")[:-1]:
            number, name, data = _fields(frame)
            if name in _ANEW and (self._sent or self._open or self.stale):
                self._sent, self._open, self._forget, self.stale = 0, "", True, True
            if name in _ANEW or name in _CONTENT:
                self._answer.take(name, json.loads(data))
                self.stale = self.stale or name in _CONTENT
            if number is not None and number <= self._after:
                continue
            if name in _ENDS:
                last += frame + b"\n\n"
            else:
                raw.append(frame + b"\n\n")
        return b"".join(raw), last

    def render(self) -> bytes:
        """The `html` frames for what is new."""
        self.stale = False
        frames = [_html_frame(0, "", is_open=True)] if self._forget else []
        self._forget = False
        self._answer.advance()
        blocks, rest = self._answer.blocks, self._answer.rest()
        frames += [_html_frame(n, blocks[n], is_open=False) for n in range(self._sent, len(blocks))]
        if rest and (rest != self._open or self._sent < len(blocks)):
            frames.append(_html_frame(len(blocks), rest, is_open=True))
        self._sent, self._open = len(blocks), rest
        return b"".join(frames)

    def finish(self) -> bytes:
        """The `html` frames for what is left: all blocks are finished now."""
        self._answer.finish()
        return self.render()


def _fields(frame: bytes) -> tuple[int | None, str, bytes]:
    number, name, data = None, "", []
    for line in frame.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"id":
            number = int(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
        elif field == b"data":
            data.append(value)
    return number, name, b"\n".join(data)


def _html_frame(block: int, html: str, *, is_open: bool) -> bytes:
    data: dict[str, Any] = {"block": block, "html": html, "open": is_open}
    return b"event: html\ndata: %b\n\n" % json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
