"""Headstart over the sandbox, whose clock and faults are the test's, beside the recorder's that every test has."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from app.sandbox.testing import SandboxServer, sandbox, sandbox_session
from tests.client import Client
from tests.recorder import Recorder
from tests.running import RedisProcess, serving
from tests.warm.gate import WORTH_IT
from tests.warm.turning import Memory

__all__ = ["sandbox", "sandbox_session"]

KEY = "sk-test-key"


@pytest.fixture
def memory(redis: RedisProcess) -> Iterator[Memory]:
    opened = Memory(redis)
    yield opened
    opened.close()


@pytest.fixture
def sandboxed(redis: RedisProcess, sandbox: SandboxServer) -> Iterator[Client]:
    """A client of Headstart, whose upstream is the sandbox: nothing cached, nothing logged."""
    sandbox.key = KEY
    sandbox.evict()
    with serving(redis.url, sandbox.url) as url, httpx2.Client(base_url=url, timeout=30) as http:
        yield Client(http)


@pytest.fixture
def serve(redis: RedisProcess, upstream: Recorder) -> Iterator[Callable[..., Client]]:
    """Start Headstart with limits, and settings of the test's own; its client."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Client:
            given = {"limits": "on", "value_of_second_usd": WORTH_IT, **settings}
            url = stack.enter_context(serving(redis.url, upstream.url, **given))
            return Client(stack.enter_context(httpx2.Client(base_url=url, timeout=30)))

        yield start
