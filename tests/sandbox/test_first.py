"""The main job: warm, then ask, through the official SDK."""

import anthropic
import pytest

from tests.sandbox.prompts import user

DOCUMENT = {
    "type": "document",
    "title": "colours.txt",
    "source": {"type": "text", "media_type": "text/plain", "data": "The grass is green.\n" * 400},
    "cache_control": {"type": "ephemeral"},
}


def test_what_a_warm_wrote_is_read_by_the_ask(client: anthropic.Anthropic) -> None:
    warm = client.messages.create(model="claude-sonnet-5-5", max_tokens=0, messages=[user(DOCUMENT, "warmup")])
    assert (warm.content, warm.stop_reason, warm.usage.output_tokens) == ([], "max_tokens", 0)
    assert (warm.usage.cache_creation_input_tokens or 0) > 1024
    with client.messages.stream(
        model="claude-sonnet-5-5", max_tokens=400, messages=[user(DOCUMENT, "What colour is grass?")]
    ) as stream:
        answer = "".join(stream.text_stream)
        usage = stream.get_final_message().usage
    assert "colours.txt" in answer
    assert usage.cache_read_input_tokens == warm.usage.cache_creation_input_tokens


def test_an_unknown_model_is_not_found(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="claude-nothing", max_tokens=1, messages=[user("hi")])
