"""Which pages may change anything here: our own, and those of the origins that are allowed to.

Browsers say where a request comes from: in `Sec-Fetch-Site`, and where that is missing (plain HTTP to another machine) in
`Origin`. A page cannot forge either. A client that sends neither is no browser, and carries nobody's cookie but its own.
"""

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.web.problems import Problem, respond

# What pages of allowed origins may send, and what they may read of an answer.
CORS: dict[str, Any] = {
    "allow_credentials": True,
    "allow_methods": ("GET", "POST", "PUT", "PATCH", "DELETE"),
    "allow_headers": ("authorization", "content-type", "idempotency-key", "last-event-id"),
    "expose_headers": ("Turn-Id", "Location", "Retry-After", "X-Request-Id"),
}
# These change nothing here, whatever they are sent with.
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_OURS = {"same-origin", "none"}


class CrossSiteMiddleware:
    """Refuses every request that could change something and was made by a page of another origin, unless `allowed`."""

    def __init__(self, app: ASGIApp, allowed: Collection[str] = ()) -> None:
        self._app = app
        self._allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _SAFE_METHODS:
            said = cross_site(Headers(scope=scope), self._allowed)
            if said is not None:
                await respond(Request(scope), _refusal(said).body)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def cross_site(headers: Headers, allowed: Collection[str]) -> str | None:
    """Where a request comes from, if that is neither this site nor one that is `allowed`; None when all is well."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin in allowed or site == "same-origin":
        return None
    if site is not None and site not in _OURS:
        return origin or site
    # The proxy's word counts where there is one: others have lost it on the way here.
    hosts = {_without_port(headers.get(name, "")) for name in ("host", "x-forwarded-host")} - {""}
    return origin if origin is not None and _host(origin) not in hosts else None


def _host(origin: str) -> str | None:
    try:
        return _without_port(urlsplit(origin).netloc) or None
    except ValueError:
        return None


def _without_port(host: str) -> str:
    """`host` without the port that goes without saying."""
    return host.lower().removesuffix(":443").removesuffix(":80")


def _refusal(origin: str) -> Problem:
    detail = (
        f"A page of another site ({origin[:100]}) may not change anything here. "
        "Whoever runs this server can allow its origin with HEADSTART_CORS_ORIGINS."
    )
    return Problem(403, "cross_site", "From another site", detail)
