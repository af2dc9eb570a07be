"""The ways in which an upstream fails, each with the code that it comes to and whether trying again may help."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from tests.client import Client
from tests.recorder import Exchange, Recorder, Respond, message_start, refuse, text_events, usage, whole_answer
from tests.running import RedisProcess, serving


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


@contextmanager
def patient_client(redis: RedisProcess, upstream: Recorder, **settings: Any) -> Iterator[Client]:
    with serving(redis.url, upstream.url, **settings) as url, httpx2.Client(base_url=url, timeout=30) as http:
        yield Client(http)
