"""Conversations over next to nothing: what is sure to be too short to be cached is not warmed turn after turn."""

from typing import Any

import pytest

from tests.client import Client
from tests.recorder import END, Exchange, Recorder, answer, message_start, text_events, usage


class Short:
    """An upstream that caches nothing below 512 tokens, of four bytes each."""

    async def __call__(self, exchange: Exchange) -> None:
        tokens = len(exchange.body) // 4
        counted = usage(read=0, written=0, uncached=tokens) if tokens < 512 else usage(read=0, written=tokens)
        if exchange.is_warm:
            message = {"id": f"msg_{exchange.number}", "type": "message", "role": "assistant", "model": "m"}
            await exchange.send_json(200, message | {"content": [], "stop_reason": "max_tokens", "usage": counted})
            return
        await exchange.start_stream()
        for data in (message_start(exchange.number, counted), *text_events("Yes."), *END):
            await exchange.event(data)
        await exchange.end_stream()


def conversation(client: Client, turns: int, **fields: Any) -> list[tuple[str, str | None]]:
    """What each turn's focus was told."""
    client.add_context(documents=[{"title": "a", "text": "Alpha. "}], **fields)
    session = client.start()["session"]
    told = []
    for _ in range(turns):
        warm = client.warm(session, trigger="focus", wait=True)
        told.append((warm["state"], warm["reason"]))
        assert client.ask(session, "Really?")[-1].name == "verdict"
    return told


def skips(client: Client) -> Any:
    return client.http.get("/api/stats").json()["totals"]["skips"]


def test_what_follows_a_short_prefix_is_not_warmed_while_it_is_sure_to_be_short(
    client: Client, upstream: Recorder
) -> None:
    upstream.default = Short()
    told = conversation(client, 3)
    assert told == [("skipped", "below_minimum")] * 3
    assert (len(upstream.warms), skips(client)) == (1, {"below_minimum": 2})


def test_it_is_warmed_once_it_may_be_long_enough(client: Client, upstream: Recorder) -> None:
    upstream.default = Short()
    client.add_context(documents=[{"title": "a", "text": "Alpha. "}])
    session = client.start()["session"]
    assert client.warm(session, wait=True)["state"] == "skipped"
    client.ask(session, "Why? " * 400)
    assert (client.warm(session, wait=True)["state"], len(upstream.warms)) == ("warm", 2)


@pytest.mark.parametrize("model", ["a-model-of-your-own"])
def test_where_the_minimum_is_unknown_every_turn_is_tried(client: Client, upstream: Recorder, model: str) -> None:
    upstream.default = Short()
    assert conversation(client, 3, model=model) == [("skipped", "below_minimum")] * 3
    assert len(upstream.warms) == 3


def test_what_cannot_be_cached_does_not_lower_the_hit_rate(client: Client, upstream: Recorder) -> None:
    upstream.default = Short()
    conversation(client, 3)
    totals = client.http.get("/api/stats").json()["totals"]
    assert (totals["turns"], totals["turns_uncacheable"], totals["hit_rate"]) == (3, 3, None)
    assert "0 of 0 questions, 3 not cacheable" in client.http.get("/dashboard").text
    upstream.default = answer
    client.add_context("longer")
    session = client.start("longer")["session"]
    client.warm(session, wait=True)
    assert client.ask(session, "Hit?")[-1].data["cache"] == "hit"
    assert client.http.get("/api/stats").json()["totals"]["hit_rate"] == 1.0
