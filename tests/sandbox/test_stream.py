"""Streams: platform docs, streaming messages ("Event types", "Content block delta types"), thinking ("Streaming
thinking") and citations. And what the sandbox promises of its own: the same bytes for the same seed."""

import json
from collections.abc import Callable
from html import escape
from typing import Any

import pytest

from app.rendering.answer import blocks_of
from app.sandbox.testing import SandboxServer
from tests.sandbox.prompts import MARK, document, text, tool, user

GRASS = "The grass is green.\nThe sky is blue — très bleu.\n" * 40
ASK: dict[str, Any] = {
    "model": "claude-sonnet-5",
    "max_tokens": 600,
    "messages": [user(document("colours.txt", GRASS), "What colour is the grass?")],
}
Event = dict[str, Any]


def streamed(sandbox: SandboxServer, body: dict[str, Any]) -> list[Event]:
    raw = sandbox.post({**body, "stream": True}).text
    events = []
    for frame in raw.split("\n\n")[:-1]:
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}", "each event uses an SSE event name that matches its type"
        events.append(event)
    return events


def assembled(events: list[Event]) -> dict[str, Any]:
    """The message as a client puts it together, checking the order of events on the way."""
    events = [event for event in events if event["type"] != "ping"]
    message = dict(events[0]["message"])
    assert (events[0]["type"], message["content"], message["stop_reason"]) == ("message_start", [], None)
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
    content: list[dict[str, Any]] = []
    is_open = False
    for event in events[1:-2]:
        kind = event["type"]
        assert event["index"] == len(content) - (kind != "content_block_start")
        if kind == "content_block_start":
            assert not is_open
            content.append({**event["content_block"], "json": ""})
        elif kind == "content_block_delta":
            assert is_open
            _apply(content[-1], event["delta"])
        is_open = kind != "content_block_stop"
    for block in content:
        given = block.pop("json")
        if given:
            block["input"] = json.loads(given)
    delta = events[-2]
    return {**message, **delta["delta"], "usage": {**message["usage"], **delta["usage"]}, "content": content}


def _apply(block: dict[str, Any], delta: dict[str, Any]) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "citations_delta":
            block["citations"].append(delta["citation"])
        case "input_json_delta":
            block["json"] += delta["partial_json"]
        case other:
            raise AssertionError(other)


CITED = {**ASK, "messages": [user(document("colours.txt", GRASS, cited=True), "What colour is the grass?")]}
FORCED = {**ASK, "tools": [{**tool("look"), "input_schema": {
    "type": "object", "required": ["place", "depth"],
    "properties": {"place": {"type": "string", "enum": ["here"]}, "depth": {"type": "integer"}},
}}], "tool_choice": {"type": "tool", "name": "look"}}  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [ASK, CITED, FORCED, {**ASK, "max_tokens": 5}, {**ASK, "max_tokens": 77}, {**ASK, "stop_sequences": ["nearest"]},
     {**ASK, "thinking": {"type": "adaptive", "display": "summarized"}}, {**ASK, "model": "claude-sonnet-4-5"},
     {**CITED, "max_tokens": 90}, {**CITED, "stop_sequences": ["blue"]}],
)  # fmt: skip
def test_a_stream_assembles_to_the_message_that_is_returned_whole(sandbox: SandboxServer, body: Any) -> None:
    whole = sandbox.post(body).json()
    message = assembled(streamed(sandbox, body))
    assert {**message, "id": ""} == {**whole, "id": ""}


def test_input_usage_comes_with_message_start_and_message_delta_is_cumulative(sandbox: SandboxServer) -> None:
    body = {**ASK, "messages": [user(text("context", 3000, MARK), "question")]}
    events = streamed(sandbox, body)
    start, end = events[0]["message"]["usage"], events[-2]["usage"]
    assert start["cache_creation_input_tokens"] == end["cache_creation_input_tokens"] > 3000
    assert start["input_tokens"] == end["input_tokens"] > 0
    assert start["output_tokens"] <= 2 < end["output_tokens"]
    assert 0 < end["output_tokens_details"]["thinking_tokens"] < end["output_tokens"]


