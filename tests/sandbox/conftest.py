"""The fixtures that the sandbox offers to everybody, and a shorthand for what most tests here look at."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import anthropic
import pytest

from app.sandbox.options import Options
from app.sandbox.testing import SandboxServer, sandbox, sandbox_server, sandbox_session

__all__ = ["sandbox", "sandbox_session"]

Read = tuple[int, int, int]
Send = Callable[..., Read]
Refuse = Callable[..., str]


@pytest.fixture
def client(sandbox: SandboxServer) -> anthropic.Anthropic:
    return sandbox.client()


@pytest.fixture
def start() -> Iterator[Callable[..., SandboxServer]]:
    """Start sandboxes with options of the test's own, each with a clock of its own; they end with the test."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(sandbox_server(Options(control=True, **options)))


@pytest.fixture
def send(sandbox: SandboxServer) -> Send:
    """Send a request that must succeed; (read, written, uncached) input tokens."""

    def send(**body: Any) -> Read:
        answer = sandbox.post({"model": "claude-sonnet-4-5", "max_tokens": 1, **body})
        assert answer.status_code == 200, answer.text
        usage = answer.json()["usage"]
        return usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"], usage["input_tokens"]

    return send


@pytest.fixture
def refuse(sandbox: SandboxServer) -> Refuse:
    """Send a request that must be refused with 400; the message."""

    def refuse(path: str = "/v1/messages", **body: Any) -> str:
        answer = sandbox.post({"model": "claude-sonnet-4-5", "max_tokens": 1, **body}, path)
        assert answer.status_code == 400, answer.text
        error = answer.json()["error"]
        assert error["type"] == "invalid_request_error"
        return str(error["message"])

    return refuse
