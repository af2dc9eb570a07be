"""`headstart serve`: the server and whatever it has to bring along, from start to Ctrl-C."""

import gc
import logging
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

from app import logs, tracing
from app.lastresort import LastResort
from app.misspelt import unknown_variables
from app.processes import CannotStart, Companion, EmbeddedRedis, SandboxProcess, at_fault, undisturbed
from app.settings import Settings, variable
from app.store.address import parse_address

if TYPE_CHECKING:
    from app.draining import Server

log = logging.getLogger("headstart")

# Answers that have begun are given this long to be taken, once no turn runs here any more.
CLOSE_S = 1
SANDBOX_KEY = "sandbox"
# New objects between two looks for garbage that refers to itself. Hundreds of answers that stream make thousands that all
# go by themselves, and Python would look through them every 700.
COLLECT_EVERY = 50_000


def serve(settings: Settings) -> None:
    """Serve until told to stop. Raises `CannotStart` with a sentence that says what to do."""
    logs.configure(settings.log_level, settings.log_format, settings.secrets)
    if unknown := unknown_variables():
        log.warning(unknown)
    with undisturbed():
        flush = tracing.configure()
    listening = _listen(settings.host, settings.port)
    with ExitStack() as stack:
        stack.callback(flush)
        companions: list[Companion] = []
        base_url, api_key = settings.anthropic_base_url, _key(settings)
        if settings.uses_sandbox:
            sandbox = stack.enter_context(SandboxProcess(settings.sandbox_speed))
            companions.append(sandbox)
            base_url, api_key = sandbox.url, SANDBOX_KEY
        redis_url = settings.redis_url
        if redis_url is None:
            redis = stack.enter_context(EmbeddedRedis(settings.data_dir))
            companions.append(redis)
            redis_url = redis.url

        def tell_companions() -> None:
            for companion in companions:
                companion.tell_to_stop()

        # Whatever ends the server, its companions are told at once, after it.
        stack.callback(tell_companions)
        last_resort = LastResort(tell_companions)
        # What a signal raises in the middle of an import can get lost there, and with it the word to end.
        with undisturbed():
            server = _make(settings, listening, redis_url, base_url, api_key, last_resort)
        server.run([listening])


def _make(
    settings: Settings,
    listening: socket.socket,
    redis_url: str,
    base_url: str | None,
    api_key: str,
    last_resort: LastResort,
) -> "Server":
    # Imported here, while the companions start: together that takes half the time. Nothing of it is garbage.
    gc.disable()
    import uvicorn

    from app.draining import Server
    from app.main import create_app

    app = create_app(settings, redis_url=redis_url, base_url=base_url, api_key=api_key)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=CLOSE_S,
        server_header=False,
        # `app.web.forwarded` decides whose word counts.
        proxy_headers=False,
    )
    log.info(". ".join(said for name, said in settings.notice.items() if said and name != "kind"))
    where = parse_address(redis_url).kind if settings.redis_url else f"embedded, data in {settings.data_dir}"
    log.info("Redis: %s", where)
    host, port = listening.getsockname()[:2]
    log.info("Headstart %s is at http://%s:%d", app.version, f"[{host}]" if ":" in host else host, port)
    # Or else the server would import them when it runs.
    config.load()
    config.get_loop_factory()
    collect_seldom()
    drain_s = settings.drain_s if settings.redis_url else 0
    return Server(config, app.state.rooms.asking.drain, drain_s, last_resort.begin)


def collect_seldom() -> None:
    """Look for garbage less often, and never again among what is there already: all of it stays until the end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY, 20, 20)
    gc.enable()


def _key(settings: Settings) -> str:
    # The SDK insists on a key; servers that want none ignore this one.
    return settings.anthropic_api_key.get_secret_value() if settings.anthropic_api_key else "none"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        wrong = at_fault(error)
        hint = f"choose another with --{wrong} or {variable(wrong)}"
        raise CannotStart(f"cannot listen on {host}:{port} ({error.strerror}); {hint}") from None
    listening.listen(2048)
    return listening
