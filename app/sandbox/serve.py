"""Run a sandbox as a process of its own. It serves on a host and port, or on a socket that is listening already and
was inherited; it ends within a second on SIGINT or SIGTERM, or when its standard input reaches the end, because then
its parent has died. Open streams are cut, as a crash of the real service would cut them."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn
import uvloop
from starlette.applications import Starlette

from app.sandbox.app import create_app
from app.sandbox.clock import Clock
from app.sandbox.options import Options

Ready = Callable[[str], None]


class Server(uvicorn.Server):
    """Uvicorn, but it cuts open connections when it stops (set `should_exit`) and leaves signals to the caller."""

    def __init__(self, app: Starlette, ready: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            http="httptools",
            loop="uvloop",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
            timeout_keep_alive=75,
            backlog=2048,
        )
        super().__init__(config)
        logging.getLogger("uvicorn.error").addFilter(_not_cut_on_purpose)
        self._app = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.engine.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets=sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _not_cut_on_purpose(record: logging.LogRecord) -> bool:
    """A response that a fault cut short is no news."""
    return not str(record.msg).startswith("ASGI callable returned without completing response")


def serve(
    options: Options,
    *,
    host: str = "127.0.0.1",
    port: int = 9000,
    fd: int | None = None,
    watch_stdin: bool = False,
    ready: Ready | None = None,
) -> None:
    """Serve until told to stop. `ready` is called once with the URL, when requests are accepted. Raises OSError when
    the address cannot be used."""
    listening = socket.socket(fileno=fd) if fd is not None else listen(host, port)
    url = _url(listening)
    server = Server(create_app(options, Clock()), lambda: ready(url) if ready else None)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(server, listening, watch_stdin))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 lets the system choose."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    listening.listen(2048)
    return listening


async def _run(server: Server, listening: socket.socket, watch_stdin: bool) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    if watch_stdin:
        threading.Thread(target=_wait_for_end, args=(loop, stop), daemon=True).start()
    await server.serve(sockets=[listening])


def _wait_for_end(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass  # no readable standard input is the same as one that ended
    with contextlib.suppress(RuntimeError):  # the loop has ended already
        loop.call_soon_threadsafe(stop)


def _url(listening: socket.socket) -> str:
    if listening.family == socket.AF_UNIX:
        return f"unix:{listening.getsockname()}"
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