def test_there_is_a_ping_after_the_first_block_start(sandbox: SandboxServer) -> None:
    assert [event["type"] for event in streamed(sandbox, ASK)][1:3] == ["content_block_start", "ping"]


def test_omitted_thinking_streams_one_empty_delta_then_one_signature(sandbox: SandboxServer) -> None:
    deltas = [e["delta"] for e in streamed(sandbox, ASK) if e["type"] == "content_block_delta" and e["index"] == 0]
    assert [delta["type"] for delta in deltas] == ["thinking_delta", "signature_delta"]
    assert deltas[0]["thinking"] == ""


def test_shown_thinking_streams_several_deltas_and_the_signature_just_before_the_stop(sandbox: SandboxServer) -> None:
    body = {**ASK, "thinking": {"type": "adaptive", "display": "summarized"}}
    first = [event for event in streamed(sandbox, body) if event.get("index") == 0]
    kinds = [event["delta"]["type"] for event in first if event["type"] == "content_block_delta"]
    assert kinds.count("thinking_delta") > 3
    assert kinds[-1] == "signature_delta"
    assert first[-1]["type"] == "content_block_stop"


def test_a_stop_sequence_ends_the_text_before_it(sandbox: SandboxServer) -> None:
    message = sandbox.post({**ASK, "stop_sequences": ["grass", "nearest"]}).json()
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "nearest")
    assert message["content"][-1]["text"] == "Sandbox answer: the passages "


@pytest.mark.parametrize("limit", [1, 39, 40, 41, 60, 100])
def test_max_tokens_ends_the_text_and_output_tokens_are_exactly_that_many(sandbox: SandboxServer, limit: int) -> None:
    for body in (ASK, CITED):
        message = sandbox.post({**body, "max_tokens": limit}).json()
        assert (message["stop_reason"], message["usage"]["output_tokens"]) == ("max_tokens", limit)


def test_a_forced_tool_is_called_with_what_its_schema_requires(sandbox: SandboxServer) -> None:
    message = sandbox.post(FORCED).json()
    assert message["stop_reason"] == "tool_use"
    assert message["content"][-1]["name"] == "look"
    assert message["content"][-1]["input"] == {"place": "here", "depth": 0}


def test_an_output_format_is_answered_with_json_that_has_what_the_schema_requires(sandbox: SandboxServer) -> None:
    schema = {"type": "object", "required": ["name", "tags"], "additionalProperties": False,
              "properties": {"name": {"type": "string"}, "tags": {"type": "array"}, "more": {"type": "null"}}}  # fmt: skip
    format = {"format": {"type": "json_schema", "schema": schema}}
    message = sandbox.post({**ASK, "output_config": format}).json()
    assert json.loads(message["content"][-1]["text"]) == {"name": "", "tags": []}


def test_plain_text_citations_carry_exact_character_ranges(sandbox: SandboxServer) -> None:
    other = document("other.txt", "Nothing of the kind.\n", cited=True)
    source = document("colours.txt", GRASS, cited=True)
    message = sandbox.post({**ASK, "messages": [user(other, source, "What colour is the grass?")]}).json()
    cited = [block for block in message["content"] if block.get("citations")]
    assert cited
    for block in cited:
        (citation,) = block["citations"]
        assert (citation["type"], citation["document_index"]) == ("char_location", 1)
        assert citation["document_title"] == "colours.txt"
        place = slice(citation["start_char_index"], citation["end_char_index"])
        assert GRASS[place] == citation["cited_text"] == block["text"]


