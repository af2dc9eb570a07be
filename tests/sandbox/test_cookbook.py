"""The cookbook's speculative prompt caching, written as its reader would, on the virtual clock: 151,629 tokens, cold
time to first token 20.87 s, warmed 1.94 s. The clock is turned by hand to 3 % before and 3 % after the published time:
before, nothing may have come; after, the first text must have."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from app.sandbox.testing import SandboxServer
from tests.running import until
from tests.sandbox.prompts import MARK, text, user

MODEL = "claude-sonnet-4-6"
COLD_S, WARM_S = 20.87, 1.94
SOURCE = text("/* sqlite3.c */", 151_600, MARK)
QUESTION = "What is the purpose of lorem?"


class Asked:
    """One streamed question, asked in a thread as a user interface would; `first` is set with the first text."""

    def __init__(self, server: SandboxServer) -> None:
        self.first = threading.Event()
        self.usage: Any = None
        self._thread = threading.Thread(target=self._ask, args=(server,), daemon=True)
        self._thread.start()

    def _ask(self, server: SandboxServer) -> None:
        with server.client().messages.stream(model=MODEL, max_tokens=1024, messages=[user(SOURCE, QUESTION)]) as stream:
            for _ in stream.text_stream:
                self.first.set()
            self.usage = stream.get_final_message().usage

    def end(self) -> None:
        self._thread.join(timeout=20)


def warm(server: SandboxServer, max_tokens: int) -> None:
    client = server.client()
    client.messages.create(model=MODEL, max_tokens=max_tokens, messages=[user(SOURCE, "warmup")])


def assert_first_text_after(server: SandboxServer, seconds: float) -> Any:
    """Ask now; the usage, once the first text came within 3 % of so many seconds."""
    server.clock.set_mode("frozen")
    asked = Asked(server)
    until(lambda: server.clock.waiting == 1, "one waiting")
    server.clock.advance(seconds * 0.97)
    assert not asked.first.wait(0.1)
    server.clock.advance(seconds * 0.06)
    assert asked.first.wait(30)
    server.clock.set_mode("leap")
    asked.end()
    return asked.usage


def test_standard_caching_the_first_question_pays_for_reading(start: Callable[..., SandboxServer]) -> None:
    server = start(profile="cookbook")
    usage = assert_first_text_after(server, COLD_S)
    assert usage.cache_creation_input_tokens == 151_600
    assert usage.input_tokens + usage.cache_creation_input_tokens == pytest.approx(151_629, abs=30)


@pytest.mark.parametrize("max_tokens", [1, 0])
def test_speculative_caching_the_question_finds_the_cache_warm(
    start: Callable[..., SandboxServer], max_tokens: int
) -> None:
    server = start(profile="cookbook")
    before = server.clock.now()
    warm(server, max_tokens)
    assert server.clock.now() - before == pytest.approx(COLD_S, rel=0.03), "while the user types"
    usage = assert_first_text_after(server, WARM_S)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (151_600, 0)


def test_speed_divides_what_the_reader_waits_for(start: Callable[..., SandboxServer]) -> None:
    server = start(profile="cookbook", speed=4)
    assert_first_text_after(server, COLD_S / 4)


def test_the_whole_answer_comes_at_the_published_rate(start: Callable[..., SandboxServer]) -> None:
    server = start(profile="cookbook")
    warm(server, 0)
    Asked(server).end()
    record = server.log()[-1]
    total = record["ended_at"] - record["at"]
    assert total == pytest.approx(8.40, rel=0.1), "published for 330 output tokens"
