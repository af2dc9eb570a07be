"""Server-sent events, as they come off the wire: split, not interpreted.

An event keeps its own lines, so that what a client gets is what the upstream sent, byte for byte, with only an `id:` line
put before it.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from app.upstream.errors import UpstreamCode, UpstreamError

MAX_EVENT_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its name, its data, and the `event:` and `data:` lines as they came, each with its line feed."""

    name: str
    data: bytes
    lines: bytes

    def parsed(self) -> dict[str, Any]:
        """The data as an object. Raises `UpstreamError` (garbled) if it is none."""
        try:
            value = json.loads(self.data)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise UpstreamError(UpstreamCode.GARBLED, f"the data of a {self.name!r} event is not a JSON object")
        return value


async def split_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    """The events in `chunks`, however these are cut. Raises `UpstreamError` (garbled) when one is too long."""
    rest, after_cr = b"", False
    async for chunk in chunks:
        # A CR ends its line at once; the LF that may follow it, here or in the next chunk, is a part of it.
        half = after_cr and chunk.startswith(b"\n")
        after_cr = chunk.endswith(b"\r") if chunk else after_cr
        rest += chunk[half:].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *frames, rest = rest.split(b"\n\n")
        for frame in frames:
            if (event := _parse(frame)) is not None:
                yield event
        _check_size(rest.removesuffix(b"\n"))


def events_in(frames: bytes) -> list[Event]:
    """The events in `frames`, which are whole and were split once before."""
    return [event for frame in frames.split(b"\n\n") if (event := _parse(frame)) is not None]


def _check_size(frame: bytes) -> None:
    if len(frame) > MAX_EVENT_BYTES:
        raise UpstreamError(UpstreamCode.GARBLED, f"an event is longer than {MAX_EVENT_BYTES} bytes")


def _parse(frame: bytes) -> Event | None:
    _check_size(frame)
    name, data, lines = "message", [], []
    for line in frame.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value.decode("utf-8", "replace") or "message"
            lines.append(line)
        elif field == b"data":
            data.append(value)
            lines.append(line)
    if not data:
        return None
    return Event(name, b"\n".join(data), b"\n".join(lines) + b"\n")
