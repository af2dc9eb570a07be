"""Redis as one store: one server, the master that Sentinel names, or a cluster; one exception for when it is away.

Everything goes out as steps: commands over keys of one slot. A step that reaches the wrong server, or one that has just
gone, is tried again where it belongs, for a fraction of a second; after that Redis is away. So a command may be done more
than once when its answer got lost. Within a step, order holds whatever happens.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from redis.crc import key_slot
from redis.exceptions import (
    ConnectionError,
    MovedError,
    NoScriptError,
    ResponseError,
    TimeoutError,
)

from app.store.address import Endpoint, Kind, parse_address
from app.store.line import Command as Command
from app.store.nodes import COMMAND_TIMEOUT_S, Node, Nodes, Unreachable, noticing_loss
from app.store.outage import Outage
from app.store.step import Step, is_away, is_passing, named

# A connection that was lost, or a slot that has moved, is worth another try; a Redis that does not answer is not.
PAUSES_S = (0.02, 0.04, 0.08)

POLL_S = 0.025
POLL_SHARE = 0.2
QUIET_S = 5.0

T = TypeVar("T")


class StoreUnavailable(Exception):
    """Redis could not be reached or did not answer in time. Nothing is known about what the last command did. Who has to
    wait for it waits with the others, in `outage`."""

    def __init__(self, said: str, outage: Outage) -> None:
        super().__init__(said)
        self.outage = outage


class StoreClosed(Exception):
    """This process has closed the store, because it ends: there is nothing to wait for."""


class Store:
    """Redis at `url` (its forms: `app/store/address.py`), connected to when first used. Answers are bytes.

    Every method raises `StoreUnavailable` when Redis is away, and `StoreClosed` after `close`; everything else that redis-py
    raises is a bug of ours.
    """

    def __init__(self, url: str) -> None:
        self._address = parse_address(url)
        self._nodes = Nodes(self._address)
        self._outage = Outage()
        self._closed = False

    @property
    def kind(self) -> Kind:
        """What there is at the URL."""
        return self._address.kind

    def part(self, key: str) -> Endpoint | None:
        """Which server of a cluster has `key`, as far as is known; None where there is but one."""
        return self._nodes.home(key_slot(key.encode())) if self._nodes.sharded else None

    async def do(self, *command: str | bytes | int | float) -> Any:
        """One command."""
        step = Step(self._slot(command), [command])
        await self._perform([step])
        return _granted(step.answers)[0]

    async def run(self, script: str, keys: Sequence[str], args: Sequence[str | bytes | int | float]) -> Any:
        """The Lua script in `script`.lua beside this file, in one step; `keys` share a slot."""
        source, digest = _source(script)
        try:
            return await self.do("EVALSHA", digest, len(keys), *keys, *args)
        except NoScriptError:
            # This server has not seen it; from now on it has.
            return await self.do("EVAL", source, len(keys), *keys, *args)

    async def together(self, commands: Sequence[Command]) -> list[Any]:
        """Several commands over keys of one slot, all or none."""
        step = Step(self._slot(commands[0]), list(commands), whole=True)
        await self._perform([step])
        return _granted(step.answers)

    async def batch(self, commands: Sequence[Command], *, in_part: bool = False) -> list[Any]:
        """Several commands in one round trip (to each node), each on its own: a refused one has its `ResponseError` as
        its answer. Those over keys of one slot are done in order. When a part of a cluster is away, commands that belong
        there have `StoreUnavailable` as their answer if that will do `in_part`, and the others theirs."""
        if not self._nodes.sharded:
            step = Step(None, list(commands))
            await self._perform([step])
            return step.answers
        places: dict[int | None, list[int]] = {}
        for place, command in enumerate(commands):
            places.setdefault(self._slot(command), []).append(place)
        # In a cluster a server can become the one that takes them between two commands: then not the second alone.
        steps = [
            Step(slot, [commands[place] for place in its], whole=slot is not None and len(its) > 1)
            for slot, its in places.items()
        ]
        await self._perform(steps, in_part=in_part)
        answers: list[Any] = [None] * len(commands)
        for step, its in zip(steps, places.values(), strict=True):
            said = step.answers if step.error is None else [self._away(step.error)] * len(its)
            for place, answer in zip(its, said, strict=True):
                answers[place] = answer
        return answers

    async def news(self, after: Mapping[str, str], block_ms: int) -> list[Any]:
        """What streams have beyond an entry each, as XREAD answers it; waits up to `block_ms` for the first.

        A cluster reads no two slots in one XREAD, and a blocked connection for each stream does not carry thousands: there
        they are looked at again and again, all in one round trip to each node, as often as takes a fifth of the time,
        if for each node there is one who looks.
        """
        if not self._nodes.sharded:
            return await self.do("XREAD", "BLOCK", block_ms, "STREAMS", *after, *after.values()) or []
        commands: list[Command] = [("XREAD", "STREAMS", name, entry) for name, entry in after.items()]
        pause, ends = POLL_S, time.monotonic() + block_ms / 1000
        while True:
            await asyncio.sleep(pause)
            looked = time.monotonic()
            found = [stream for answer in _granted(await self.batch(commands)) for stream in answer or []]
            now = time.monotonic()
            pause = max(POLL_S, (now - looked) * len(self._nodes.owners) / POLL_SHARE)
            if found or now + pause > ends:
                return found

    async def listen(self, channel: str) -> AsyncIterator[bytes | None]:
        """Messages published on `channel`; None first, when the subscription stands. One connection while it lasts."""
        with self._reaching_redis():
            await self._nodes.look_up()
            node = self._nodes.having(None)
            try:
                async with node.subscription() as subscription:
                    with noticing_loss():
                        await subscription.subscribe(channel)
                        async for message in _messages(subscription):
                            yield message
            except (ConnectionError, TimeoutError, OSError):
                self._nodes.suspect()
                raise

    async def check(self) -> None:
        """Raise `StoreUnavailable` unless Redis answers: every primary, in a cluster."""
        with self._reaching_redis():
            try:
                await self._nodes.look_up()
                answers = await asyncio.gather(*(node.ask([("PING",)]) for node in self._nodes.owners))
                _granted([answer for (answer,) in answers])
            except (ConnectionError, TimeoutError, OSError):
                self._nodes.suspect()
                raise

    async def close(self) -> None:
        """Close every connection. Who waits for Redis hears of it."""
        self._closed = True
        self._outage.over()
        await self._nodes.close()

    def _slot(self, command: Command) -> int | None:
        if not self._nodes.sharded or command[0] in ("PUBLISH", "TIME"):
            return None
        key = command[{"EVALSHA": 3, "EVAL": 3, "XREAD": 2}.get(str(command[0]), 1)]
        return key_slot(key if isinstance(key, bytes) else str(key).encode())

    async def _perform(self, steps: Sequence[Step], *, in_part: bool = False) -> None:
        """Have each of `steps` done, wherever its slot is by now; `in_part`, some may be left with their error."""
        started = time.monotonic()
        for pause in (*PAUSES_S, None):
            self._check_open()
            await self._try(steps)
            errors = [step.error for step in steps if step.error is not None]
            if not errors:
                return
            if bug := next((error for error in errors if not is_away(error)), None):
                raise bug
            late = time.monotonic() > started + COMMAND_TIMEOUT_S
            if pause is None or late or not all(map(is_passing, errors)):
                if in_part:
                    return
                raise self._away(errors[0]) from errors[0]
            await asyncio.sleep(pause)
            steps = [step for step in steps if step.error is not None]

    async def _try(self, steps: Sequence[Step]) -> None:
        by_node: dict[Node, list[Step]] = {}
        try:
            if self._nodes.stale:
                await self._nodes.look_up()
            for step in steps:
                node = self._nodes.at(step.asking) if step.asking else self._nodes.having(step.slot)
                by_node.setdefault(node, []).append(step)
        except Unreachable as error:
            for step in steps:
                step.error = error
            return
        if len(by_node) == 1:
            await self._exchange(*by_node.popitem())
        else:
            await asyncio.gather(*(self._exchange(node, its) for node, its in by_node.items()))

    async def _exchange(self, node: Node, steps: Sequence[Step]) -> None:
        sent = [step.wire() for step in steps]
        try:
            answers = await node.ask(sent[0] if len(sent) == 1 else [command for wire in sent for command in wire])
        except (ConnectionError, TimeoutError, OSError) as error:
            for step in steps:
                step.error = error
                step.asking = None
        else:
            place = 0
            for step, wire in zip(steps, sent, strict=True):
                step.take(node, answers[place : place + len(wire)])
                place += len(wire)
        for step in steps:
            if step.error is not None and step.asking is None:
                self._nodes.suspect(named(step.error, node))

    @contextmanager
    def _reaching_redis(self) -> Iterator[None]:
        self._check_open()
        try:
            yield
        except (ConnectionError, TimeoutError, ResponseError, OSError) as error:
            if not is_away(error):
                raise
            raise self._away(error) from error

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed

    def _away(self, error: Exception) -> StoreUnavailable:
        said = str(error) if isinstance(error, Unreachable) else type(error).__name__
        if isinstance(error, MovedError):
            said = "the keys are at another node; the URL of a cluster begins with redis+cluster://"
        return StoreUnavailable(f"Redis is away: {said}", self._outage)


def _granted(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


async def _messages(subscription: Any) -> AsyncIterator[bytes | None]:
    asked = False
    while True:
        message = await subscription.get_message(timeout=QUIET_S)
        if message is None:
            # A server that has vanished says nothing either.
            if asked:
                raise TimeoutError("nothing comes over this connection any more")
            await subscription.ping()
        elif message["type"] in ("subscribe", "message"):
            yield message["data"] if message["type"] == "message" else None
        asked = message is None


async def persistently(step: Callable[[], Awaitable[T]]) -> T:
    """Take a step that must be taken, and take it again until Redis is there for it, or the store is closed."""
    outage = None
    while True:
        try:
            done = await step()
        except StoreUnavailable as error:
            outage = error.outage
            await outage.pause()
        else:
            if outage is not None:
                outage.over()
            return done


async def relinquish(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel `tasks` until they have ended: one that takes several steps `persistently` gives up one at a time."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.05)


@cache
def _source(script: str) -> tuple[str, str]:
    """A script, and the name by which Redis knows it."""
    source = files("app.store").joinpath(f"{script}.lua").read_text()
    return source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
