"""`headstart serve`: the server and whatever it has to bring along, from start to Ctrl-C."""

import logging
import socket
import sys
from contextlib import ExitStack
from urllib.parse import urlsplit

import uvicorn

from app.main import create_app
from app.processes import CannotStart, EmbeddedRedis, SandboxProcess
from app.settings import Settings
from app.web.rooms import Notice

log = logging.getLogger("headstart")

# Open streams are given this long when we are told to stop; clients resume them elsewhere.
DRAIN_S = 1
SANDBOX_KEY = "sandbox"


def serve(settings: Settings) -> None:
    """Serve until told to stop. Raises `CannotStart` with a sentence that says what to do."""
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s  %(message)s", stream=sys.stderr
    )
    for noisy in ("httpx2", "httpcore2", "anthropic", "sse_starlette", "asyncio", "uvicorn"):
        logging.getLogger(noisy).setLevel("WARNING")
    listening = _listen(settings.host, settings.port)
    with ExitStack() as stack:
        redis_url = settings.redis_url or stack.enter_context(EmbeddedRedis(settings.data_dir)).url
        base_url, api_key = settings.anthropic_base_url, ""
        if settings.uses_sandbox:
            base_url = stack.enter_context(SandboxProcess(settings.sandbox_speed)).url
            api_key = SANDBOX_KEY
        elif settings.anthropic_api_key is not None:
            api_key = settings.anthropic_api_key.get_secret_value()
        notice = notice_of(settings)
        app = create_app(settings, redis_url=redis_url, base_url=base_url, api_key=api_key or "none", notice=notice)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            http="httptools",
            loop="uvloop",
            ws="none",
            lifespan="on",
            timeout_graceful_shutdown=DRAIN_S,
            server_header=False,
        )
        log.info("%s%s", notice.label, f". {notice.hint}" if notice.hint else "")
        log.info(
            "Redis: %s", "embedded, data in " + str(settings.data_dir) if settings.redis_url is None else "configured"
        )
        host, port = listening.getsockname()[:2]
        log.info("Headstart %s is at http://%s:%d", app.version, f"[{host}]" if ":" in host else host, port)
        uvicorn.Server(config).run(sockets=[listening])


def notice_of(settings: Settings) -> Notice:
    """What the page and the log say about the upstream."""
    if settings.uses_sandbox:
        hint = "Set ANTHROPIC_API_KEY to ask Claude."
        return Notice("sandbox", f"Sandbox, {settings.sandbox_speed:g}× real speed", hint)
    if settings.anthropic_base_url is not None:
        return Notice("custom", f"Upstream: {urlsplit(settings.anthropic_base_url).netloc.rpartition('@')[2]}", None)
    if settings.anthropic_api_key is None:
        return Notice("claude", "Claude, without a key", "Set ANTHROPIC_API_KEY.")
    return Notice("claude", "Claude", None)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        hint = "choose another with --port or HEADSTART_PORT"
        raise CannotStart(f"cannot listen on {host}:{port} ({error.strerror}); {hint}") from None
    listening.listen(2048)
    return listening
