"""The sandbox for other projects' tests: a pytest fixture and the server behind it. The server runs in a thread of the
test process, on a loopback socket, with a clock that jumps over waiting and that the test can turn, so nothing sleeps.
Needs pytest. It does not isolate tests by itself: each test gets a key of its own, and
caches are isolated by key."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import httpx2
import pytest

from app.sandbox.app import create_app
from app.sandbox.clock import Clock
from app.sandbox.log import workspace
from app.sandbox.options import Options
from app.sandbox.serve import Server, listen

EPOCH = 1_800_000_000.0
_keys = itertools.count(1)


class SandboxServer:
    """A running sandbox. `clock` turns its time, `key` is the workspace that `client()` and `post()` use."""

    def __init__(self, url: str, clock: Clock, http: httpx2.Client) -> None:
        self.url = url
        self.clock = clock
        self.http = http
        self.key = "test-key-0"
        self._clients: list[anthropic.Anthropic] = []

    def new_key(self) -> str:
        """Start over with an empty cache."""
        self.key = f"test-key-{next(_keys)}"
        return self.key

    def client(self, **more: Any) -> anthropic.Anthropic:
        """The official SDK's client, without retries unless asked for. It is closed with the test."""
        self._clients.append(
            anthropic.Anthropic(**{"api_key": self.key, "base_url": self.url, "max_retries": 0, **more})
        )
        return self._clients[-1]

    def async_client(self, **more: Any) -> anthropic.AsyncAnthropic:
        """The same, asynchronous; close it with `async with`."""
        return anthropic.AsyncAnthropic(**{"api_key": self.key, "base_url": self.url, "max_retries": 0, **more})

    def post(self, body: Any, path: str = "/v1/messages", **headers: str) -> httpx2.Response:
        """A bare request; `bytes` are sent as they are."""
        given = {"x-api-key": self.key, "anthropic-version": "2023-06-01"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, bytes):
            return self.http.post(path, content=body, headers=given)
        return self.http.post(path, json=body, headers=given)

    def fault(self, **fault: Any) -> None:
        """Order a fault for the next request that fits; the fields are those of `app.sandbox.faults.Fault`."""
        answer = self.http.post("/_sandbox/faults", json=[fault])
        if answer.status_code != 200:
            raise ValueError(answer.json()["error"]["message"])

    def log(self) -> list[dict[str, Any]]:
        """The requests made with the current key, oldest first."""
        mine = workspace(self.key).hex()
        records = self.http.get("/_sandbox/log").json()["requests"]
        return [record for record in records if record["workspace"] == mine]

    def evict(self, prefix: str | None = None) -> int:
        """Evict one entry by the name that the log gives it, or all entries of all keys; how many there were."""
        answer = self.http.delete("/_sandbox/cache", params={"prefix": prefix} if prefix else {})
        return int(answer.json()["evicted"])

    def close_clients(self) -> None:
        while self._clients:
            self._clients.pop().close()

    def reset(self) -> None:
        """No faults, an empty log, no open clients, and a clock that leaps."""
        self.close_clients()
        self.clock.set_mode("leap")
        self.http.delete("/_sandbox/faults")
        self.http.delete("/_sandbox/log")


@contextmanager
def sandbox_server(options: Options | None = None, clock: Clock | None = None) -> Iterator[SandboxServer]:
    """A sandbox in a thread, until the block ends. The default clock leaps: latencies pass at once, on its time."""
    clock = clock or Clock("leap", start=EPOCH)
    listening = listen("127.0.0.1", 0)
    host, port = listening.getsockname()
    server = Server(create_app(options or Options(control=True), clock), lambda: None)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    url = f"http://{host}:{port}"
    try:
        with httpx2.Client(base_url=url, timeout=20) as http:
            running = SandboxServer(url, clock, http)
            try:
                yield running
            finally:
                running.close_clients()
    finally:
        server.should_exit = True
        thread.join(timeout=5)
        listening.close()


@pytest.fixture(scope="session")
def sandbox_session() -> Iterator[SandboxServer]:
    """One server for the whole test session."""
    with sandbox_server() as server:
        yield server


@pytest.fixture
def sandbox(sandbox_session: SandboxServer) -> Iterator[SandboxServer]:
    """The session's server with an empty cache of the test's own."""
    sandbox_session.new_key()
    yield sandbox_session
    sandbox_session.reset()
