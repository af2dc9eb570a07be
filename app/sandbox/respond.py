"""An accepted request on the wire: whole or as a stream, at the clock's pace, as a fault may have it, and until the
client hangs up. What is said comes from the engine; here it is only sent."""

import asyncio
import json
from collections.abc import Awaitable, Iterator
from typing import TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.sandbox.engine import Engine, Exchange
from app.sandbox.faults import Disconnect, Fault, Stall, disturbed
from app.sandbox.log import Record
from app.sandbox.stream import Frame, frames

_T = TypeVar("_T")


class Answer(Response):
    """Sends one exchange. Returning before the end of the body is how a connection is cut."""

    def __init__(self, engine: Engine, exchange: Exchange, fault: Fault | None, headers: dict[str, str]) -> None:
        streams = bool(exchange.body.get("stream"))
        kind = "text/event-stream; charset=utf-8" if streams else "application/json"
        kind = fault.get("content_type", kind) if fault else kind
        super().__init__(headers={**headers, "content-type": kind, "cache-control": "no-cache"})
        del self.headers["content-length"]
        self._engine = engine
        self._exchange = exchange
        self._fault: Fault = fault or {}
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope  # the exchange knows all that matters
        await unless_gone(receive, self._send(send))
        self._close("disconnected")

    async def _send(self, send: Send) -> None:
        engine, exchange = self._engine, self._exchange
        reply = await engine.begin(exchange)
        pieces: Iterator[Frame]
        if self._streams:
            pieces = frames(exchange.message(None), reply, exchange.usage(reply), engine.dice(exchange))
        else:
            message = json.dumps(exchange.message(reply), ensure_ascii=False).encode()
            pieces = iter([(reply.output_tokens, message)])
        if not self._streams:
            await engine.clock.sleep_until(engine.due(exchange.begins_at, reply.output_tokens))
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            for due, body in disturbed(pieces, self._fault):
                await engine.clock.sleep_until(engine.due(exchange.begins_at, due))
                await self._drip(send, body)
        except Disconnect:
            return
        except Stall:
            await asyncio.Event().wait()
        self._close("complete")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _close(self, outcome: str) -> None:
        """Before the last byte leaves, so that who has read the answer finds it in the log."""
        record = self._exchange.record
        if record is not None and record.outcome is None:
            close(record, self._engine.clock.now(), outcome, 200)

    async def _drip(self, send: Send, body: bytes) -> None:
        size = self._fault.get("drip_bytes", len(body))
        for start in range(0, len(body), size):
            if start:
                await self._engine.clock.sleep(self._fault.get("drip_s", 0.01))
            await send({"type": "http.response.body", "body": body[start : start + size], "more_body": True})


def close(record: Record | None, now: float, outcome: str, status: int, error: str | None = None) -> None:
    """Note how a request ended."""
    if record is not None:
        record.ended_at, record.outcome, record.status, record.error = now, outcome, status, error


async def unless_gone(receive: Receive, work: Awaitable[_T]) -> _T | None:
    """The work's result, or None when the client hung up first; the work is then cancelled."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        leaving.cancel()
        working.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
