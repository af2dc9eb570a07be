"""How long an entry lives and from when: platform docs, prompt caching, "How prompt caching works", "Cache
limitations" and the FAQ."""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import httpx2

from app.sandbox.testing import SandboxServer
from tests.running import until
from tests.sandbox.conftest import Send
from tests.sandbox.prompts import HOUR, MARK, text, texts, user

ONE = [user(text("one", mark=MARK), "question")]
FOR_AN_HOUR = [user(text("one", mark=HOUR), "question")]


def test_by_default_the_cache_has_a_5_minute_lifetime(sandbox: SandboxServer, send: Send) -> None:
    send(messages=ONE)
    sandbox.clock.advance(298)
    assert send(messages=ONE)[0] == 1100
    sandbox.clock.advance(301)
    assert send(messages=ONE)[0] == 0


def test_the_cache_is_refreshed_each_time_it_is_used(sandbox: SandboxServer, send: Send) -> None:
    send(messages=ONE)
    for _ in range(5):
        sandbox.clock.advance(250)
        assert send(messages=ONE) == (1100, 0, 6)


def test_a_1_hour_entry_lives_for_an_hour_of_inactivity(sandbox: SandboxServer, send: Send) -> None:
    send(messages=FOR_AN_HOUR)
    sandbox.clock.advance(3590)
    assert send(messages=FOR_AN_HOUR)[0] == 1100
    sandbox.clock.advance(3601)
    assert send(messages=FOR_AN_HOUR)[0] == 0


def test_a_read_through_another_breakpoint_refreshes_the_marked_entries_before_it(
    sandbox: SandboxServer, send: Send
) -> None:
    both = [user(text("context", mark=MARK), text("turn", 100, MARK))]
    send(messages=both)
    sandbox.clock.advance(200)
    assert send(messages=both) == (1200, 0, 0)
    sandbox.clock.advance(200)
    assert send(messages=[user(text("context", mark=MARK), text("another", 100, MARK))]) == (1100, 100, 0)


def test_a_breakpoint_whose_entry_expired_is_added_back_by_the_next_request(sandbox: SandboxServer, send: Send) -> None:
    send(messages=[user(text("context", mark=MARK))])
    send(messages=[user(text("context"), text("turn", 100, HOUR))])
    sandbox.clock.advance(1000)
    assert send(messages=[user(text("context", mark=HOUR), text("turn", 100, HOUR))]) == (1200, 0, 0)
    assert send(messages=[user(text("context", mark=HOUR), text("another", 100))]) == (1100, 0, 100)


def test_the_lifetime_is_measured_from_the_start_of_the_request_not_from_the_end_of_its_response(
    start: Callable[..., SandboxServer],
) -> None:
    server = start(profile="cookbook")
    begun = server.clock.now()
    body = {"model": "claude-sonnet-4-5", "max_tokens": 400, "messages": ONE}
    assert server.post(body).status_code == 200
    assert server.clock.now() > begun + 1
    server.clock.advance(begun + 299.9 - server.clock.now())
    assert _read(server.post(body)) == 1100
    server.clock.advance(begun + 299.9 + 300 - server.clock.now())
    assert _read(server.post(body)) == 0


def test_lifetimes_are_not_scaled_by_speed(start: Callable[..., SandboxServer]) -> None:
    server = start(profile="cookbook", speed=100)
    body = {"model": "claude-sonnet-4-5", "max_tokens": 0, "messages": ONE}
    server.post(body)
    server.clock.advance(290)
    assert _read(server.post(body)) == 1100


def test_an_entry_becomes_available_only_after_the_first_response_begins(start: Callable[..., SandboxServer]) -> None:
    server = start(profile="cookbook")
    body = {"model": "claude-sonnet-4-5", "max_tokens": 0, "messages": ONE}
    with _frozen(server):
        first, second = _Background(server, body), _Background(server, body)
        until(lambda: server.clock.waiting == 2, "two waiting")
        server.clock.advance(30)
    assert [_read(r) for r in (first.answer(), second.answer())] == [0, 0], "two parallel cold requests both pay"
    assert [_written(r) for r in (first.answer(), second.answer())] == [1100, 1100]
    assert _read(server.post(body)) == 1100


def test_a_streamed_response_makes_its_entry_available_when_it_begins_not_when_it_ends(
    start: Callable[..., SandboxServer],
) -> None:
    server = start(profile="cookbook")
    body = {"model": "claude-sonnet-4-5", "max_tokens": 300, "messages": [user(text("one", mark=MARK), "lorem?")]}
    with _frozen(server):
        streamed = _Background(server, {**body, "stream": True})
        until(lambda: server.clock.waiting == 1, "one waiting")
        server.clock.advance(1)
        until(lambda: server.clock.waiting == 1, "one waiting")
        other = _Background(server, {**body, "max_tokens": 0})
        until(lambda: server.clock.waiting == 2, "two waiting")
        server.clock.advance(1)
        assert _read(other.answer()) == 1100
        assert not streamed.ended
        server.clock.advance(60)
        assert streamed.answer().text.endswith('{"type":"message_stop"}\n\n')


def test_nothing_is_written_by_a_request_that_was_given_up_before_its_response_began(
    start: Callable[..., SandboxServer],
) -> None:
    server = start(profile="cookbook")
    body = {"model": "claude-sonnet-4-5", "max_tokens": 0, "messages": ONE}
    with _frozen(server):
        with httpx2.Client(base_url=server.url, timeout=0.2) as impatient:
            headers = {"x-api-key": server.key, "anthropic-version": "2023-06-01"}
            with contextlib.suppress(httpx2.ReadTimeout):
                impatient.post("/v1/messages", json=body, headers=headers)
        until(lambda: server.clock.waiting == 0, "nobody waiting")
        server.clock.advance(60)
    assert _read(server.post(body)) == 0


def test_entries_deep_in_a_prompt_expire_each_by_its_own_use(sandbox: SandboxServer, send: Send) -> None:
    send(messages=[user(*texts(1, 4, 600, marked=(2,)))])
    sandbox.clock.advance(200)
    send(messages=[user(*texts(1, 4, 600, marked=(4,)))])
    sandbox.clock.advance(200)
    assert send(messages=[user(*texts(1, 2, 600, marked=(2,)))])[0] == 1200, "the second request read it"
    sandbox.clock.advance(150)
    assert send(messages=[user(*texts(1, 4, 600, marked=(4,)))])[0] == 1200


class _Background:
    """A request in a thread of its own."""

    def __init__(self, server: SandboxServer, body: dict[str, Any]) -> None:
        self._answers: list[httpx2.Response] = []
        self._thread = threading.Thread(target=lambda: self._answers.append(server.post(body)), daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        return bool(self._answers)

    def answer(self) -> httpx2.Response:
        self._thread.join(timeout=30)
        return self._answers[0]


class _frozen:
    def __init__(self, server: SandboxServer) -> None:
        self._clock = server.clock

    def __enter__(self) -> None:
        self._clock.set_mode("frozen")

    def __exit__(self, *error: object) -> None:
        self._clock.set_mode("leap")


def _read(answer: httpx2.Response) -> int:
    return int(answer.json()["usage"]["cache_read_input_tokens"])


def _written(answer: httpx2.Response) -> int:
    return int(answer.json()["usage"]["cache_creation_input_tokens"])
