"""An upstream that fails in every way there is: what the warm says, how the turn ends, and that the session goes on."""

import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from tests.client import Client
from tests.recorder import (
    END,
    Exchange,
    Recorder,
    Respond,
    answer,
    held,
    message_start,
    refuse,
    sse,
    text_events,
    usage,
    whole_answer,
)
from tests.running import RedisProcess, serving

KEY = "sk-test-key"


@pytest.fixture
def server(redis: RedisProcess, upstream: Recorder) -> Iterator[str]:
    """Headstart's URL; a turn has one attempt. What more of them do is in test_attempts.py."""
    with serving(redis.url, upstream.url, turn_attempts=1) as url:
        yield url


async def break_off_at_once(exchange: Exchange) -> None:
    exchange.cut()


async def break_off_before_the_first_event(exchange: Exchange) -> None:
    await exchange.start_stream()
    exchange.cut()


async def break_off_mid_event(exchange: Exchange) -> None:
    await exchange.start_stream()
    await exchange.event(message_start())
    await exchange.chunk(b'event: content_block_start\ndata: {"type":"content_bl')
    exchange.cut()


async def break_off_mid_answer(exchange: Exchange) -> None:
    await exchange.start_stream()
    for data in whole_answer("Never finished")[:3]:
        await exchange.event(data)
    exchange.cut()


async def end_without_message_stop(exchange: Exchange) -> None:
    await exchange.start_stream()
    for data in whole_answer("Never finished")[:-1]:
        await exchange.event(data)
    await exchange.end_stream()


async def answer_html(exchange: Exchange) -> None:
    await exchange.send(200, b"<html><body>Welcome to the proxy</body></html>", "text/html")


async def fail_in_html(exchange: Exchange) -> None:
    await exchange.send(502, b"<html><body><h1>Bad gateway</h1></body></html>", "text/html")


async def answer_in_one_json(exchange: Exchange) -> None:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    await exchange.send_json(200, message | {"usage": usage()} if not exchange.is_warm else message)


async def send_malformed_data(exchange: Exchange) -> None:
    await exchange.start_stream()
    await exchange.event(message_start())
    await exchange.chunk(b"event: content_block_delta\ndata: {not json}\n\n")
    await exchange.end_stream()


async def send_data_that_is_no_object(exchange: Exchange) -> None:
    await exchange.start_stream()
    await exchange.event(message_start())
    await exchange.chunk(b"event: content_block_delta\ndata: [1]\n\n")
    await exchange.end_stream()


async def send_a_delta_for_no_block(exchange: Exchange) -> None:
    await exchange.start_stream()
    await exchange.event(message_start())
    await exchange.event(text_events("x", index=3)[1])
    await exchange.end_stream()


async def send_an_empty_message_start(exchange: Exchange) -> None:
    await exchange.start_stream()
    await exchange.event({"type": "message_start"})
    await exchange.end_stream()


def say_error(kind: str, after: int = 3) -> Respond:
    async def respond(exchange: Exchange) -> None:
        await exchange.start_stream()
        for data in whole_answer("Almost there")[:after]:
            await exchange.event(data)
        await exchange.event({"type": "error", "error": {"type": kind, "message": "Sorry"}})
        await exchange.end_stream()

    return respond


