"""Load balancers for tests: a few lines of our own that give each connection to the next server, and nginx with the
configuration of `deploy/`, which finds the servers by a DNS of the test's. Neither sticks to anything."""

import os
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from tests.needed import NGINX
from tests.running import free_port, until

NGINX_CONF = Path(__file__).resolve().parents[1] / "deploy" / "nginx.conf"
Address = tuple[str, int]


def address(url: str) -> Address:
    """Where `url`'s server listens."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0


class Balancer:
    """Carries each connection to the next of `servers` that takes it, in turns, until it is cut."""

    def __init__(self, servers: list[Address]) -> None:
        self.servers = servers
        self._whole = True
        self._turn = 0
        self._ends: list[socket.socket] = []
        self._carrying: list[threading.Thread] = []
        self._streaming: tuple[socket.socket, ...] = ()
        self._hushed: set[socket.socket] = set()
        self._to_lose = b""
        self._lost: set[socket.socket] = set()
        self.url = ""

    @contextmanager
    def listening(self) -> Iterator["Balancer"]:
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            accepting = threading.Thread(target=self._accept, args=(listener,), daemon=True)
            accepting.start()
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            yield self
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(30)
            self.cut()
            for carrying in self._carrying:
                carrying.join(30)

    def cut(self) -> None:
        """Break off every connection, and refuse new ones."""
        self._whole = False
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._whole = True

    def hush(self) -> None:
        """Carry nothing more over the connection on which a stream last began, and tell nobody, as a network does that is
        gone. The others are idle; browsers let go of such when the network changes."""
        self._hushed = set(self._streaming)
        for end in set(self._ends) - self._hushed:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def lose_answer(self, request: bytes) -> None:
        """Break off the connection that next carries `request`, when it is answered: the request arrived."""
        self._to_lose = request

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near = listener.accept()[0]
            except OSError:
                return
            far = self._next() if self._whole else None
            if far is None:
                near.close()
                continue
            self._ends += [near, far]
            carrying = threading.Thread(target=self._join, args=(near, far), daemon=True)
            carrying.start()
            self._carrying.append(carrying)

    def _next(self) -> socket.socket | None:
        for _ in range(len(self.servers)):
            self._turn += 1
            with suppress(OSError):
                far = socket.create_connection(self.servers[self._turn % len(self.servers)], timeout=5)
                far.settimeout(None)
                return far
        return None

    def _join(self, near: socket.socket, far: socket.socket) -> None:
        with near, far:
            answering = threading.Thread(target=self._carry, args=(far, near), kwargs={"answers": True}, daemon=True)
            answering.start()
            self._carry(near, far, answers=False)
            answering.join()

    def _carry(self, source: socket.socket, target: socket.socket, *, answers: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._loses(source, target, data, answers=answers):
                    break
                if source not in self._hushed:
                    target.sendall(data)
                if answers and b"text/event-stream" in data:
                    self._streaming = (source, target)
        if source not in self._hushed:
            with suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)

    def _loses(self, source: socket.socket, target: socket.socket, data: bytes, *, answers: bool) -> bool:
        if not answers and self._to_lose and self._to_lose in data:
            self._to_lose = b""
            self._lost |= {source, target}
        return answers and source in self._lost


@contextmanager
def nginx(folder: Path, servers: list[Address]) -> Iterator[str]:
    """nginx as the compose file runs it, in front of `servers`, which may change meanwhile and share one port. Its URL."""
    port = free_port()
    with naming(servers) as dns:
        text = NGINX_CONF.read_text()
        for written, here in (
            # Each of its processes asks for names by itself: what one knows another may not.
            ("worker_processes auto", "worker_processes 1"),
            ("resolver 127.0.0.11 valid", f"resolver 127.0.0.1:{dns} valid"),
            ("http://$servers:8000", f"http://$servers:{servers[0][1]}"),
            ("set $servers app;", "set $servers app.test;"),
            ("listen 8080", f"listen 127.0.0.1:{port}"),
            (" /tmp/", f" {folder}/"),
        ):
            assert written in text, written
            text = text.replace(written, here)
        configured = folder / "nginx.conf"
        configured.write_text(text)
        log = folder / "nginx.log"
        with log.open("wb") as output:
            # Started by root it would give its workers to somebody who may not look into a test's folder.
            user = "" if os.geteuid() else " user root;"
            command = [str(NGINX), "-c", str(configured), "-g", f"daemon off;{user}"]
            running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            until(lambda: listens(port) or running.poll() is not None, "nginx")
            assert running.poll() is None, log.read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()
            running.wait(30)


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def naming(servers: list[Address]) -> Iterator[int]:
    """A DNS server for which every name is all of `servers`, as they are when it is asked. Its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.bind(("127.0.0.1", 0))

        def answer() -> None:
            while True:
                query, whom = asked.recvfrom(512)
                if query == b"enough":
                    return
                question = query[12 : query.index(b"\0", 12) + 5]
                head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(servers), 0, 0)
                records = [struct.pack("!HHHIH4s", 0xC00C, 1, 1, 1, 4, socket.inet_aton(host)) for host, _ in servers]
                asked.sendto(head + question + b"".join(records), whom)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield asked.getsockname()[1]
        finally:
            asked.sendto(b"enough", asked.getsockname())
            thread.join(30)
