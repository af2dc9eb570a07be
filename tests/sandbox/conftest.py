"""A sandbox on a real socket, in a thread of this process, with a clock in the test's hands."""

from collections.abc import Callable, Iterator

import anthropic
import pytest

from app.sandbox.clock import Clock
from app.sandbox.options import Options
from tests.sandbox.running import Running, running


@pytest.fixture
def clock() -> Clock:
    return Clock("leap", start=1_800_000_000.0)


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Running]:
    with running(Options(control=True), clock) as server:
        yield server


@pytest.fixture
def client(sandbox: Running) -> Iterator[anthropic.Anthropic]:
    with sandbox.client() as client:
        yield client


@pytest.fixture
def start(clock: Clock) -> Iterator[Callable[[Options], Running]]:
    """Start sandboxes with options of the test's own; they end with the test."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda options: stack.enter_context(running(options, clock))
