"""Real servers for the browser to talk to: `headstart serve` as a process, a sandbox, and a gate that stands between
the two, so that a test can refuse calls or hold one back at a chosen point instead of racing it."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from app.sandbox.app import create_app
from app.sandbox.clock import Clock
from app.sandbox.options import Options
from app.sandbox.serve import listen
from tests.running import free_port, server

PATIENCE_S = 30.0
REFUSAL = b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}'


@contextmanager
def headstart(data: Path, **settings: str) -> Iterator[str]:
    """A running server's address. It keeps what it stores under `data`, and sees no settings but ours."""
    data.mkdir(parents=True, exist_ok=True)
    given = {"HEADSTART_PORT": str(free_port()), "XDG_DATA_HOME": str(data)} | settings
    with server(log=data / "log", **given) as running:
        running.wait_ready()
        yield running.url


@contextmanager
def sandbox(speed: float) -> Iterator[str]:
    """A sandbox's address; it runs in a thread of this process."""
    listening = listen("127.0.0.1", 0)
    app = create_app(Options(speed=speed), Clock())
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        listening.close()


class Gate:
    """Passes calls on to `upstream`. `open_all()` undoes what a test asked for."""

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream).netloc
        self.refusing = False
        self.warms = threading.Event()
        self.answers = threading.Event()
        self.deltas_before_holding = 0
        self.open_all()

    def open_all(self) -> None:
        self.refusing = False
        self.warms.set()
        self.answers.set()

    def hold_warms(self) -> None:
        self.warms.clear()

    def hold_answers(self, *, after_deltas: int) -> None:
        """Let the first text deltas of each answer through, and no more until told otherwise."""
        self.deltas_before_holding = after_deltas
        self.answers.clear()

    @contextmanager
    def listening(self) -> Iterator[str]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            self.open_all()
            server.shutdown()
            server.server_close()
            thread.join(PATIENCE_S)

    def forward(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        if self.refusing:
            return _answer(handler, 401, "application/json", [REFUSAL])
        if b'"max_tokens":0' in body[-400:]:
            self.warms.wait(PATIENCE_S)
        headers = {
            k: v for k, v in handler.headers.items() if k.lower() not in ("host", "connection", "accept-encoding")
        }
        connection = http.client.HTTPConnection(self._upstream, timeout=PATIENCE_S)
        try:
            connection.request(handler.command, handler.path, body, headers)
            response = connection.getresponse()
            _answer(handler, response.status, response.headers["content-type"], self._held(response))
        finally:
            connection.close()
        return None

    def _held(self, lines: http.client.HTTPResponse) -> Iterator[bytes]:
        deltas = 0
        for line in lines:
            if b'"text_delta"' in line:
                if deltas >= self.deltas_before_holding:
                    self.answers.wait(PATIENCE_S)
                deltas += 1
            yield line


@contextmanager
def halved(page: bytes) -> Iterator[tuple[str, threading.Event]]:
    """The address of a server that sends `page` up to its form, the rest once the event is set, and has nothing else."""
    rest, at = threading.Event(), page.index(b"<form")

    class Halting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/":
                return self.send_error(404)
            return _answer(self, 200, "text/html; charset=utf-8", self._pieces())

        def _pieces(self) -> Iterator[bytes]:
            yield page[:at]
            rest.wait(PATIENCE_S)
            yield page[at:]

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: a test's output is the test's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Halting)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", rest
    finally:
        rest.set()
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_S)


def _answer(handler: BaseHTTPRequestHandler, status: int, kind: str, pieces: "list[bytes] | Iterator[bytes]") -> None:
    try:
        handler.send_response(status)
        handler.send_header("content-type", kind)
        handler.end_headers()
        for piece in pieces:
            handler.wfile.write(piece)
            handler.wfile.flush()
    except (BrokenPipeError, ConnectionResetError):
        handler.close_connection = True  # a turn that was stopped hangs up; there is nobody left to tell


def _handler(gate: Gate) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            gate.forward(self)

        def do_POST(self) -> None:
            gate.forward(self)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: a test's output is the test's."""

    return Handler
