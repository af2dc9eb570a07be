"""Upstreams that do some of it differently, and are understood all the same."""

import pytest

from tests.client import Client
from tests.faults import patient_client
from tests.recorder import (
    END,
    Exchange,
    Recorder,
    Respond,
    answer,
    message_start,
    refuse,
    sse,
    text_events,
    usage,
    whole_answer,
)
from tests.running import RedisProcess


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
