"""Answers that are event streams."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.turns.tail import Tail
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
    past them all. One task looks after the client; sse-starlette's four, in anyio's task group, take 0.3 ms to begin and to
    end, which is a tenth of what a question costs.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send_body = scope.get(BARE_SEND, send)
        self._client_gone = False
        streaming = asyncio.current_task()
        assert streaming is not None
        attending = asyncio.create_task(self._attend(receive, streaming))
        try:
            await self._stream_response(send)
        except asyncio.CancelledError:
            if not self._client_gone or streaming.uncancel():
                raise
        finally:
            attending.cancel()

    async def _stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        frames: Any = self.body_iterator
        if isinstance(frames, Tail):
            await frames.into(self._send_chunk)
        else:
            async with aclosing(frames):
                async for chunk in frames:
                    await self._send_chunk(chunk)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_chunk(self, chunk: bytes) -> None:
        await self._send_body({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _attend(self, receive: Receive, streaming: "asyncio.Task[Any]") -> None:
        """Say now and then that we are there, and have `streaming` end when the client is gone, or takes nothing."""
        while not self._client_gone:
            try:
                async with asyncio.timeout(PING_S):
                    self._client_gone = (await receive())["type"] == "http.disconnect"
            except TimeoutError:
                self._client_gone = not await self._takes_a_ping()
        streaming.cancel()

    async def _takes_a_ping(self) -> bool:
        ping = ServerSentEvent('{"type":"ping"}', event="ping", sep="\n").encode()
        try:
            async with asyncio.timeout(TAKES_NOTHING_S):
                await self._send_chunk(ping)
        except TimeoutError:
            log.info("a client that took nothing for %s s was cut off", TAKES_NOTHING_S)
            return False
        return True


def event_stream(frames: Tail | AsyncIterator[bytes], turn: str) -> EventSourceResponse:
    """`frames` as they come, a `ping` when nothing else was to be done for a while, and the turn's id in `Turn-Id`."""
    return _Frames(frames, headers={"Turn-Id": turn})
