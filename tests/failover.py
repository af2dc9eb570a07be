"""Redis as operators run it, on loopback: a cluster, and a master and its replica watched by sentinels.

Node timeouts are small, so that a failover takes two or three seconds. A server that is killed gets SIGKILL.
"""

import signal
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

from redis import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError

from app.processes import redis_server
from tests.running import until

NODE_TIMEOUT_MS = 1000
SLOTS = 16384


class Server:
    """A redis-server of either setup, on a port that stays its own when it is killed and started again."""

    def __init__(self, folder: Path, arguments: Iterable[str] = (), *, config: str | None = None) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._arguments = list(arguments)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _two_free_ports()
        self._config = folder / "redis.conf"
        self._config.write_text(config or "")

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        command = [redis_server(), str(self._config), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self._folder), "--save", "", "--logfile", str(self._folder / "redis.log")]
        self._process = subprocess.Popen([*command, *self._arguments], stdin=subprocess.DEVNULL)
        until(lambda: self.answers("PING"), f"Redis at {self.port}")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self, *, frozen: bool = True) -> None:
        """Have it answer nothing, while it keeps its connections; or go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def ask(self, *command: str | int) -> Any:
        """Its answer; what it refuses is raised."""
        with Redis(port=self.port, socket_timeout=5, decode_responses=True, protocol=2) as redis:
            return redis.execute_command(*command)

    def answers(self, *command: str | int) -> Any:
        """Its answer, None when there is none."""
        try:
            return self.ask(*command)
        except (RedisError, OSError):
            return None

    def follows(self) -> bool:
        """Whether it is a replica that has what its master has."""
        said = self.answers("INFO", "replication") or {}
        return said.get("role") == "slave" and said.get("master_link_status") == "up"


class ClusterProcess:
    """Three primaries with a replica each. `node_timeout_ms` is how long one may be silent before it is taken for gone."""

    def __init__(self, folder: Path, *, node_timeout_ms: int = NODE_TIMEOUT_MS) -> None:
        self.servers = [
            Server(
                folder / str(number),
                [
                    *("--cluster-enabled", "yes", "--cluster-node-timeout", str(node_timeout_ms)),
                    *("--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"),
                    *("--appendonly", "yes", "--appendfsync", "everysec"),
                ],
            )
            for number in range(6)
        ]

    @property
    def url(self) -> str:
        """With all of its nodes, as it takes only one that answers."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    def start(self) -> None:
        """Start and join all six, and wait until they are one cluster."""
        for server in self.servers:
            server.start()
        primaries, replicas = self.servers[:3], self.servers[3:]
        for number, primary in enumerate(primaries):
            primary.ask("CLUSTER", "ADDSLOTS", *range(number * SLOTS // 3, (number + 1) * SLOTS // 3))
            primary.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in self.servers[1:]:
            primaries[0].ask("CLUSTER", "MEET", "127.0.0.1", server.port)
        until(lambda: all(_nodes(server) == 6 for server in self.servers), "the cluster")
        for primary, replica in zip(primaries, replicas, strict=True):
            replica.ask("CLUSTER", "REPLICATE", primary.ask("CLUSTER", "MYID"))
        self.wait_whole()

    def stop(self) -> None:
        for server in self.servers:
            server.kill()

    def flush(self) -> None:
        """Erase everything."""
        for primary in self._primaries():
            primary.ask("FLUSHALL")

    def primary_of(self, key: str) -> Server:
        """The server that has `key` now."""
        slot = key_slot(key.encode())
        for server in filter(lambda server: server.running, self.servers):
            for first, last, owner, *_ in server.answers("CLUSTER", "SLOTS") or []:
                if int(first) <= slot <= int(last):
                    return next(server for server in self.servers if server.port == int(owner[1]))
        raise AssertionError(f"nobody has slot {slot}")

    def kill_primary(self, key: str) -> Server:
        """SIGKILL the server that has `key`; its replica takes over by itself."""
        server = self.primary_of(key)
        server.kill()
        return server

    def restart(self, server: Server) -> None:
        """Start a server that was killed: it comes back as its successor's replica, or as what it was."""
        server.start()
        self.wait_whole()

    def migrate(self, key: str) -> None:
        """Begin to move the slot of `key` to another primary, with all that is in it: both answer ASK until `settle`."""
        source, target, slot = self._move(key)
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ask("CLUSTER", "MYID"))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.ask("CLUSTER", "MYID"))
        for name in source.ask("CLUSTER", "GETKEYSINSLOT", slot, 10_000):
            source.ask("MIGRATE", "127.0.0.1", target.port, name, 0, 5000)

    def settle(self, key: str) -> None:
        """End what `migrate` began."""
        source, target, slot = self._move(key)
        for server in (target, source):
            server.ask("CLUSTER", "SETSLOT", slot, "NODE", target.ask("CLUSTER", "MYID"))
        until(lambda: self.primary_of(key) is target, "the slot's new home")

    def wait_whole(self) -> None:
        """Until every slot is served and every replica has what its primary has."""

        def whole() -> bool:
            there = [server for server in self.servers if server.running]
            well = all("cluster_state:ok" in str(server.answers("CLUSTER", "INFO")) for server in there)
            agreed = all(str(server.answers("CLUSTER", "NODES")).count("slave ") == 3 for server in there)
            return well and agreed and sum(server.follows() for server in there) == len(there) - 3

        until(whole, "the whole cluster")

    def _primaries(self) -> list[Server]:
        return [server for server in self.servers if server.running and not server.follows()]

    def _move(self, key: str) -> tuple[Server, Server, int]:
        source = self.primary_of(key)
        others = [server for server in self._primaries() if server is not source]
        return source, min(others, key=lambda server: server.port), key_slot(key.encode())


