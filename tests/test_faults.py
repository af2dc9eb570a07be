"""An upstream that fails in every way there is: what the warm says, how the turn ends, and that the session goes on."""

import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx2
import pytest

from tests.client import Client
from tests.faults import BROKEN_STREAMS, REFUSALS, break_off_at_once, patient_client
from tests.recorder import Exchange, Recorder, Respond, held, message_start, refuse
from tests.running import RedisProcess, serving

KEY = "sk-test-key"


@pytest.fixture
def server(redis: RedisProcess, upstream: Recorder) -> Iterator[str]:
    """Headstart's URL; a turn has one attempt. What more of them do is in test_attempts.py."""
    with serving(redis.url, upstream.url, turn_attempts=1) as url:
        yield url


@pytest.mark.parametrize(("respond", "code", "retryable"), [*REFUSALS, *BROKEN_STREAMS])
def test_a_turn_that_the_upstream_fails_ends_with_an_error_and_the_session_goes_on(
    client: Client, upstream: Recorder, respond: Respond, code: str, retryable: bool
) -> None:
    client.add_context()
    session = client.start()
    upstream.script.append(respond)

    last = client.ask(session["session"], "A doomed question")[-1]
    assert (last.name, last.data["code"], last.data["retryable"]) == ("error", code, retryable)
    assert_is_problem(last.data)
    (failed,) = client.session(session["session"])["turns"]
    assert (failed["state"], failed["problem"], failed["verdict"]) == ("failed", last.data, None)

    assert client.ask(session["session"], "Another one")[-1].name == "verdict"
    assert b"doomed" not in upstream.asks[-1].body
    assert client.session(session["session"])["prefix"]["digest"] != session["prefix"]["digest"]
    assert client.ask(session["session"], "And on")[-1].name == "verdict"
    assert b"doomed" not in upstream.asks[-1].body
    assert b"Another one" in upstream.asks[-1].body


@pytest.mark.parametrize(("respond", "code", "retryable"), REFUSALS)
def test_a_warm_that_the_upstream_fails_says_why_and_the_question_is_asked_all_the_same(
    client: Client, upstream: Recorder, respond: Respond, code: str, retryable: bool
) -> None:
    client.add_context()
    session = client.start()["session"]
    upstream.script.append(respond)
    warm = client.warm(session, wait=True)
    assert (warm["state"], warm["reason"]) == ("failed", code)
    assert client.session(session)["warm"] == warm

    first, *_, last = client.ask(session, "Does it work now?")
    assert (first.data["plan"], first.data["warm"]["reason"]) == ("cold", code)
    assert last.name == "verdict"
    assert retryable in (True, False)


@pytest.mark.parametrize("respond", [refuse(529, "overloaded_error"), refuse(500, "api_error")], ids=["529", "500"])
def test_triggers_rest_after_a_failure_so_that_typing_does_not_hammer_the_upstream(
    client: Client, upstream: Recorder, respond: Respond
) -> None:
    client.add_context()
    session = client.start()["session"]
    upstream.script.append(respond)
    assert client.warm(session, wait=True)["state"] == "failed"
    for _ in range(20):
        assert client.warm(session, trigger="keystroke")["state"] in ("failed", "skipped")
    assert len(upstream.exchanges) == 1


def test_a_short_refusal_is_retried_and_goes_unnoticed(redis: RedisProcess, upstream: Recorder) -> None:
    with patient_client(redis, upstream, upstream_retries=2) as client:
        client.add_context()
        session = client.start()["session"]
        upstream.script.append(refuse(529, "overloaded_error", retry_after_ms="10"))
        upstream.script.append(refuse(429, "rate_limit_error", retry_after_ms="10"))
        assert client.ask(session, "Patience?")[-1].name == "verdict"
        assert len(upstream.exchanges) == 3
        assert len({exchange.body for exchange in upstream.exchanges}) == 1


def test_a_large_body_is_sent_in_pieces_with_its_length_as_often_as_it_takes(
    redis: RedisProcess, upstream: Recorder
) -> None:
    with patient_client(redis, upstream, upstream_retries=2) as client:
        client.add_context(documents=[{"title": "a.txt", "text": "Much — " * 270_000}])
        upstream.script += [refuse(529, "overloaded_error", retry_after_ms="10"), break_off_at_once]
        assert client.ask(client.start()["session"], "Again?")[-1].name == "verdict"
        bodies = {exchange.body for exchange in upstream.exchanges}
        assert (len(upstream.exchanges), len(bodies)) == (3, 1)
        (body,) = bodies
        assert json.loads(body)["stream"] and len(body) > 2_400_000
        assert all(exchange.headers["content-length"] == str(len(body)) for exchange in upstream.exchanges)
        assert not any("transfer-encoding" in exchange.headers for exchange in upstream.exchanges)


