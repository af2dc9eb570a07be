"""Server-sent events, as they come off the wire: split, not interpreted.

An event keeps its own lines, so that what a client gets is what the upstream sent, byte for byte, with only an `id:` line
put before it.
"""

import json
from typing import Any, NamedTuple

from pydantic_core import from_json

from app.upstream.errors import UpstreamCode, UpstreamError

MAX_EVENT_BYTES = 8 * 1024 * 1024
# The first lines of the events that nearly all are, and the names in them.
_USUAL = {f"event: {name}".encode(): name for name in ("content_block_delta", "ping", "message_delta", "message_stop")}


class Event(NamedTuple):
    """One event: its name, its data, and the `event:` and `data:` lines as they came, each with its line feed."""

    name: str
    data: bytes
    lines: bytes

    def parsed(self) -> dict[str, Any]:
        """The data as an object. Raises `UpstreamError` (garbled) if it is none."""
        try:
            value = _parse_json(self.data)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise UpstreamError(UpstreamCode.GARBLED, f"the data of a {self.name!r} event is not a JSON object")
        return value


class Splitter:
    """Splits a stream into events, however it is cut into chunks."""

    def __init__(self) -> None:
        self._rest = b""
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are whole with `chunk`. Raises `UpstreamError` (garbled) when one is too long."""
        if self._after_cr or b"\r" in chunk:
            chunk = self._with_line_feeds(chunk)
        frames = (self._rest + chunk).split(b"\n\n")
        self._rest = frames.pop()
        if len(self._rest) > MAX_EVENT_BYTES and len(self._rest.removesuffix(b"\n")) > MAX_EVENT_BYTES:
            raise _too_long()
        return _events(frames)

    def _with_line_feeds(self, chunk: bytes) -> bytes:
        # A CR ends its line at once; the LF that may follow it, here or in the next chunk, is a part of it.
        half = self._after_cr and chunk.startswith(b"\n")
        self._after_cr = chunk.endswith(b"\r") if chunk else self._after_cr
        return chunk[half:].replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def events_in(frames: bytes) -> list[Event]:
    """The events in `frames`, which are whole and were split once before."""
    return _events(frames.split(b"\n\n"))


def _too_long() -> UpstreamError:
    return UpstreamError(UpstreamCode.GARBLED, f"an event is longer than {MAX_EVENT_BYTES} bytes")


def _events(frames: list[bytes]) -> list[Event]:
    events = []
    for frame in frames:
        if len(frame) > MAX_EVENT_BYTES:
            raise _too_long()
        first, _, data = frame.partition(b"\ndata: ")
        usual = _USUAL.get(first)
        if usual is not None and data and b"\n" not in data:
            events.append(Event(usual, data, frame + b"\n"))
        elif (event := _parse(frame)) is not None:
            events.append(event)
    return events


def _parse(frame: bytes) -> Event | None:
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


def _parse_json(data: bytes) -> Any:
    try:
        return from_json(data)
    except ValueError:
        # The fast parser takes no half of a surrogate pair, and an API may well cut one in two.
        return json.loads(data)
