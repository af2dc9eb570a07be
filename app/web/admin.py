"""Who may see what everything cost: the dashboard, `/api/stats` and `/metrics`.

With an admin key, whoever has it: as a bearer token, or by a form whose answer sets a cookie for half a day. The cookie is
signed with the key and stored nowhere, so that another key ends it. Without a key, whoever sits at this very machine.
"""

import hashlib
import hmac
import time
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi import Request
from starlette.responses import Response

from app.web.problems import Problem

COOKIE = "headstart_admin"
LASTS_S = 12 * 60 * 60


class Admin:
    """The admin of a deployment: whoever has `key`; None: whoever is local. `clock` gives seconds since the epoch."""

    def __init__(self, key: str | None, clock: Callable[[], float] = time.time) -> None:
        self.has_key = key is not None
        self._key = (key or "").encode()
        self._clock = clock

    def knows(self, key: str) -> bool:
        """Whether `key` is the admin's."""
        return self.has_key and hmac.compare_digest(key.encode(), self._key)

    def admits(self, request: Request) -> bool:
        """Whether `request` comes from the admin."""
        if not self.has_key:
            return _is_local(request)
        return self.knows(bearer(request) or "") or self._signed(request.cookies.get(_name(request), ""))

    def check(self, request: Request) -> None:
        """Raise a `Problem` unless `request` comes from the admin."""
        if self.admits(request):
            return
        if self.has_key:
            detail = "This is for whoever runs the server: send the admin key as “Authorization: Bearer …”."
            challenge = {"www-authenticate": "Bearer"}
            raise Problem(401, "admin_required", "The admin key is needed", detail, headers=challenge)
        detail = (
            "Without an admin key this is shown on the server's own machine alone. "
            "Whoever runs the server can set one, as HEADSTART_ADMIN_KEY."
        )
        raise Problem(403, "admin_closed", "Not from here", detail)

    def remember(self, request: Request, response: Response) -> None:
        """Have the browser that sent `request` be the admin's for `LASTS_S`."""
        until = f"{int(self._clock()) + LASTS_S}"
        response.set_cookie(
            _name(request),
            f"{until}.{self._signature(until)}",
            max_age=LASTS_S,
            httponly=True,
            samesite="strict",
            secure=request.scope["scheme"] == "https",
        )

    def _signed(self, cookie: str) -> bool:
        until, _, signature = cookie.partition(".")
        genuine = hmac.compare_digest(signature.encode(), self._signature(until).encode())
        return genuine and int(until) > self._clock()

    def _signature(self, until: str) -> str:
        return hmac.new(self._key, f"admin until {until}".encode(), hashlib.sha256).hexdigest()


def bearer(request: Request) -> str | None:
    """The token of `request`'s Authorization, if it is a bearer's."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _name(request: Request) -> str:
    return f"__Host-{COOKIE}" if request.scope["scheme"] == "https" else COOKIE


def _is_local(request: Request) -> bool:
    """Whether a client on this machine asked for this machine by its own name, and nobody passed the request on."""
    if request.client is None or request.scope.get("headstart.stripped"):
        return False
    host = _hostname(request.headers.get("host", ""))
    return _is_loopback(request.client.host) and (
        host == "localhost" or host.endswith(".localhost") or _is_loopback(host)
    )


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
