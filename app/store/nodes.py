"""Which Redis server has which keys, and connections to each of them.

One server has them all; with Sentinel it is the master that the sentinels name; in a cluster each primary has some of the
16384 slots. It is looked up when it is first needed, and again as soon as an answer, or none, says that it has changed.

A cluster client of our own rather than redis-py's, which starts a thread for each command of a transaction, closes every
connection when one node goes, refuses instead of waiting while its connections are in use, and sends what was redirected
again one by one, past what failed before it: events of one journal could change places.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError, ResponseError

from app.store.address import Address, Endpoint, Kind
from app.store.line import Command, Line

MAX_CONNECTIONS = 64
CONNECT_TIMEOUT_S = 2.0
COMMAND_TIMEOUT_S = 3.0
SLOTS = 16384
LOOK_AT_MOST_EVERY_S = 0.1
ASKED_AT_ONCE = 3

T = TypeVar("T")
log = logging.getLogger("headstart.store")


class Unreachable(ConnectionError):
    """No server is known for what was asked; the message can be shown."""


class Node:
    """One server, connected to when first used."""

    def __init__(self, url: str, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._left = False
        self._line: Line | None = None
        self._connecting: asyncio.Task[Line] | None = None
        self._pool: Any = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=COMMAND_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=COMMAND_TIMEOUT_S,
            # Whoever asks knows better whether, and where, to try again.
            retry=Retry(NoBackoff(), 0),
        )
        # redis-py types the generic command as untyped; what we send and get is typed by the modules beside this one.
        self._redis: Any = Redis.from_pool(self._pool)
        # As a plain dict: redis-py's own looks for each command in any case, at a cost for each.
        self._shapes: dict[Any, Any] = dict(self._redis.response_callbacks)

    async def ask(self, wire: Sequence[Command]) -> list[Any]:
        """The answers to commands, sent in one go, as they come; a refused one has its `ResponseError` as its answer."""
        if wire[0][:2] == ("XREAD", "BLOCK"):
            return await self._ask_apart(wire)
        line = self._line
        if line is None or line.ended:
            line = await self._connected()
        return await line.ask(wire)

    def shaped(self, commands: Iterable[Command], answers: Iterable[Any]) -> list[Any]:
        """`answers` as redis-py gives them to those who send `commands`: pairs as a dict, for one."""
        return [
            answer
            if (shape := self._shapes.get(command[0])) is None or isinstance(answer, Exception)
            else shape(answer)
            for command, answer in zip(commands, answers, strict=False)
        ]

    def subscription(self) -> Any:
        """redis-py's `PubSub`, over a connection of its own."""
        return self._redis.pubsub()

    async def leave(self) -> None:
        """No longer use it: idle connections are closed now, others when their answer has come."""
        self._left = True
        if self._line is not None:
            self._line.leave()
        await self._pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        self._left = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._line is not None:
            self._line.close()
        await self._pool.disconnect()

    async def _connected(self) -> Line:
        """The shared connection, made once for all who find none; who gives up on it leaves it to the others."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())
            self._connecting.add_done_callback(self._made)
        connecting = self._connecting
        # Not `shield`: closing this node would look to all who wait here as if they had been cancelled themselves.
        await asyncio.wait((connecting,))
        if connecting.cancelled():
            raise ConnectionError("the connection was closed before it was there")
        return connecting.result()

    async def _connect(self) -> Line:
        connection = self._pool.make_connection()
        try:
            with noticing_loss():
                await connection.connect()
            return Line(connection, COMMAND_TIMEOUT_S)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise

    def _made(self, made: "asyncio.Task[Line]") -> None:
        self._connecting = None
        if not made.cancelled() and made.exception() is None:
            self._line = made.result()
            if self._left:
                self._line.leave()

    async def _ask_apart(self, wire: Sequence[Command]) -> list[Any]:
        """As `ask`, over a connection that nobody waits for meanwhile."""
        with noticing_loss():
            connection = await self._pool.get_connection()
            try:
                await connection.send_packed_command(connection.pack_commands(wire))
                return [await _read(connection) for _ in wire]
            finally:
                if self._left:
                    await connection.disconnect()
                await self._pool.release(connection)


@contextmanager
def noticing_loss() -> Iterator[None]:
    """redis-py writes to connections that were lost a moment ago, and does not know the error that uvloop has for that."""
    try:
        yield
    except RuntimeError as error:
        if "the handler is closed" not in str(error):
            raise
        raise ConnectionError("the connection was lost") from error


async def _read(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as refused:
        return refused


class Nodes:
    """The servers behind `address`; `owners` are those that have keys, once that is known."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self.sharded = address.kind is Kind.CLUSTER
        self._open: dict[Endpoint, Node] = {}
        self._known = address.endpoints
        self._slots: list[Node | None] = []
        self.owners: list[Node] = []
        self.stale = True
        self._better_informed: Endpoint | None = None
        self._looked = float("-inf")
        self._looking = asyncio.Lock()

    def having(self, slot: int | None) -> Node:
        """The node that has `slot`; any, for None. Raises `Unreachable`."""
        anywhere = self.sharded and slot is None
        node = secrets.choice(self.owners) if anywhere else self._slots[slot or 0]
        if node is None:
            raise Unreachable("no node of the cluster has these keys")
        return node

    def home(self, slot: int) -> Endpoint | None:
        """The address of the node that has `slot`; None when that is not known."""
        node = self._slots[slot] if self._slots else None
        return node.endpoint if node is not None else None

    def at(self, endpoint: Endpoint) -> Node:
        """The node at `endpoint`."""
        if endpoint not in self._open:
            self._open[endpoint] = Node(self._address.url_of(endpoint), endpoint)
        return self._open[endpoint]

    def suspect(self, better_informed: Endpoint | None = None) -> None:
        """What is known may no longer be so: look it up before the next use, there if a node is said to know better."""
        self.stale = self._address.kind is not Kind.SINGLE
        self._better_informed = better_informed

    async def close(self) -> None:
        """Close every connection."""
        for node in self._open.values():
            await node.close()

    async def look_up(self) -> None:
        """Look up who has what, if that is not known or no longer sure. Raises `Unreachable` when nobody can tell."""
        if not self.stale:
            return
        async with self._looking:
            if not self.stale or (self._slots and time.monotonic() < self._looked + LOOK_AT_MOST_EVERY_S):
                return
            try:
                owners = await self._discover()
            except Unreachable:
                if not self._slots:
                    raise
                # What was true before may be true again; if it is not, whoever finds that out has us look again.
                owners = None
            self._looked, self.stale, self._better_informed = time.monotonic(), False, None
            if owners is not None:
                await self._adopt(owners)

    async def _adopt(self, owners: Sequence[tuple[int, int, Endpoint]]) -> None:
        slots: list[Node | None] = [None] * SLOTS
        for first, last, endpoint in owners:
            slots[first : last + 1] = [self.at(endpoint)] * (last + 1 - first)
        self._slots, self.owners = slots, list({node: None for node in slots if node is not None})
        gone = [node for node in self._open.values() if node not in self.owners]
        for node in gone:
            log.info("a Redis server is no longer used; %d are", len(self.owners))
            del self._open[node.endpoint]
            await node.leave()

    async def _discover(self) -> Sequence[tuple[int, int, Endpoint]]:
        if self._address.kind is Kind.SINGLE:
            return [(0, SLOTS - 1, self._address.endpoints[0])]
        if self._address.kind is Kind.SENTINEL:
            found = await _first([self._ask_sentinel(sentinel) for sentinel in self._address.endpoints])
            if found is None:
                raise Unreachable(f"no sentinel that answers knows a master {self._address.master!r} that does")
            return [(0, SLOTS - 1, found)]
        # Any node can tell, a few are enough, and one that has gone must not hold up the others.
        others = list(dict.fromkeys([*self._known, *self._address.endpoints]))
        secrets.SystemRandom().shuffle(others)
        rounds = [others[start : start + ASKED_AT_ONCE] for start in range(0, len(others), ASKED_AT_ONCE)]
        if self._better_informed is not None:
            rounds.insert(0, [self._better_informed])
        for asked in rounds:
            owners = await _first([self._ask_cluster(endpoint) for endpoint in asked])
            if owners:
                return owners
        raise Unreachable("no node of the cluster answers, or none of those that do is part of one")

    async def _ask_sentinel(self, sentinel: Endpoint) -> Endpoint | None:
        name = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._address.master)
        answer = await _ask_once(self._address.url_of_sentinel(sentinel), sentinel, name)
        if not answer:
            return None
        master = Endpoint(answer[0].decode(), int(answer[1]))
        # A sentinel that was cut off names the former one.
        role = await _ask_once(self._address.url_of(master), master, ("ROLE",))
        return master if role[0] == b"master" else None

    async def _ask_cluster(self, endpoint: Endpoint) -> list[tuple[int, int, Endpoint]]:
        answer = await _ask_once(self._address.url_of(endpoint), endpoint, ("CLUSTER", "SLOTS"))
        # A node that names no host means the one at which it was asked.
        ranges = [
            (
                int(first),
                int(last),
                [Endpoint((host or b"").decode() or endpoint.host, int(port)) for host, port, *_ in at],
            )
            for first, last, *at in answer
        ]
        if ranges:
            self._known = tuple({node for _, _, nodes in ranges for node in nodes})
        return [(first, last, nodes[0]) for first, last, nodes in ranges]


async def _ask_once(url: str, endpoint: Endpoint, command: Command) -> Any:
    node = Node(url, endpoint)
    try:
        (answer,) = await node.ask([command])
    finally:
        # Also when others have answered meanwhile, and we are called off.
        await asyncio.shield(node.close())
    if isinstance(answer, Exception):
        raise answer
    return answer


async def _first(attempts: Sequence[Awaitable[T]]) -> T | None:
    """The first answer that is one; None when nobody has any."""
    tasks = [asyncio.ensure_future(attempt) for attempt in attempts]
    try:
        for task in asyncio.as_completed(tasks):
            with suppress(RedisError, OSError):
                if answer := await task:
                    return answer
        return None
    finally:
        for pending in tasks:
            pending.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
