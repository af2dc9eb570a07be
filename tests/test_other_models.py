"""A fork with another model: it is told the same, over a prefix of its own, and who answered what stays known."""

import asyncio
from typing import Any

import pytest

from app.explaining import explain
from tests.client import Client
from tests.recorder import Exchange, Recorder, message_start, whole_answer
from tests.running import RedisProcess
from tests.test_finding import asked, ids, ways

pytestmark = pytest.mark.usefixtures("own_models")

FIRST, OTHER = "claude-sonnet-5-5", "claude-haiku-5-5"


async def thoughtful(exchange: Exchange) -> None:
    """An answer after a thought."""
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}
    deltas = ({"type": "thinking_delta", "thinking": "Hm."}, {"type": "signature_delta", "signature": "c2ln"})
    await exchange.start_stream()
    await exchange.event(message_start(exchange.number))
    await exchange.event(start)
    for delta in deltas:
        await exchange.event({"type": "content_block_delta", "index": 0, "delta": delta})
    await exchange.event({"type": "content_block_stop", "index": 0})
    for event in whole_answer("Thought through."):
        if event["type"] != "message_start":
            await exchange.event(event | ({"index": 1} if "index" in event else {}))
    await exchange.end_stream()


def forked(client: Client, session: str, after_turn: int, **fields: Any) -> dict[str, Any]:
    answer = client.http.post(f"/api/sessions/{session}/fork", json={"after_turn": after_turn, **fields})
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def said(body: dict[str, Any]) -> list[list[str]]:
    """What each message of a request tells the model in words."""
    return [[block["text"] for block in message["content"] if block["type"] == "text"] for message in body["messages"]]


def test_another_model_is_told_the_same_but_what_was_thought(client: Client, upstream: Recorder) -> None:
    client.add_context(model=FIRST)
    upstream.script.append(thoughtful)
    session = asked(client, "One?", "Two?")
    branch = forked(client, session, 2, model=OTHER)
    assert branch["model"] == OTHER
    assert client.warm(branch["session"], wait=True)["state"] == "warm"
    asked(client, "Three?", session=branch["session"])
    asked(client, "Three?", session=session)
    other, own = (ask.json for ask in upstream.asks[-2:])
    assert (other["model"], own["model"]) == (OTHER, FIRST)
    assert "thinking" in str(own["messages"])
    assert "thinking" not in str(other["messages"])
    assert said(other) == said(own)
    assert said(other)[1] == ["Thought through."]
    # What was warmed is what the question needed.
    warm, ask = upstream.warms[-1].body, upstream.asks[-2].body
    shared = next(at for at, (one, two) in enumerate(zip(warm, ask, strict=False)) if one != two)
    assert shared >= branch["prefix"]["bytes"]


def test_it_is_a_branch_and_each_answer_says_whose_it_is(client: Client, redis: RedisProcess) -> None:
    client.add_context(model=FIRST)
    session = asked(client, "One?", "Two?")
    branch = asked(client, "Two?", session=forked(client, session, 1, model=OTHER)["session"])
    assert ids(client) == [branch, session]
    assert ways(client, branch) == [[branch], [session, branch]]
    assert ways(client, session) == [[session], [session, branch]]
    further = asked(client, "Three?", session=forked(client, branch, 2, model=FIRST)["session"])
    said = [line for line in asyncio.run(explain(redis.url, branch)) if line.startswith("turn ")]
    assert [f", of {FIRST}:" in line for line in said] == [True, False]
    copy = forked(client, further, 3, isolation="session")["session"]
    for one in (further, copy):
        assert [turn["model"] for turn in client.session(one)["turns"]] == [FIRST, OTHER, FIRST]
    text = client.http.get(f"/api/sessions/{further}/export").text
    assert [(f"of {OTHER}" in part, f"of {FIRST}" in part) for part in text.split("## ")[1:]] == [
        (False, False),
        (True, False),
        (False, False),
    ]


def test_the_same_model_shares_the_cache(client: Client) -> None:
    client.add_context(model=FIRST)
    session = asked(client, "One?")
    assert forked(client, session, 1, model=FIRST)["prefix"] == client.session(session)["prefix"]
    assert forked(client, session, 0, model=OTHER)["prefix"] == client.start(model=OTHER)["prefix"]


@pytest.mark.parametrize(
    ("model", "why"),
    [("claude-haiku-4-5", "effort"), ("no\nname", "control"), ("", "character")],
)
def test_one_that_cannot_be_asked_is_refused_and_nothing_is_made(client: Client, model: str, why: str) -> None:
    client.add_context(model=FIRST, effort="high")
    session = asked(client, "One?")
    answer = client.http.post(f"/api/sessions/{session}/fork", json={"after_turn": 1, "model": model})
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert (error["field"], why in error["message"]) == ("model", True), error
    assert ids(client) == [session]
    assert ways(client, session) == [[session]]
