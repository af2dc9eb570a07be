"""The sandbox over HTTP: routes, keys, sizes, and bytes out at the pace of the clock. Every answer carries a
`request-id`; every refusal is the API's error body. What a request means is decided in engine.py."""

from typing import Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.sandbox import catalogue, control
from app.sandbox.clock import Clock
from app.sandbox.engine import Engine
from app.sandbox.errors import ApiError, invalid
from app.sandbox.faults import Fault, refusal
from app.sandbox.log import Record
from app.sandbox.options import Options
from app.sandbox.respond import Answer, close, unless_gone

_DRAINED = 256 * 1024 * 1024


def create_app(options: Options, clock: Clock) -> Starlette:
    engine = Engine(options, clock)
    http = _Http(engine)
    app = Starlette(
        routes=[
            *(control.routes(engine) if options.control else ()),
            Route("/v1/messages", http.create, methods=["POST"]),
            Route("/v1/messages/count_tokens", http.count, methods=["POST"]),
            Route("/v1/models", http.models, methods=["GET"]),
            Route("/v1/models/{id}", http.model, methods=["GET"]),
        ],
        exception_handlers={
            ApiError: http.refuse,
            HTTPException: http.refuse_route,
            ClientDisconnect: http.forget,
            Exception: http.fail,
        },
    )
    app.state.engine = engine
    return app


class _Http:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def create(self, request: Request) -> Response:
        key = self._enter(request)
        raw = await self._body(request)
        record = self._record(request, key, raw)
        exchange = await self._engine.receive(raw, key, _betas(request))
        exchange.record = record
        if record is not None:
            exchange.describe(record)
        fault = self._engine.script.take(request.url.path, exchange.kind)
        if fault is not None:
            await self._strike(request, fault, record)
            exchange.delay(fault.get("delay_s", 0))
            if "diagnosis" in fault:
                pending = fault["diagnosis"] == "pending"
                exchange.diagnosis = {"cache_miss_reason": None if pending else {"type": "unavailable"}}
        return Answer(self._engine, exchange, fault, self._headers(request))

    async def count(self, request: Request) -> Response:
        key = self._enter(request)
        raw = await self._body(request)
        record = self._record(request, key, raw)
        body = {"input_tokens": await self._engine.count(raw)}
        fault = self._engine.script.take(request.url.path, "whole")
        if fault is not None:
            await self._strike(request, fault, record)
        close(record, self._engine.clock.now(), "complete", 200)
        return self._json(request, body)

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
        record: Record | None = getattr(request.state, "record", None)
        outcome = "fault" if record and record.fault else "refused"
        close(record, self._engine.clock.now(), outcome, error.status, str(error))
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

    async def forget(self, request: Request, error: Exception) -> Response:
        """The client left while it was sending; nobody reads this."""
        return await self.refuse(request, invalid(f"The request body ended early: {type(error).__name__}"))

    async def fail(self, request: Request, error: Exception) -> Response:
        return await self.refuse(request, ApiError(500, f"The sandbox failed: {type(error).__name__}. This is a bug."))

    def _record(self, request: Request, key: str, raw: bytes) -> Record | None:
        engine = self._engine
        if not engine.options.control:
            return None
        id = request.state.request_id
        request.state.record = engine.log.open(id, request.url.path, engine.clock.now(), key, raw)
        return cast(Record, request.state.record)

    async def _strike(self, request: Request, fault: Fault, record: Record | None) -> None:
        """Note the fault and, if it is an error, wait as ordered and raise it."""
        if record is not None:
            record.fault = dict(fault)
        error = refusal(fault)
        if error is not None:
            if record is not None:
                record.usage = None
            await unless_gone(request.receive, self._engine.clock.sleep(fault.get("delay_s", 0)))
            raise error

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


def _betas(request: Request) -> frozenset[str]:
    """The beta features asked for, but the one that is no longer needed to ask for diagnostics."""
    named = {name.strip() for value in request.headers.getlist("anthropic-beta") for name in value.split(",")}
    return frozenset(named - {"", "cache-diagnosis-2026-04-07"})