REFUSALS = [
    pytest.param(refuse(401, "authentication_error"), "upstream_auth", False, id="401"),
    pytest.param(refuse(403, "permission_error"), "upstream_auth", False, id="403"),
    pytest.param(refuse(402, "billing_error"), "upstream_refused", False, id="402"),
    pytest.param(refuse(400, "invalid_request_error"), "upstream_invalid", False, id="400"),
    pytest.param(refuse(404, "not_found_error"), "upstream_invalid", False, id="404"),
    pytest.param(refuse(413, "request_too_large"), "upstream_invalid", False, id="413"),
    pytest.param(refuse(429, "rate_limit_error"), "upstream_rate_limited", True, id="429"),
    pytest.param(refuse(500, "api_error"), "upstream_failed", True, id="500"),
    pytest.param(refuse(503, "overloaded_error"), "upstream_overloaded", True, id="503"),
    pytest.param(refuse(504, "timeout_error"), "upstream_failed", True, id="504"),
    pytest.param(refuse(529, "overloaded_error"), "upstream_overloaded", True, id="529"),
    pytest.param(refuse(400, "BadRequestError"), "upstream_invalid", False, id="400 of another server"),
    pytest.param(refuse(401, "Unauthorized"), "upstream_auth", False, id="401 of another server"),
    pytest.param(refuse(429, "too_many"), "upstream_rate_limited", True, id="429 of another server"),
    pytest.param(fail_in_html, "upstream_failed", True, id="502 in HTML"),
    pytest.param(break_off_at_once, "upstream_unreachable", True, id="breaks off before an answer"),
    pytest.param(answer_html, "upstream_garbled", True, id="HTML"),
    pytest.param(answer_in_one_json, "upstream_garbled", True, id="not what was asked for"),
]
BROKEN_STREAMS = [
    pytest.param(break_off_before_the_first_event, "upstream_unreachable", True, id="before the first event"),
    pytest.param(break_off_mid_event, "upstream_unreachable", True, id="mid-event"),
    pytest.param(break_off_mid_answer, "upstream_unreachable", True, id="mid-answer"),
    pytest.param(end_without_message_stop, "upstream_unreachable", True, id="no message_stop"),
    pytest.param(send_malformed_data, "upstream_garbled", True, id="malformed data"),
    pytest.param(send_data_that_is_no_object, "upstream_garbled", True, id="data is no object"),
    pytest.param(send_a_delta_for_no_block, "upstream_garbled", True, id="a delta for no block"),
    pytest.param(send_an_empty_message_start, "upstream_garbled", True, id="an empty message_start"),
    pytest.param(say_error("overloaded_error"), "upstream_overloaded", True, id="overloaded mid-stream"),
    pytest.param(say_error("api_error"), "upstream_failed", True, id="failed mid-stream"),
    pytest.param(say_error("rate_limit_error", after=0), "upstream_rate_limited", True, id="limited from the start"),
    pytest.param(say_error("invalid_request_error"), "upstream_invalid", False, id="refused mid-stream"),
    pytest.param(say_error("something_new"), "upstream_failed", True, id="an unknown error mid-stream"),
]


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


@contextmanager
def patient_client(redis: RedisProcess, upstream: Recorder, **settings: Any) -> Iterator[Client]:
    with serving(redis.url, upstream.url, **settings) as url, httpx2.Client(base_url=url, timeout=30) as http:
        yield Client(http)


def test_a_short_refusal_is_retried_and_goes_unnoticed(redis: RedisProcess, upstream: Recorder) -> None:
    with patient_client(redis, upstream, upstream_retries=2) as client:
        client.add_context()
        session = client.start()["session"]
        upstream.script.append(refuse(529, "overloaded_error", retry_after_ms="10"))
        upstream.script.append(refuse(429, "rate_limit_error", retry_after_ms="10"))
        assert client.ask(session, "Patience?")[-1].name == "verdict"
        assert len(upstream.exchanges) == 3
        assert len({exchange.body for exchange in upstream.exchanges}) == 1


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
        assert time.monotonic() - started < 5


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
        assert upstream.exchanges[0].hung_up.wait(5)


def test_an_upstream_that_is_not_there_is_said_to_be_unreachable(redis: RedisProcess) -> None:
    with serving(redis.url, "http://127.0.0.1:1") as url, httpx2.Client(base_url=url, timeout=30) as http:
        client = Client(http)
        client.add_context()
        session = client.start()["session"]
        assert client.warm(session, wait=True)["reason"] == "upstream_unreachable"
        last = client.ask(session, "Hello?")[-1]
        assert (last.data["code"], last.data["retryable"]) == ("upstream_unreachable", True)


def test_an_upstream_that_sends_one_byte_at_a_time_is_understood(client: Client, upstream: Recorder) -> None:
    sent = whole_answer("Slowly, ünï 🎉")

    async def respond(exchange: Exchange) -> None:
        await exchange.start_stream()
        for byte in b"".join(map(sse, sent)):
            await exchange.chunk(bytes([byte]))
        await exchange.end_stream()

    upstream.script.append(respond)
    client.add_context()
    got = client.ask(client.start()["session"], "Slowly?")
    assert [event.data for event in got[1:-1]] == sent


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r", b"\n"], ids=["crlf", "cr", "lf"])
def test_every_line_end_that_the_specification_allows_is_understood(
    client: Client, upstream: Recorder, line_end: bytes
) -> None:
    async def respond(exchange: Exchange) -> None:
        await exchange.start_stream()
        for data in whole_answer("Fine"):
            await exchange.chunk(sse(data).replace(b"\n", line_end))
        await exchange.end_stream()

    upstream.script.append(respond)
    client.add_context()
    session = client.start()["session"]
    assert client.ask(session, "Lines?")[-1].name == "verdict"
    assert client.session(session)["turns"][0]["answer"] == "Fine"


