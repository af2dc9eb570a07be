"""A way to Redis on which one answer gets lost, or is late: the command was carried out, and who sent it cannot know."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.running import RedisProcess


class Losing:
    """Passes everything on, until it is `armed` with bytes: the answer to the next command that has them is lost, with its
    connection; then `lost` is set."""

    def __init__(self, redis: RedisProcess, path: Path) -> None:
        self.url = f"unix://{path}"
        self.lost = threading.Event()
        self._marks: bytes | None = None
        self._late: threading.Event | None = None
        self._target = str(redis.socket)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, marks: bytes) -> None:
        self.lost.clear()
        self._marks = marks

    def hold(self, marks: bytes) -> None:
        """As `arm`, but the answer, and all that follow it, come when `release` is called."""
        self._late = threading.Event()
        self.arm(marks)

    def release(self) -> None:
        assert self._late is not None
        self._late.set()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            redis = socket.socket(socket.AF_UNIX)
            redis.connect(self._target)
            losing = threading.Event()
            for work in (self._send, self._answer):
                threading.Thread(target=work, args=(client, redis, losing), daemon=True).start()

    def _send(self, client: socket.socket, redis: socket.socket, losing: threading.Event) -> None:
        with suppress(OSError):
            while said := client.recv(1 << 20):
                if self._marks is not None and self._marks in said:
                    self._marks = None
                    losing.set()
                redis.sendall(said)
        _end(client, redis)

    def _answer(self, client: socket.socket, redis: socket.socket, losing: threading.Event) -> None:
        with suppress(OSError):
            while said := redis.recv(1 << 20):
                if losing.is_set():
                    self.lost.set()
                    if self._late is None:
                        break
                    self._late.wait(30)
                client.sendall(said)
        _end(client, redis)


@contextmanager
def losing(redis: RedisProcess, folder: Path) -> Iterator[Losing]:
    """A way to `redis` that can lose an answer."""
    way = Losing(redis, folder / "losing.sock")
    try:
        yield way
    finally:
        way.close()


def _end(*connections: socket.socket) -> None:
    for connection in connections:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        # Both threads of a pair come here; a socket may be closed twice.
        connection.close()
