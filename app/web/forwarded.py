"""What a reverse proxy says of a client: its address, its scheme, the host it asked for, who logged in.

Believed of trusted proxies alone: those whose addresses are named in the settings. From anyone else such headers are taken
away before the application sees them.
"""

from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

Network = IPv4Network | IPv6Network

_SAID_BY_PROXIES = {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"}


class ForwardedMiddleware:
    """Sets the scope's client and scheme to those that a trusted proxy names, and says in the scope whether there was one.

    `login_header` is the header that names the user, if one is configured.
    """

    def __init__(self, app: ASGIApp, trusted: Collection[Network], login_header: str | None = None) -> None:
        self._app = app
        self._trusted = tuple(trusted)
        # uvicorn has names of its own for the types of ASGI.
        proxied = cast(Any, ProxyHeadersMiddleware)
        self._proxied: ASGIApp = proxied(app, [str(network) for network in trusted])
        self._removed = _SAID_BY_PROXIES | ({login_header.lower().encode()} if login_header else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["headstart.proxied"] = self._trusts(scope.get("client"))
        if scope["headstart.proxied"]:
            await self._proxied(scope, receive, send)
            return
        scope["headstart.stripped"] = any(name in _SAID_BY_PROXIES for name, _ in scope["headers"])
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name not in self._removed]
        await self._app(scope, receive, send)

    def _trusts(self, client: tuple[str, int] | None) -> bool:
        try:
            address = ip_address(client[0] if client else "")
        except ValueError:
            return False
        return any(address in network for network in self._trusted)
