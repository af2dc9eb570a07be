"""Under which names this server may be asked, while it listens on its own machine alone.

Whoever owns a name can have it lead to 127.0.0.1, once a browser has loaded their page from it: then that page is, to the
browser, the same site as a server there, and reads what it answers. What it cannot change is the name that is asked for. An
address is no such name. Nor is one under which a proxy publishes this server; that this is one is read from what no page can
send: `Sec-Fetch-Site`, which browsers send to sites that have TLS and to local ones, or a proxy's words over a connection
that is not a browser's own, which says `keep-alive`.
"""

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.web.problems import Problem, respond

_OF_PROXIES = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


class HostMiddleware:
    """Refuses requests for a name that is none of `known`, no local one, and none that a proxy publishes."""

    def __init__(self, app: ASGIApp, known: Collection[str] = ()) -> None:
        self._app = app
        self._known = frozenset(known)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            name = _name(headers["host"]) if "host" in headers else "localhost"
            if not (name in self._known or _is_own(name) or _is_published(headers, scope)):
                await respond(Request(scope), _refusal(name).body)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _is_own(name: str) -> bool:
    """Whether no page of another's can have been loaded under `name`: it is local, or an address."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_published(headers: Headers, scope: Scope) -> bool:
    if "sec-fetch-site" in headers:
        return True
    said = bool(scope.get("headstart.proxied")) and any(name in headers for name in _OF_PROXIES)
    return said and headers.get("connection", "").lower() != "keep-alive"


def _refusal(name: str) -> Problem:
    detail = (
        f"This server is not known as {name[:100]!r}. "
        "Whoever runs it can have it answer to that name, with HEADSTART_HOSTS."
    )
    return Problem(421, "unknown_host", "Not known by this name", detail)
