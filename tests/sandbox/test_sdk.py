"""The official SDK against the socket: sync and async, helpers, typed errors, raw events, retries."""

import anthropic
import httpx2
import pytest
from anthropic.types import MessageStartEvent

from app.sandbox.testing import SandboxServer
from tests.sandbox.prompts import document, user

MODEL = "claude-sonnet-5-5"
GRASS = document("colours.txt", "The grass is green.\n" * 600, {"type": "ephemeral"})


def test_create_and_count_tokens(client: anthropic.Anthropic) -> None:
    message = client.messages.create(model=MODEL, max_tokens=600, messages=[user(GRASS, "What colour is grass?")])
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.stop_reason == "end_turn"
    assert message._request_id is not None
    counted = client.messages.count_tokens(model=MODEL, messages=[user(GRASS, "What colour is grass?")])
    assert counted.input_tokens == message.usage.input_tokens + (message.usage.cache_creation_input_tokens or 0)


def test_the_streaming_helper_assembles_the_same_message_as_create(client: anthropic.Anthropic) -> None:
    messages = [user(GRASS, "What colour is grass?")]
    whole = client.messages.create(model=MODEL, max_tokens=300, messages=messages)
    with client.messages.stream(model=MODEL, max_tokens=300, messages=messages) as stream:
        text = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    assert streamed.content[0].model_dump() == whole.content[0].model_dump()
    assert [block.text for block in whole.content if block.type == "text"] == [text]
    assert streamed.usage.output_tokens == whole.usage.output_tokens


async def test_the_async_client_streams_raw_events(sandbox: SandboxServer) -> None:
    async with sandbox.async_client() as client:
        events = await client.messages.create(
            model=MODEL, max_tokens=300, messages=[user(GRASS, "grass?")], stream=True
        )
        seen = [event async for event in events]
    assert isinstance(seen[0], MessageStartEvent)
    assert (seen[0].message.usage.cache_creation_input_tokens or 0) > 1024
    assert [event.type for event in seen][-2:] == ["message_delta", "message_stop"]


async def test_a_turn_goes_back_verbatim(sandbox: SandboxServer) -> None:
    async with sandbox.async_client() as client:
        question = user(GRASS, "What colour is grass?")
        async with client.messages.stream(model=MODEL, max_tokens=300, messages=[question]) as stream:
            first = await stream.get_final_message()
        history = [question, first.to_param(), user("And now?")]
        second = await client.messages.create(model=MODEL, max_tokens=300, messages=history)
    assert second.usage.cache_read_input_tokens == first.usage.cache_creation_input_tokens


def test_the_beta_client_is_served_too(client: anthropic.Anthropic) -> None:
    message = client.beta.messages.create(model=MODEL, max_tokens=60, messages=[user("hi")])
    assert message.stop_reason == "max_tokens"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"model": "claude-nothing"}, anthropic.NotFoundError),
        ({"max_tokens": 10**9}, anthropic.BadRequestError),
        ({"messages": []}, anthropic.BadRequestError),
    ],
)
def test_errors_are_typed(client: anthropic.Anthropic, change: dict[str, object], error: type[Exception]) -> None:
    body = {"model": MODEL, "max_tokens": 5, "messages": [user("hi")], **change}
    with pytest.raises(error):
        client.post("/v1/messages", body=body, cast_to=httpx2.Response)


def test_ones_own_bytes_go_through_the_sdk_and_come_back_untouched(client: anthropic.Anthropic) -> None:
    raw = b'{"model":"claude-sonnet-5-5","max_tokens":60,"stream":true,"messages":[{"role":"user","content":"hi"}]}'
    with client.messages.with_streaming_response.create(
        model=MODEL, max_tokens=60, messages=[user("hi")], stream=True
    ) as answer:
        by_sdk = [line for line in answer.iter_lines() if line.startswith("event: ")]
    headers = {"content-type": "application/json"}
    response = client.post("/v1/messages", content=raw, cast_to=httpx2.Response, options={"headers": headers})
    assert [line for line in response.text.splitlines() if line.startswith("event: ")] == by_sdk
