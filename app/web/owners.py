"""Who asks: whoever has an API key, whom a trusted proxy has logged in, or an anonymous owner, known by a cookie.

The owner is looked up where a route needs one. Cookies are HttpOnly, so that no script reads them; SameSite=Lax, so that
other sites' pages cannot use them; and over TLS Secure and named `__Host-…`, so that nothing but this host sets them. For a
page of another site whose origin is allowed, the cookie is a partitioned one, which that page alone sends along.
"""

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.apikeys import PREFIX, ApiKey, ApiKeys, UnknownKey
from app.access.cookies import MAX_AGE_S, OwnerCookies
from app.access.limits import Allowance, Visitor
from app.web.admin import Admin, bearer
from app.web.problems import Problem

COOKIE = "headstart_owner"
_TO_SET = "headstart.cookie"
_ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Visitors:
    """How owners are recognised, and what each of them may.

    `allowance` gives what a key's owner may, and, for None, everyone else. With a `login_header`, nobody is anonymous.
    """

    cookies: OwnerCookies
    keys: ApiKeys
    admin: Admin
    allowance: Callable[[ApiKey | None], Allowance]
    login_header: str | None

    async def visitor(self, request: Request) -> Visitor:
        """The owner who sent `request`. A cookie that is to be set is left in the scope for `CookieMiddleware`.

        Raises `UnknownKey`, and a `Problem` for who is not logged in and must be.
        """
        token = bearer(request)
        if token is not None and token.startswith(PREFIX):
            key = await self.keys.find(token)
            return Visitor(key.id, self.allowance(key), None)
        if token is not None and self.admin.knows(token):
            return Visitor(_ADMIN, self.allowance(None), None)
        if self.login_header is not None:
            return Visitor(self._logged_in(request, self.login_header), self.allowance(None), None)
        if token is not None:
            raise UnknownKey
        visit = await self.cookies.visit(_value(request.scope))
        if visit.value is not None:
            request.scope[_TO_SET] = visit.value
        return Visitor(visit.owner, self.allowance(None), request.client.host if request.client else "")

    def _logged_in(self, request: Request, header: str) -> str:
        # Whoever is no trusted proxy has lost this header on the way here.
        user = request.headers.get(header, "").strip()
        if not user:
            detail = "Nobody is logged in. Come through the proxy that logs people in, or send an API key."
            raise Problem(401, "login_required", "Log in first", detail)
        return f"u_{hashlib.sha256(user.encode()).hexdigest()[:40]}"


class CookieMiddleware:
    """Sets the owner's cookie with the answer, where the route has left one to set, also for pages of `origins`."""

    def __init__(self, app: ASGIApp, origins: Collection[str] = ()) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and _TO_SET in scope:
                cookie = f"{_name(scope)}={scope[_TO_SET]}; {self._attributes(scope)}"
                MutableHeaders(scope=message).append("set-cookie", cookie)
            await send(message)

        await self._app(scope, receive, send_with_cookie if scope["type"] == "http" else send)

    def _attributes(self, scope: Scope) -> str:
        attributes = f"HttpOnly; Max-Age={MAX_AGE_S}; Path=/"
        if scope["scheme"] != "https":
            return f"{attributes}; SameSite=Lax"
        headers = Headers(scope=scope)
        if headers.get("origin") in self._origins and headers.get("sec-fetch-site") == "cross-site":
            return f"{attributes}; SameSite=None; Secure; Partitioned"
        return f"{attributes}; SameSite=Lax; Secure"


def _name(scope: Scope) -> str:
    return f"__Host-{COOKIE}" if scope["scheme"] == "https" else COOKIE


def _value(scope: Scope) -> str | None:
    try:
        cookie = SimpleCookie(Headers(scope=scope).get("cookie", "")).get(_name(scope))
    except CookieError:
        return None
    return cookie.value if cookie is not None else None
