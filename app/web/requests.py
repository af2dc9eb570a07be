"""One line in the log for every request, and an id that leads to it: in `X-Request-Id`, and in problem details.

The line has the route, not the address, so that no query string gets into it; the first digits of the owner, which lead
to nobody's cookie; and the ids of session and turn.
"""

import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.logs import fields, request_id

log = logging.getLogger("headstart.request")

OWNER_DIGITS = 8
_OURS = re.compile(r"[st]_[0-9a-f]{32,64}")
_GIVEN = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Asked every few seconds, or many at a time, and of no interest.
_QUIET = ("/static/", "/healthz", "/readyz")


class RequestLogMiddleware:
    """Gives every request an id, a trusted proxy's if it has given one, and logs how it ended."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        id = _id(scope)
        # For the rest of this task, which serves this request alone, and for whatever it begins.
        request_id.set(id)

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            level = logging.DEBUG if scope["path"].startswith(_QUIET) else logging.INFO
            if log.isEnabledFor(level):
                _log(level, scope, status, time.perf_counter() - started)


def _id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "") if scope.get("headstart.proxied") else ""
    return given if _GIVEN.fullmatch(given) else secrets.token_hex(8)


def _log(level: int, scope: Scope, status: int, took_s: float) -> None:
    route, ids = getattr(scope.get("route"), "path", "-"), scope.get("path_params", {})
    said = fields(
        method=scope["method"],
        route=route,
        status=status,
        ms=round(took_s * 1000, 1),
        owner=scope.get("headstart.owner", "")[:OWNER_DIGITS] or None,
        session=_short(ids.get("session")),
        turn=_short(ids.get("turn")),
    )
    log.log(level, "%s %s %d", scope["method"], route, status, extra=said)


def _short(id: object) -> str | None:
    """An id as it came, if it may be one of ours; what else stands in its place is not ours to write down."""
    return id if isinstance(id, str) and _OURS.fullmatch(id) else None
