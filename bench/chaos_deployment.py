"""A deployment for the chaos: replicas, a Redis or a cluster of them, and the sandbox, all as processes on loopback."""

import socket
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any, Protocol

import httpx2
from redis import Redis

from tests.failover import ClusterProcess
from tests.running import Process, RedisProcess, free_port, process, server, until

KEY = "sk-chaos"
DRAIN_S = 2


class Storage(Protocol):
    """What the replicas keep everything in."""

    @property
    def url(self) -> str: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Replica:
    """A `headstart serve` on a port that stays its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._starts = 0
        self._environment = {**environment, "HEADSTART_PORT": str(self.port)}
        self._stack = ExitStack()
        self._process: Process | None = None

    @property
    def log(self) -> Path:
        """What it says since it was last started."""
        return self._folder / f"replica-{self.port}-{self._starts}.log"

    def start(self) -> None:
        """Start it; it is not ready yet."""
        self._starts += 1
        self._process = self._stack.enter_context(server(log=self.log, **self._environment))

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.popen.pid

    def signal(self, number: int) -> None:
        if self._process is not None and self._process.popen.poll() is None:
            self._process.popen.send_signal(number)

    def ended(self) -> bool:
        return self._process is None or self._process.popen.poll() is not None

    def close(self) -> None:
        self._stack.close()

    def ready(self) -> bool:
        """Whether it answers /readyz."""
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except httpx2.HTTPError:
            return False


class Deployment:
    """`replicas` servers over `storage`, with the sandbox answering at `speed` times its pace."""

    def __init__(self, folder: Path, storage: Storage, *, replicas: int, speed: float) -> None:
        self.storage = storage
        self.folder = folder
        self._speed = speed
        self.sandbox_port = free_port()
        self._environment = {
            "HEADSTART_REDIS_URL": storage.url,
            "HEADSTART_LIMITS": "off",
            "HEADSTART_LOG_LEVEL": "info",
            "HEADSTART_UPSTREAM_STALL_S": "2",
            "HEADSTART_TURN_ATTEMPTS": "4",
            "HEADSTART_DRAIN_S": str(DRAIN_S),
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": self.sandbox_url,
        }
        self._count = replicas
        self.replicas: list[Replica] = []
        # How many streams readers have open, and whether Redis is away so that none may be cut off.
        self.streams = 0
        self.outage = False

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    def __enter__(self) -> "Deployment":
        options = ("--port", str(self.sandbox_port), "--speed", str(self._speed), "--control", "--quiet")
        # What was started is ended also when something else does not start.
        with ExitStack() as stack:
            stack.enter_context(process("sandbox", *options, log=self.folder / "sandbox.log"))
            # Replicas are ready without it, and a fault is told it soon.
            until(lambda: _listens(self.sandbox_port), "the sandbox")
            stack.callback(self.storage.stop)
            self.storage.start()
            for _ in range(self._count):
                replica = Replica(self.folder, self._environment)
                stack.callback(replica.close)
                replica.start()
                self.replicas.append(replica)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def any_url(self, random: Random) -> str:
        """Where a load balancer would send a request: to any replica whose port is open."""
        candidates = random.sample(self.replicas, len(self.replicas))
        return next((one.url for one in candidates if _listens(one.port)), candidates[0].url)

    def redis_servers(self) -> list[Redis]:
        """A client for each Redis that the replicas have."""
        storage = self.storage
        if isinstance(storage, ClusterProcess):
            return [Redis(port=server.port, decode_responses=True, protocol=2) for server in storage.servers]
        return [Redis.from_url(storage.url, decode_responses=True, protocol=2)]

    def fault(self, *faults: dict[str, Any]) -> None:
        """Have the sandbox fail so, once each."""
        httpx2.post(f"{self.sandbox_url}/_sandbox/faults", json=list(faults), timeout=10).raise_for_status()

    def requests(self) -> list[dict[str, Any]]:
        """What reached the sandbox."""
        answer = httpx2.get(f"{self.sandbox_url}/_sandbox/log", timeout=30)
        records: list[dict[str, Any]] = answer.raise_for_status().json()["requests"]
        return records


def single(folder: Path) -> RedisProcess:
    """One Redis, which has on disk what it has said yes to."""
    (folder / "redis").mkdir()
    return RedisProcess(folder / "redis", durable=True)


def cluster(folder: Path) -> ClusterProcess:
    """Three primaries and their replicas."""
    return ClusterProcess(folder / "cluster")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
