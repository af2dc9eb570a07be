"""One connection to a Redis server that a whole process shares.

Commands of any number of callers go out together, once in each turn of the event loop, and answers come back in the same
order: carrying an event to Redis costs a few microseconds this way, and a tenth of a millisecond with a connection taken
from a pool for each command. redis-py makes the connection, with everything that its URL says; then its protocol is ours.
Nothing that blocks may go over it, because all the others would wait.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import hiredis
from redis.exceptions import ConnectionError, InvalidResponse, TimeoutError

# A process that was stopped finds timers that are long over, and answers that it could have read before: those come first.
GRACE_S = 0.1

Command = tuple[str | bytes | int | float, ...]

_NOTHING = object()
# Its stub takes commands of one word alone.
_pack: Callable[..., bytes] = hiredis.pack_command


@dataclass(slots=True, eq=False)
class _Exchange:
    """Commands of one caller, and their answers so far."""

    count: int
    asked_at: float
    done: "asyncio.Future[list[Any]]"
    answers: list[Any] = field(default_factory=list)


class Line(asyncio.Protocol):
    """A connection that redis-py has made. Silence for `timeout_s` after a command ends it."""

    def __init__(self, connection: Any, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Exchange] = deque()
        self._unsent: list[bytes] = []
        self._overdue: _Exchange | None = None
        self._error: Exception | None = None
        self._left = False
        self._watch: asyncio.TimerHandle | None = None
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse, replyError=connection._parser.parse_error, notEnoughData=_NOTHING
        )
        self._transport = connection._writer.transport
        self._former = self._transport.get_protocol()
        self._transport.set_protocol(self)

    @property
    def ended(self) -> bool:
        """Whether it takes nothing more."""
        return self._error is not None

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to `commands`, as they come; a refused one has its `ResponseError` as its answer.

        Raises redis-py's `ConnectionError` and `TimeoutError`. Whoever gives up on the answers takes nothing back.
        """
        if self._error is not None:
            raise self._error
        exchange = _Exchange(len(commands), self._loop.time(), self._loop.create_future())
        self._waiting.append(exchange)
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent += map(_pack, commands)
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout_s, self._look)
        return await exchange.done

    def leave(self) -> None:
        """End it as soon as nobody waits for an answer."""
        self._left = True
        if not self._waiting:
            self.close()

    def close(self, error: Exception | None = None) -> None:
        """End it; whoever waits hears of `error`."""
        self._end(error or ConnectionError("the connection was closed"))
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        gets, waiting = self._reader.gets, self._waiting
        try:
            while (answer := gets()) is not _NOTHING:
                # What a server says unasked is meant for nobody here.
                if isinstance(answer, hiredis.PushNotification):
                    continue
                exchange = waiting[0]
                exchange.answers.append(answer)
                if len(exchange.answers) == exchange.count:
                    waiting.popleft()
                    self._answered(exchange)
        except (InvalidResponse, IndexError) as error:
            self.close(ConnectionError(f"not the answers of a Redis: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(ConnectionError(f"the connection was lost: {exc}" if exc else "the server closed the connection"))
        # So that redis-py does not warn of one that was left open.
        self._connection._close()
        self._former.connection_lost(exc)

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._error is None:
            self._transport.write(b"".join(unsent))

    def _answered(self, exchange: _Exchange) -> None:
        if self._left and not self._waiting:
            self.close()
        if exchange.done.done():
            return
        # Some refusals mean that the server is not there to be asked at all: loading, or who we are is not known to it.
        for answer in exchange.answers:
            if isinstance(answer, ConnectionError):
                exchange.done.set_exception(answer)
                return
        exchange.done.set_result(exchange.answers)

    def _look(self) -> None:
        """Whether the first who waits has waited for too long."""
        self._watch = None
        if not self._waiting or self._error is not None:
            return
        first, now = self._waiting[0], self._loop.time()
        if first is self._overdue:
            self.close(TimeoutError(f"no answer within {self._timeout_s:g} s"))
            return
        late = now >= first.asked_at + self._timeout_s
        self._overdue = first if late else None
        self._watch = self._loop.call_at(now + GRACE_S if late else first.asked_at + self._timeout_s, self._look)

    def _end(self, error: Exception) -> None:
        if self._error is not None:
            return
        self._error = error
        if self._watch is not None:
            self._watch.cancel()
        waiting, self._waiting = self._waiting, deque()
        for exchange in waiting:
            if not exchange.done.done():
                exchange.done.set_exception(error)
