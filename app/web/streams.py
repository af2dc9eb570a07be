"""Answers that are event streams."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response
from starlette.types import Send

PING_S = 15


class EventStream(Response):
    """For the OpenAPI document: what `event_stream` answers with."""

    media_type = "text/event-stream"


class _Frames(EventSourceResponse):
    """sse-starlette's response, for frames that are bytes already: it would look at each, and set a timeout for it."""

    async def _stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        frames: Any = self.body_iterator
        async with aclosing(frames):
            async for chunk in frames:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        async with self._send_lock:
            self.active = False
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def event_stream(frames: AsyncIterator[bytes], turn: str) -> EventSourceResponse:
    """`frames` as they come, a `ping` when nothing has come for a while, and the turn's id in `Turn-Id`."""
    return _Frames(frames, headers={"Turn-Id": turn}, ping=PING_S, sep="\n", ping_message_factory=_ping)


def _ping() -> ServerSentEvent:
    return ServerSentEvent('{"type":"ping"}', event="ping", sep="\n")
