"""The sandbox over HTTP: routes, keys, sizes, and bytes out at the pace of the clock. Every answer carries a
`request-id`; every refusal is the API's error body. What a request means is decided in engine.py."""

import asyncio
import json
from collections.abc import Awaitable
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.sandbox import catalogue
from app.sandbox.clock import Clock
from app.sandbox.engine import Engine, Exchange
from app.sandbox.errors import ApiError, invalid
from app.sandbox.options import Options
from app.sandbox.stream import frames

_DRAINED = 256 * 1024 * 1024
_T = TypeVar("_T")


def create_app(options: Options, clock: Clock) -> Starlette:
    engine = Engine(options, clock)
    http = _Http(engine)
    app = Starlette(
        routes=[
            Route("/v1/messages", http.create, methods=["POST"]),
            Route("/v1/messages/count_tokens", http.count, methods=["POST"]),
            Route("/v1/models", http.models, methods=["GET"]),
            Route("/v1/models/{id}", http.model, methods=["GET"]),
        ],
        exception_handlers={ApiError: http.refuse, HTTPException: http.refuse_route, Exception: http.fail},
    )
    app.state.engine = engine
    return app


class _Http:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def create(self, request: Request) -> Response:
        key = self._enter(request)
        raw = await self._body(request)
        exchange = self._engine.accept(raw, key)
        if exchange.body.get("stream"):
            return _Stream(self._engine, exchange, self._headers(request))
        message = await _unless_gone(request.receive, self._whole(exchange))
        return Response(message or b"", headers=self._headers(request), media_type="application/json")

    async def count(self, request: Request) -> Response:
        self._enter(request)
        return self._json(request, {"input_tokens": self._engine.count(await self._body(request))})

    async def models(self, request: Request) -> Response:
        self._enter(request)
        return self._json(request, catalogue.page(request.query_params))

    async def model(self, request: Request) -> Response:
        self._enter(request)
        return self._json(request, catalogue.one(request.path_params["id"]))

    async def refuse(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, ApiError):
            raise error
        headers = self._headers(request)
        body = error.body(headers["request-id"])
        return JSONResponse(body, error.status, headers={**headers, **error.headers})

    async def refuse_route(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        if error.status_code == 405:
            refusal = ApiError(405, "Method Not Allowed", type="invalid_request_error", headers=error.headers)
        else:
            refusal = ApiError(error.status_code, "Not Found")
        return await self.refuse(request, refusal)

    async def fail(self, request: Request, error: Exception) -> Response:
        return await self.refuse(request, ApiError(500, f"The sandbox failed: {type(error).__name__}. This is a bug."))

    async def _whole(self, exchange: Exchange) -> bytes:
        reply = await self._engine.begin(exchange)
        await self._engine.clock.sleep_until(self._engine.due(exchange.begins_at, reply.output_tokens))
        return json.dumps(exchange.message(reply), ensure_ascii=False).encode()

    def _enter(self, request: Request) -> str:
        """The caller's key, which is also its workspace."""
        request.state.request_id = self._engine.ids.new("req")
        bearer = request.headers.get("authorization", "")
        key = request.headers.get("x-api-key", "") or (bearer[7:] if bearer.lower().startswith("bearer ") else "")
        if not key.strip():
            raise ApiError(401, "x-api-key header is required")
        if not request.headers.get("anthropic-version"):
            raise invalid("anthropic-version: header is required")
        return key.strip()

    async def _body(self, request: Request) -> bytes:
        limit = self._engine.options.max_body_bytes
        chunks: list[bytes] = []
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size <= limit:
                chunks.append(chunk)
            elif size > _DRAINED:
                break
        if size > limit:
            raise ApiError(413, f"Request exceeds the maximum size of {limit} bytes")
        return b"".join(chunks)

    def _headers(self, request: Request) -> dict[str, str]:
        id = getattr(request.state, "request_id", None) or self._engine.ids.new("req")
        return {"request-id": id, "anthropic-organization-id": "org_sandbox"}

    def _json(self, request: Request, body: dict[str, Any]) -> Response:
        return JSONResponse(body, headers=self._headers(request))


class _Stream(Response):
    """Server-sent events at the clock's pace, until the end or until the client hangs up."""

    def __init__(self, engine: Engine, exchange: Exchange, headers: dict[str, str]) -> None:
        super().__init__(headers=headers, media_type="text/event-stream; charset=utf-8")
        del self.headers["content-length"]
        self.headers["cache-control"] = "no-cache"
        self._engine = engine
        self._exchange = exchange

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope  # the exchange knows all that matters
        await _unless_gone(receive, self._send(send))

    async def _send(self, send: Send) -> None:
        engine, exchange = self._engine, self._exchange
        reply = await engine.begin(exchange)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        for due, body in frames(exchange.message(None), reply, exchange.usage(reply), engine.dice(exchange)):
            await engine.clock.sleep_until(engine.due(exchange.begins_at, due))
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _unless_gone(receive: Receive, work: Awaitable[_T]) -> _T | None:
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
