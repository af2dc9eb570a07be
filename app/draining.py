"""uvicorn, ending in good order: first no new connections, then the turns that run, then everything else."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable

import uvicorn

from app.web.streams import TAKES_NOTHING_S


class Server(uvicorn.Server):
    """A server that calls `drain` with the seconds that running turns may take, before it shuts down: `drain_s` when a
    deployment asks it to end (SIGTERM), none when a person does (Ctrl-C)."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[float], Awaitable[None]], drain_s: float) -> None:
        super().__init__(config)
        self._drain = drain
        self._drain_s = drain_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        for listening in sockets or []:
            let_go_of_the_silent(listening)
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        patient = self._captured_signals[-1:] == [signal.SIGTERM]
        draining = asyncio.ensure_future(self._drain(self._drain_s if patient else 0))
        while not (draining.done() or self.force_exit):
            await asyncio.wait([draining], timeout=0.1)
        draining.cancel()
        await super().shutdown(sockets)


def let_go_of_the_silent(listening: socket.socket) -> None:
    """Have connections that come by `listening` end when their client takes nothing for `TAKES_NOTHING_S`.

    A stream gives up on its client by then, but what it had written would keep the connection open for ever.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(TAKES_NOTHING_S * 1000))