def test_what_is_unknown_in_a_stream_passes_through(client: Client, upstream: Recorder) -> None:
    start, delta, *rest = text_events("Known", pieces=1)
    sent = [
        message_start(),
        {"type": "weather_report", "sky": "clear"},
        start,
        {"type": "content_block_delta", "index": 0, "delta": {"type": "perfume_delta", "smell": "roses"}},
        {"type": "content_block_delta", "index": 7, "delta": {"type": "perfume_delta", "smell": "none"}},
        delta,
        *rest,
        *END,
    ]

    async def respond(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.chunk(b": a comment\n\nretry: 100\n\n")
        for data in sent:
            await exchange.event(data)
        await exchange.end_stream()

    upstream.script.append(respond)
    client.add_context()
    session = client.start()["session"]
    got = client.ask(session, "What is this?")
    assert [event.data for event in got[1:-1]] == sent
    assert got[-1].name == "verdict"
    assert client.session(session)["turns"][0]["answer"] == "Known"


def refuse_zero(kind: str = "invalid_request_error", message: str = "max_tokens: must be at least 1") -> Respond:
    async def respond(exchange: Exchange) -> None:
        if exchange.json["max_tokens"] == 0:
            await refuse(400, kind, message)(exchange)
        else:
            await answer(exchange)

    return respond


@pytest.mark.parametrize("kind", ["invalid_request_error", "BadRequestError"])
def test_an_upstream_that_refuses_max_tokens_0_is_warmed_with_1_and_every_process_learns_it(
    redis: RedisProcess, upstream: Recorder, kind: str
) -> None:
    upstream.default = refuse_zero(kind)
    with patient_client(redis, upstream) as client:
        client.add_context()
        assert client.warm(client.start()["session"], wait=True)["state"] == "warm"
        assert [exchange.json["max_tokens"] for exchange in upstream.warms] == [0, 1]
        totals = client.http.get("/api/stats").json()["totals"]
        assert (totals["warm_calls"], totals["warm_failed"]) == (2, 1)
        client.add_context("other", instructions="Something else.")
        assert client.warm(client.start("other")["session"], wait=True)["state"] == "warm"
    with patient_client(redis, upstream) as client:
        client.add_context("third", instructions="Something else again.")
        assert client.warm(client.start("third")["session"], wait=True)["state"] == "warm"
    assert [exchange.json["max_tokens"] for exchange in upstream.warms] == [0, 1, 1, 1]
    zero, one = upstream.warms[:2]
    assert zero.body.replace(b'"max_tokens":0', b'"max_tokens":1') == one.body


def test_an_upstream_that_refuses_1_too_is_asked_no_further(client: Client, upstream: Recorder) -> None:
    upstream.default = refuse(400, "invalid_request_error", "max_tokens: not today")
    client.add_context()
    assert client.warm(client.start()["session"], wait=True)["reason"] == "upstream_invalid"
    assert [exchange.json["max_tokens"] for exchange in upstream.warms] == [0, 1]


def test_an_upstream_that_reports_no_usage_is_warm_without_numbers(client: Client, upstream: Recorder) -> None:
    async def respond(exchange: Exchange) -> None:
        if exchange.is_warm:
            message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": []}
            await exchange.send_json(200, message | {"usage": {"input_tokens": 7, "output_tokens": 0}})
            return
        await exchange.start_stream()
        start = message_start()
        del start["message"]["usage"]
        end = [{key: value for key, value in data.items() if key != "usage"} for data in END]
        for data in (start, *text_events("Fine"), *end):
            await exchange.event(data)
        await exchange.end_stream()

    upstream.default = respond
    client.add_context()
    session = client.start()["session"]
    warm = client.warm(session, wait=True)
    assert (warm["state"], warm["reason"]) == ("warm", "upstream_reports_no_usage")
    assert (warm["tokens_read"], warm["tokens_written"]) == (None, None)
    verdict = client.ask(session, "How much?")[-1].data
    assert (verdict["cache"], verdict["reason"]) == ("uncacheable", "upstream_reports_no_usage")


def test_what_is_too_short_to_be_cached_is_skipped_and_not_tried_again(client: Client, upstream: Recorder) -> None:
    async def respond(exchange: Exchange) -> None:
        counted = usage(read=0, written=0, uncached=40)
        if exchange.is_warm:
            message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": []}
            await exchange.send_json(200, message | {"usage": counted})
            return
        await exchange.start_stream()
        for data in (message_start(1, counted), *text_events("Fine"), *END):
            await exchange.event(data)
        await exchange.end_stream()

    upstream.default = respond
    client.add_context()
    session = client.start()["session"]
    warm = client.warm(session, wait=True)
    assert (warm["state"], warm["reason"]) == ("skipped", "below_minimum")
    assert client.warm(session, wait=True)["state"] == "skipped"
    assert len(upstream.exchanges) == 1
    verdict = client.ask(session, "How short?")[-1].data
    assert (verdict["cache"], verdict["reason"]) == ("uncacheable", "below_minimum")


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