def test_custom_content_is_cited_by_block_and_search_results_by_theirs(sandbox: SandboxServer) -> None:
    parts = [{"type": "text", "text": "The sky is blue."}, {"type": "text", "text": "The grass is green."}]
    custom = {"type": "document", "source": {"type": "content", "content": parts}, "citations": {"enabled": True}}
    result = {"type": "search_result", "source": "https://example.com", "title": "Grass", "content": parts,
              "citations": {"enabled": True}}  # fmt: skip
    message = sandbox.post({**ASK, "messages": [user(custom, result, "How green is grass?")]}).json()
    citations = [block["citations"][0] for block in message["content"] if block.get("citations")]
    kinds = {citation["type"]: citation for citation in reversed(citations)}
    block = kinds["content_block_location"]
    assert (block["document_index"], block["start_block_index"], block["end_block_index"]) == (0, 1, 2)
    search = kinds["search_result_location"]
    assert (search["search_result_index"], search["source"], search["title"]) == (0, "https://example.com", "Grass")
    assert block["cited_text"] == search["cited_text"] == "The grass is green."


def test_without_citations_enabled_there_are_none(sandbox: SandboxServer) -> None:
    assert all("citations" not in block for block in sandbox.post(ASK).json()["content"])


def test_cited_blocks_can_be_passed_back(sandbox: SandboxServer) -> None:
    content = sandbox.post(CITED).json()["content"]
    history = [*CITED["messages"], {"role": "assistant", "content": content}, user("And the sky?")]
    assert sandbox.post({**CITED, "messages": history}).status_code == 200


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(start: Callable[..., SandboxServer]) -> None:
    def bytes_of(seed: int) -> bytes:
        server = start(seed=seed)
        server.key = "one key"
        return b"".join(server.post({**body, "stream": True}).content for body in (ASK, CITED, FORCED, ASK))

    first = bytes_of(1)
    assert bytes_of(1) == first
    assert bytes_of(2) != first


def test_deltas_are_paced_by_the_profile(start: Callable[..., SandboxServer]) -> None:
    for speed in (1.0, 4.0):
        server = start(profile="cookbook", speed=speed)
        begun = server.clock.now()
        usage = server.post({**ASK, "stream": True}).text.count("text_delta")
        assert usage > 20
        (record,) = server.log()
        tokens = server.post(ASK).json()["usage"]["output_tokens"]
        assert record["ended_at"] - record["begins_at"] == pytest.approx(tokens / 51 / speed, rel=0.01)
        assert record["begins_at"] - begun > 0.5 / speed


def test_answers_quote_the_passage_that_the_question_is_about(sandbox: SandboxServer) -> None:
    lines = [f"def helper_{i}():\n    return {i}\n\n" for i in range(300)]
    lines[200] = 'def parse_timeout(text):\n    """Turn text into seconds."""\n    return float(text)\n\n'
    source = document("helpers.py", "".join(lines))
    message = sandbox.post({**ASK, "messages": [user(source, "How is a timeout parsed?")]}).json()
    assert "`helpers.py`, lines " in message["content"][-1]["text"]
    assert "def parse_timeout(text):" in message["content"][-1]["text"]


def test_what_is_one_line_is_not_called_lines(sandbox: SandboxServer) -> None:
    message = sandbox.post({**ASK, "messages": [user(document("d.md", GRASS.split("\n")[0]), "Which grass?")]}).json()
    assert "`d.md`, line 1\n" in message["content"][-1]["text"]


def test_a_question_about_nothing_in_the_documents_is_answered_honestly(sandbox: SandboxServer) -> None:
    message = sandbox.post({**ASK, "messages": [user(document("d", GRASS), "zyx?")]}).json()
    assert message["content"][-1]["text"].startswith("Sandbox answer: nothing in the given documents matches")


def test_an_answer_names_a_document_by_its_very_title_in_markdown(sandbox: SandboxServer) -> None:
    for title in ("web/__init__.py", "a*b*c.md", "tick`.md", "<b>.md"):
        message = sandbox.post({**ASK, "messages": [user(document(title, GRASS), "What about the grass?")]}).json()
        html = "".join(blocks_of(message["content"]))
        assert escape(title, quote=False) in html