class SentinelProcess:
    """A master and its replica, watched by three sentinels of which two decide."""

    NAME = "headstart"

    def __init__(self, folder: Path) -> None:
        self.servers = [
            Server(folder / str(number), ["--appendonly", "yes", "--repl-diskless-sync-delay", "0"])
            for number in range(2)
        ]
        watch = (
            f"sentinel monitor {self.NAME} 127.0.0.1 {self.servers[0].port} 2\n"
            f"sentinel down-after-milliseconds {self.NAME} {NODE_TIMEOUT_MS}\n"
            f"sentinel failover-timeout {self.NAME} 3000\n"
        )
        self.sentinels = [Server(folder / f"sentinel{number}", ["--sentinel"], config=watch) for number in range(3)]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{self.NAME}"

    def start(self) -> None:
        """Start all, and wait until the sentinels know the replica and each other."""
        master, replica = self.servers
        master.start()
        replica.start()
        replica.ask("REPLICAOF", "127.0.0.1", master.port)
        for sentinel in self.sentinels:
            sentinel.start()
        self.wait_whole()

    def stop(self) -> None:
        for server in [*self.servers, *self.sentinels]:
            server.kill()

    def flush(self) -> None:
        """Erase everything."""
        self.primary.ask("FLUSHALL")

    @property
    def primary(self) -> Server:
        """The master as the first sentinel has it."""
        _, port = self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.NAME)
        return next(server for server in self.servers if server.port == int(port))

    def kill_primary(self) -> Server:
        """SIGKILL the master; the sentinels promote its replica."""
        server = self.primary
        server.kill()
        return server

    def restart(self, server: Server) -> None:
        """Start a server that was killed: it comes back as a replica."""
        server.start()
        # The sentinels would see to it too, after ten seconds.
        server.ask("REPLICAOF", "127.0.0.1", self.primary.port)
        self.wait_whole()

    def wait_whole(self) -> None:
        """Until the replica has what the master has, and a failover could begin."""

        def whole() -> bool:
            for sentinel in self.sentinels:
                flat = sentinel.answers("SENTINEL", "MASTER", self.NAME) or []
                said = dict(zip(flat[::2], flat[1::2], strict=True))
                if (said.get("num-slaves"), said.get("num-other-sentinels"), said.get("flags")) != ("1", "2", "master"):
                    return False
            return [server.follows() for server in self.servers].count(True) == 1

        until(whole, "the sentinels")


def _nodes(server: Server) -> int:
    return len(str(server.answers("CLUSTER", "NODES") or "").splitlines())


def _two_free_ports() -> int:
    """A free port below the ephemeral ones; the one that is 10,000 higher, where a cluster's nodes talk, is free too."""
    random = Random()
    for _ in range(1000):
        port = random.randrange(12_000, 22_000)
        if _is_free(port) and _is_free(port + 10_000):
            return port
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
