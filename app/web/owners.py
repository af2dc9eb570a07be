"""Anonymous owners: the first answer sets a cookie, and what is made with it belongs to whoever holds it.

The cookie is 256 random bits; what is stored is its hash, so that reading Redis gives nobody another's sessions.
"""

import hashlib
import secrets
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "headstart_owner"
MAX_AGE_S = 400 * 24 * 60 * 60
_TOKEN_CHARS = 43
# Nothing here belongs to anyone, and probes should not collect cookies.
_OWNERLESS = ("/static/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs")


class OwnerMiddleware:
    """Puts the owner's id into the scope, and the cookie into the answer to whoever had none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_OWNERLESS):
            await self._app(scope, receive, send)
            return
        token = _token(Headers(scope=scope))
        known = token is not None
        token = token or secrets.token_urlsafe(32)
        scope["headstart.owner"] = hashlib.sha256(token.encode()).hexdigest()[:40]

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and not known:
                secure = "; Secure" if scope["scheme"] == "https" else ""
                MutableHeaders(scope=message).append(
                    "set-cookie", f"{COOKIE}={token}; HttpOnly; Max-Age={MAX_AGE_S}; Path=/; SameSite=Lax{secure}"
                )
            await send(message)

        await self._app(scope, receive, send_with_cookie)


def _token(headers: Headers) -> str | None:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    if cookie is None or len(cookie.value) != _TOKEN_CHARS:
        return None
    return cookie.value
