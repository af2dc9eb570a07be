"""Around every answer: a bound on what a request may bring, a problem for what nobody foresaw, and headers that keep a page
from doing harm."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.inline import BASE_CSS, BOOT_JS, source_of
from app.web.problems import Problem, answer_bug, respond

MAX_CONTEXT_BYTES = 64_000_000
MAX_BODY_BYTES = 2_000_000
# Where the scope has the `send` that nothing of ours is wrapped around.
BARE_SEND = "headstart.send"

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"script-src 'self' {source_of(BOOT_JS)}",
        f"style-src 'self' {source_of(BASE_CSS)}",
        # What came from a model has no images. The chat page says with one of no bytes that its icon comes later.
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        # Strings become markup in one place alone: static/js/html.js.
        "require-trusted-types-for 'script'",
        "trusted-types headstart",
    )
)
# What is no page needs nothing, and is said so in few bytes: a page is made of many such answers.
NOTHING_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

# By the entity tag, or by asking. A page is made of many assets.
_SAID_ELSE = ("last-modified", "accept-ranges")


class BodyLimitMiddleware:
    """Refuses bodies over the bound of their route, before reading them where the length is said."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = MAX_CONTEXT_BYTES if scope["path"] in ("/api/contexts", "/api/sift") else MAX_BODY_BYTES
        length = Headers(scope=scope).get("content-length", "")
        if length.isdigit() and int(length) > limit:
            refusal = _too_large(int(length), limit).body
            await respond(Request(scope), refusal)(scope, receive, send)
            return
        received = 0

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _too_large(received, limit)
            return message

        await self._app(scope, receive_bounded, send)


class BugMiddleware:
    """Answers what nothing else has caught, and passes it on to the server, which logs it. Starlette's own handler for that
    stands outside of every middleware: its answers would have none of the headers that all have."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def send_noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except Exception:
            if scope["type"] == "http" and not begun:
                await answer_bug(Request(scope))(scope, receive, send)
            raise


class HeadersMiddleware:
    """Security headers on every answer; pages and assets are asked for again each time, so no old module lingers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[BARE_SEND] = send

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                page = headers.get("content-type", "").startswith("text/html")
                headers.setdefault("content-security-policy", CONTENT_SECURITY_POLICY if page else NOTHING_POLICY)
                headers["x-content-type-options"] = "nosniff"
                headers.setdefault("referrer-policy", "same-origin")
                asset = scope["path"].startswith("/static/")
                headers.setdefault("cache-control", "no-cache" if asset else "no-store")
                for said in _SAID_ELSE if asset else ():
                    del headers[said]
            await send(message)

        await self._app(scope, receive, send_guarded)


def _too_large(size: int, limit: int) -> Problem:
    detail = f"The body has {size:,} bytes or more; at most {limit:,} are taken here."
    return Problem(413, "body_too_large", "Too large", detail)
