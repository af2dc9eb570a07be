"""Answers that are event streams."""

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.web.guards import BARE_SEND

log = logging.getLogger("headstart.web")

PING_S = 15
# A client whose connection takes not even a ping for so long reads no more: it can come back to where it was.
TAKES_NOTHING_S = 60


class EventStream(Response):
    """For the OpenAPI document: what `event_stream` answers with."""

    media_type = "text/event-stream"


class _Frames(EventSourceResponse):
    """sse-starlette's response, for frames that are bytes already: it would look at each, and set a timeout for it.

    Between the beginning of such a response and its end no layer above has anything to do with it: what is in between goes
    past them all.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send_body = scope.get(BARE_SEND, send)
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            log.info("a client that took nothing for %s s was cut off", TAKES_NOTHING_S)

    async def _stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        frames: Any = self.body_iterator
        async with aclosing(frames):
            async for chunk in frames:
                await self._send_body({"type": "http.response.body", "body": chunk, "more_body": True})
        async with self._send_lock:
            self.active = False
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def event_stream(frames: AsyncIterator[bytes], turn: str) -> EventSourceResponse:
    """`frames` as they come, a `ping` when nothing has come for a while, and the turn's id in `Turn-Id`."""
    return _Frames(
        frames,
        headers={"Turn-Id": turn},
        ping=PING_S,
        sep="\n",
        ping_message_factory=_ping,
        send_timeout=TAKES_NOTHING_S,
    )


def _ping() -> ServerSentEvent:
    return ServerSentEvent('{"type":"ping"}', event="ping", sep="\n")