@pytest.mark.parametrize(
    "wait",
    [
        {"retry_after": "3600"},
        {"retry_after": "9"},
        {"retry_after": "Wed, 21 Oct 2099 07:28:00 GMT"},
        {"retry_after": "nonsense"},
        {"retry_after": "\xb2"},
        {"retry_after_ms": "3600000"},
        {"retry_after": "1", "retry_after_ms": "3600000"},
        {"retry_after": "inf"},
    ],
    ids=str,
)
def test_nobody_sits_through_a_long_retry_after(redis: RedisProcess, upstream: Recorder, wait: dict[str, str]) -> None:
    upstream.default = refuse(429, "rate_limit_error", **wait)
    with patient_client(redis, upstream, upstream_retries=2) as client:
        client.add_context()
        started = time.monotonic()
        last = client.ask(client.start()["session"], "Now?")[-1]
        assert (last.data["code"], last.data["retryable"]) == ("upstream_rate_limited", True)
        assert time.monotonic() - started < 8


def assert_is_problem(problem: dict[str, Any]) -> None:
    for name, kind in {"type": str, "title": str, "status": int, "detail": str, "code": str, "retryable": bool}.items():
        assert isinstance(problem[name], kind), name


def test_an_upstream_that_accepts_and_then_says_nothing_is_given_up_on(redis: RedisProcess, upstream: Recorder) -> None:
    upstream.default = held
    with patient_client(redis, upstream, upstream_timeout_s=0.3) as client:
        client.add_context()
        session = client.start()["session"]
        assert client.warm(session, wait=True)["reason"] == "upstream_timeout"
        last = client.ask(session, "Hello?")[-1]
        assert (last.data["code"], last.data["retryable"]) == ("upstream_timeout", True)


def test_an_upstream_that_falls_silent_mid_answer_is_given_up_on(redis: RedisProcess, upstream: Recorder) -> None:
    async def fall_silent(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.event(message_start())
        await exchange.pause()

    upstream.default = fall_silent
    with patient_client(redis, upstream, upstream_timeout_s=0.3) as client:
        client.add_context()
        last = client.ask(client.start()["session"], "Hello?")[-1]
        assert (last.name, last.data["code"]) == ("error", "upstream_timeout")
        assert upstream.exchanges[0].hung_up.wait(30)


def test_an_upstream_that_is_not_there_is_said_to_be_unreachable(redis: RedisProcess) -> None:
    with serving(redis.url, "http://127.0.0.1:1") as url, httpx2.Client(base_url=url, timeout=30) as http:
        client = Client(http)
        client.add_context()
        session = client.start()["session"]
        assert client.warm(session, wait=True)["reason"] == "upstream_unreachable"
        last = client.ask(session, "Hello?")[-1]
        assert (last.data["code"], last.data["retryable"]) == ("upstream_unreachable", True)


def echo_the_key(respond: Callable[[Exchange, str], Awaitable[None]]) -> Respond:
    async def echo(exchange: Exchange) -> None:
        sent = exchange.headers.get("authorization", "") + exchange.headers.get("x-api-key", "")
        assert KEY in sent
        await respond(exchange, f"this key is wrong: {sent} … {KEY}.")

    return echo


async def _echo_in_json(exchange: Exchange, said: str) -> None:
    await refuse(401, "authentication_error", said)(exchange)


async def _echo_in_html(exchange: Exchange, said: str) -> None:
    await exchange.send(500, f"<html>{said}</html>".encode(), "text/html")


async def _echo_in_content_type(exchange: Exchange, said: str) -> None:
    await exchange.send(200, said.encode(), "text/" + KEY)


async def _echo_in_error_event(exchange: Exchange, said: str) -> None:
    await exchange.start_stream()
    await exchange.event(message_start())
    await exchange.event({"type": "error", "error": {"type": "authentication_error", "message": said}})
    await exchange.end_stream()


@pytest.mark.parametrize(
    "respond",
    [_echo_in_json, _echo_in_html, _echo_in_content_type, _echo_in_error_event],
    ids=lambda echo: echo.__name__,
)
def test_the_key_appears_nowhere_even_if_the_upstream_repeats_it(
    redis: RedisProcess,
    client: Client,
    upstream: Recorder,
    caplog: pytest.LogCaptureFixture,
    respond: Callable[[Exchange, str], Awaitable[None]],
) -> None:
    caplog.set_level("DEBUG", "headstart")
    client.add_context()
    session = client.start()["session"]
    upstream.default = echo_the_key(respond)
    shown = [json.dumps(client.warm(session, wait=True))]
    last = client.ask(session, "Which key?")[-1]
    assert last.name == "error"
    shown += [json.dumps(last.data), json.dumps(client.session(session)), client.http.get("/api/stats").text]
    assert not [text for text in shown if KEY in text]
    assert KEY not in caplog.text
    assert KEY not in redis.dump()


def test_a_hundred_faults_later_no_turn_hangs_and_the_books_agree(client: Client, upstream: Recorder) -> None:
    client.add_context()
    session = client.start()["session"]
    faults: list[Any] = [parameters.values for parameters in (*REFUSALS, *BROKEN_STREAMS)]
    for respond, code, _ in faults:
        upstream.script.append(respond)
        assert client.ask(session, "Again?")[-1].data["code"] == code
    totals = client.http.get("/api/stats").json()["totals"]
    assert (totals["ask_calls"], totals["ask_failed"]) == (len(faults), len(faults))
    turns = client.session(session)["turns"]
    assert {turn["state"] for turn in turns} == {"failed"}
    assert [turn["number"] for turn in turns] == list(range(1, len(faults) + 1))
