"""uvicorn, ending in good order: first no new connections, then what runs and what was asked, then everything else."""

import asyncio
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import uvicorn

from app.web.streams import TAKES_NOTHING_S

LOOK_S = 0.1
# Whoever connects does so to ask for something, and has said so by then.
FIRST_WORD_S = 0.5


class Server(uvicorn.Server):
    """A server that calls `drain` with the seconds that what runs may take, before it shuts down: `drain_s` when a
    deployment asks it to end (SIGTERM), none when a person does (Ctrl-C). Within the same time it answers requests that it
    has begun to read, and those of clients that it had only just let in. `told` hears of the first signal, as it comes: how
    many seconds that will be, and of which loop."""

    def __init__(
        self,
        config: uvicorn.Config,
        drain: Callable[[float], Awaitable[None]],
        drain_s: float,
        told: Callable[[float, asyncio.AbstractEventLoop], None],
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._drain_s = drain_s
        self._told = told

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            self._told(self._drain_s if sig == signal.SIGTERM else 0, asyncio.get_running_loop())
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        for listening in sockets or []:
            let_go_of_the_silent(listening)
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        # Some are let in, and not yet among the connections.
        await asyncio.sleep(0)
        patient = self._captured_signals[-1:] == [signal.SIGTERM]
        within_s = self._drain_s if patient else 0
        until = time.monotonic() + within_s
        draining: asyncio.Future[Any] = asyncio.gather(self._drain(within_s), self._send_away(within_s))
        while not (draining.done() or self.force_exit):
            await asyncio.wait([draining], timeout=LOOK_S)
        draining.cancel()
        while self.server_state.tasks and self._unanswered and time.monotonic() < until and not self.force_exit:
            await asyncio.wait(self.server_state.tasks, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        await super().shutdown(sockets)

    async def _send_away(self, within_s: float) -> None:
        """Close what is idle, and the rest after the answer that it waits for; at last who has said nothing yet."""
        asked = [one for one in self.server_state.connections if getattr(one, "cycle", None) is not None]
        for connection in asked:
            connection.shutdown()
        if len(asked) < len(self.server_state.connections):
            await asyncio.sleep(min(FIRST_WORD_S, within_s))
        for connection in list(self.server_state.connections):
            connection.shutdown()

    @property
    def _unanswered(self) -> bool:
        """Whether there are requests whose answer has not begun: who is cut off there does not know what became of it."""
        cycles = [getattr(connection, "cycle", None) for connection in self.server_state.connections]
        return any(cycle is not None and not cycle.response_started for cycle in cycles)


def let_go_of_the_silent(listening: socket.socket) -> None:
    """Have connections that come by `listening` end when their client takes nothing for `TAKES_NOTHING_S`.

    A stream gives up on its client by then, but what it had written would keep the connection open for ever.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(TAKES_NOTHING_S * 1000))
