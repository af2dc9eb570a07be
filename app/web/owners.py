"""Who asks: an anonymous owner, known by a cookie that the first answer sets.

The owner is looked up where a route needs one. Cookies are HttpOnly, so that no script reads them; SameSite=Lax, so that
other sites' pages cannot use them; and over TLS Secure and named `__Host-…`, so that nothing but this host sets them.
"""

from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.cookies import MAX_AGE_S, OwnerCookies
from app.access.limits import Allowance, Visitor

COOKIE = "headstart_owner"
_TO_SET = "headstart.cookie"


@dataclass(frozen=True, slots=True)
class Visitors:
    """How owners are recognised, and what each of them may."""

    cookies: OwnerCookies
    allowance: Allowance

    async def visitor(self, request: Request) -> Visitor:
        """The owner who sent `request`. A cookie that is to be set is left in the scope for `CookieMiddleware`."""
        visit = await self.cookies.visit(_value(request.scope))
        if visit.value is not None:
            request.scope[_TO_SET] = visit.value
        return Visitor(visit.owner, self.allowance, request.client.host if request.client else "")


class CookieMiddleware:
    """Sets the owner's cookie with the answer, where the route has left one to set."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and _TO_SET in scope:
                cookie = f"{_name(scope)}={scope[_TO_SET]}; {_attributes(scope)}"
                MutableHeaders(scope=message).append("set-cookie", cookie)
            await send(message)

        await self._app(scope, receive, send_with_cookie if scope["type"] == "http" else send)


def _name(scope: Scope) -> str:
    return f"__Host-{COOKIE}" if scope["scheme"] == "https" else COOKIE


def _attributes(scope: Scope) -> str:
    attributes = f"HttpOnly; Max-Age={MAX_AGE_S}; Path=/; SameSite=Lax"
    return f"{attributes}; Secure" if scope["scheme"] == "https" else attributes


def _value(scope: Scope) -> str | None:
    try:
        cookie = SimpleCookie(Headers(scope=scope).get("cookie", "")).get(_name(scope))
    except CookieError:
        return None
    return cookie.value if cookie is not None else None
