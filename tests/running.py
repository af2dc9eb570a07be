"""Real servers for tests: a Redis process, and Headstart in a thread or as processes of its own, all on loopback."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from redis import Redis

from app.contexts.fetching import Fetcher
from app.draining import Server
from app.main import create_app
from app.processes import redis_server
from app.settings import Settings
from tests.forked import Forked

WITHIN_S = 60
# The recorder answers so fast that no warm would save anybody's time: let a second be worth more than any warm.
GENEROUS: dict[str, Any] = {"limits": "off", "value_of_second_usd": 1e6}


class RedisProcess:
    """A Redis on a unix socket that a test can kill and start again; its data stays in `folder`.

    A `durable` one has on disk what it has said yes to; others may forget the last second when they are killed.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self._folder = folder
        self._sync = "always" if durable else "everysec"
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = folder / "r.sock"
        self.url = f"unix://{self.socket}"

    def start(self, *, empty: bool = False) -> None:
        if empty:
            for file in sorted(self._folder.rglob("appendonly*"), reverse=True):
                file.rmdir() if file.is_dir() else file.unlink()
        command = [redis_server(), "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self._folder)]
        command += [
            "--appendonly",
            "yes",
            "--save",
            "",
            "--logfile",
            str(self._folder / "redis.log"),
            "--appendfsync",
            self._sync,
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        until(lambda: self.say(b"PING") == b"+PONG\r\n", "Redis")

    def stop(self, *, gently: bool = False) -> None:
        """Kill it, or tell it to stop, and wait until it is gone."""
        if self._process is not None:
            self._process.terminate() if gently else self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self, *, frozen: bool = True) -> None:
        """Have it answer nothing, while it keeps its connections; or go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def say(self, command: bytes) -> bytes:
        """Redis's answer to an inline command, nothing if it is not there."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            try:
                connection.connect(str(self.socket))
                connection.sendall(command + b"\r\n")
                return connection.recv(65536)
            except OSError:
                return b""

    def dump(self) -> str:
        """Everything that Redis holds, as its append-only file has it."""
        files = sorted(self._folder.rglob("*.aof"))
        return "".join(file.read_bytes().decode("utf-8", "replace") for file in files)

    def holding(self, text: str) -> list[str]:
        """The keys in whose name or value `text` is."""
        read: dict[str, Callable[[Any, str], object]] = {
            "string": Redis.get,
            "hash": Redis.hgetall,
            "list": lambda redis, key: redis.lrange(key, 0, -1),
            "set": Redis.smembers,
            "zset": lambda redis, key: redis.zrange(key, 0, -1),
            "stream": Redis.xrange,
        }
        with Redis.from_url(self.url, decode_responses=True, encoding_errors="replace") as redis:
            found = {key: read[redis.type(key)](redis, key) for key in redis.scan_iter()}
        return [key for key, value in found.items() if text in key or text in str(value)]

    def named(self, pattern: str = "*") -> list[str]:
        """The keys that match `pattern`."""
        answer = self.say(f"KEYS {pattern}".encode()).decode()
        return [line for line in answer.split("\r\n")[1:] if line and not line.startswith("$")]


@contextmanager
def serving(redis_url: str, base_url: str, **settings: Any) -> Iterator[str]:
    """Headstart in a thread of this process, over a Redis and an upstream; its URL. No settings are `fetcher`, and the port
    to `listen` at."""
    fetcher: Fetcher | None = settings.pop("fetcher", None)
    port: int = settings.pop("listen", 0)
    given: dict[str, Any] = {"_env_file": None, "upstream_retries": 0, **GENEROUS, **settings}
    configured = Settings(**given)
    app = create_app(configured, redis_url=redis_url, base_url=base_url, api_key="sk-test-key", fetcher=fetcher)
    listening = socket.create_server(("127.0.0.1", port), backlog=512)
    config = uvicorn.Config(
        app,
        log_config=None,
        lifespan="on",
        loop="uvloop",
        ws="none",
        timeout_graceful_shutdown=1,
        proxy_headers=False,
    )
    # No signal comes to a thread.
    server = Server(config, app.state.rooms.asking.drain, 0, lambda *_: None)
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]))
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        until(lambda: server.started, "the server")
        yield url
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()
        assert not thread.is_alive()


@contextmanager
def process(*arguments: str, log: Path, **environment: str) -> Iterator["Process"]:
    """`headstart ARGUMENTS` as a process of its own, as a user would start it, with only this environment."""
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "app.cli", *arguments],
            env=kept() | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with ending(running):
        yield Process(running, log, int(environment.get("HEADSTART_PORT", "0")))


@contextmanager
def server(*, log: Path, **environment: str) -> Iterator["Process"]:
    """`headstart serve` as a process of its own, with only this environment, without the time that importing it takes."""
    running = Forked(("serve",), kept() | environment, log)
    with ending(running):
        yield Process(running, log, int(environment.get("HEADSTART_PORT", "0")))


def kept() -> dict[str, str]:
    """What every process gets of our environment."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


@contextmanager
def ending(running: "subprocess.Popen[bytes] | Forked") -> Iterator[None]:
    """A process that has ended at the end."""
    try:
        yield
    finally:
        if running.poll() is None:
            running.terminate()
        try:
            running.wait(30)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


class Process:
    """A running `headstart`."""

    def __init__(self, popen: "subprocess.Popen[bytes] | Forked", log: Path, port: int) -> None:
        self.popen = popen
        self.log = log
        self.url = f"http://127.0.0.1:{port}"

    def wait_ready(self) -> None:
        """Until it answers /readyz."""

        def ready() -> bool:
            assert self.popen.poll() is None, self.log.read_text()
            try:
                return httpx2.get(f"{self.url}/readyz", timeout=2).status_code == 200
            except httpx2.HTTPError:
                return False

        until(ready, "headstart")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until `condition` holds; `what` says what did not come about when it does not for long."""
    pause = threading.Event()
    for _ in range(WITHIN_S * 50):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError(f"waited {WITHIN_S} s in vain for {what}")
