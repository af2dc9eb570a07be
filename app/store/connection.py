"""One Redis client for a process, with four ways to use it and one exception for a Redis that is away."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
)

MAX_CONNECTIONS = 64
CONNECT_TIMEOUT_S = 2.0
COMMAND_TIMEOUT_S = 3.0

RETRY_S = 0.25

T = TypeVar("T")
log = logging.getLogger("headstart.store")

Command = tuple[str | bytes | int | float, ...]


class StoreUnavailable(Exception):
    """Redis could not be reached or did not answer in time. Nothing is known about what the last command did."""


class Store:
    """A Redis at `url` (`redis://`, `rediss://` or `unix://`), connected to when first used. Answers are bytes.

    Every method raises `StoreUnavailable` when Redis is away; everything else that redis-py raises is a bug of ours.
    """

    def __init__(self, url: str) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=COMMAND_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=COMMAND_TIMEOUT_S,
            # A connection that was lost is worth another try; a Redis that does not answer is not.
            retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), 2, (ConnectionError,)),
        )
        # redis-py types the generic command as untyped; what we send and get is typed by the modules beside this one.
        self._redis: Any = Redis.from_pool(pool)

    async def do(self, *command: str | bytes | int | float) -> Any:
        """One command."""
        with _reaching_redis():
            return await self._redis.execute_command(*command)

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | bytes | int | float]) -> Any:
        """The Lua script in `script`.lua beside this file, in one step; `keys` share a slot."""
        with _reaching_redis():
            return await self._redis.register_script(_source(script))(keys=list(keys), args=list(args))

    async def together(self, commands: Sequence[Command]) -> list[Any]:
        """Several commands over keys of one slot, all or none."""
        return await self._pipelined(commands, transaction=True)

    async def batch(self, commands: Sequence[Command]) -> list[Any]:
        """Several commands in one round trip, each on its own: a refused one has its `ResponseError` as its answer."""
        return await self._pipelined(commands, transaction=False)

    async def listen(self, channel: str) -> AsyncIterator[bytes | None]:
        """Messages published on `channel`; None first, when the subscription stands. One connection while it lasts."""
        with _reaching_redis():
            async with self._redis.pubsub() as subscription:
                await subscription.subscribe(channel)
                async for message in subscription.listen():
                    yield message["data"] if message["type"] == "message" else None

    async def check(self) -> None:
        """Raise `StoreUnavailable` unless Redis answers."""
        await self.do("PING")

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()

    async def _pipelined(self, commands: Sequence[Command], *, transaction: bool) -> list[Any]:
        with _reaching_redis():
            async with self._redis.pipeline(transaction=transaction) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                answers: list[Any] = await pipeline.execute(raise_on_error=transaction)
        for answer in answers:
            if isinstance(answer, Exception) and _is_away(answer):
                raise StoreUnavailable(f"Redis is away: {type(answer).__name__}") from answer
        return answers


@contextmanager
def _reaching_redis() -> Iterator[None]:
    try:
        yield
    except (ConnectionError, TimeoutError, ResponseError, OSError) as error:
        if not _is_away(error):
            raise
        raise StoreUnavailable(f"Redis is away: {type(error).__name__}") from error


def _is_away(error: Exception) -> bool:
    """Whether Redis is not there to take what we write: gone, loading, a replica, full, or unable to write its disk."""
    if isinstance(error, ResponseError):
        full = isinstance(error, BusyLoadingError | ReadOnlyError | OutOfMemoryError)
        return full or "MISCONF" in str(error) or "OOM" in str(error)
    return True


async def persistently(step: Callable[[], Awaitable[T]]) -> T:
    """Take a step that must be taken, and take it again until Redis is there for it."""
    while True:
        try:
            return await step()
        except StoreUnavailable:
            log.warning("Redis is away: trying again")
            await asyncio.sleep(RETRY_S)


async def relinquish(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel `tasks` until they have ended: one that takes several steps `persistently` gives up one at a time."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.05)


@cache
def _source(script: str) -> str:
    return files("app.store").joinpath(f"{script}.lua").read_text()
