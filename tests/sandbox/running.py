"""Start the sandbox's application under uvicorn in a thread, and hand out clients for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx2
import uvicorn

from app.sandbox.app import create_app
from app.sandbox.clock import Clock
from app.sandbox.options import Options
from app.sandbox.serve import listen


@dataclass
class Running:
    url: str
    clock: Clock
    http: httpx2.Client

    def client(self, key: str = "test-key", **more: Any) -> anthropic.Anthropic:
        return anthropic.Anthropic(api_key=key, base_url=self.url, max_retries=0, **more)

    def post(self, body: Any, key: str = "test-key", path: str = "/v1/messages", **headers: str) -> httpx2.Response:
        given = {"x-api-key": key, "anthropic-version": "2023-06-01", **headers}
        if isinstance(body, bytes):
            return self.http.post(path, content=body, headers=given)
        return self.http.post(path, json=body, headers=given)

    def usage(self, body: dict[str, Any], key: str = "test-key") -> tuple[int, int, int]:
        """(read, written, uncached) of a request that must succeed."""
        answer = self.post({"max_tokens": 1, "model": "claude-sonnet-4-5", **body}, key)
        assert answer.status_code == 200, answer.text
        usage = answer.json()["usage"]
        return usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"], usage["input_tokens"]


@contextmanager
def running(options: Options, clock: Clock) -> Iterator[Running]:
    listening = listen("127.0.0.1", 0)
    host, port = listening.getsockname()
    config = uvicorn.Config(
        create_app(options, clock), lifespan="off", log_level="warning", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    url = f"http://{host}:{port}"
    try:
        with httpx2.Client(base_url=url, timeout=20) as http:
            yield Running(url, clock, http)
    finally:
        server.should_exit = True
        thread.join(timeout=5)
        listening.close()
