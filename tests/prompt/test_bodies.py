"""What `app.prompt` sends, for any context, any history, any question and any parameters."""

import base64
import hashlib
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.prompt.context import AnyDocument, Context, Document, Parameters
from app.prompt.prefix import LOOKBACK, append_turn
from app.prompt.render import WARMUP_MESSAGE, warm_tail
from tests.prompt.requests import begin, blocks_of, grow, lifetime, marks_of, step, steps, unmarked
from tests.prompt.sdk_types import check_request
from tests.prompt.strategies import Answer, Conversation, answers, contexts, conversations, isolations, visible

THINKING = ("thinking", "redacted_thinking")
SMALL = Context((Document("a.txt", "Alpha."),), Parameters("claude-sonnet-5-5"))

thorough = settings(max_examples=40)


def taken_back(answer: Answer) -> Answer:
    """What of an answer the API takes back: no blank text, no null citations, no files' ids, no thinking at the end."""
    kept = [block for block in answer if block["type"] != "text" or block["text"].strip()]
    while kept and kept[-1]["type"] in THINKING:
        kept.pop()
    said = [{name: value for name, value in block.items() if (name, value) != ("citations", None)} for block in kept]
    for block in said:
        if "citations" in block:
            block["citations"] = [
                {name: each[name] for name in each if name != "file_id"} for each in block["citations"]
            ]
    return said


def source_of(document: AnyDocument) -> dict[str, Any]:
    if isinstance(document, Document):
        return {"type": "text", "media_type": "text/plain", "data": document.text}
    return {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(document.content).decode()}


def messages_of(conversation: Conversation) -> list[dict[str, Any]]:
    """The messages that went in, as the API understands them."""
    cited = {"citations": {"enabled": True}} if conversation.context.parameters.citations else {}
    first: list[dict[str, Any]] = [
        {"type": "document", "source": source_of(document), "title": document.title, **cited}
        for document in conversation.context.documents
    ]
    messages = [{"role": "user", "content": first}]
    turns = [(question, taken_back(answer)) for question, answer in conversation.turns]
    for question, answer in [turn for turn in turns if turn[1]]:
        _ask(messages, question)
        messages.append({"role": "assistant", "content": answer})
    _ask(messages, conversation.question)
    return messages


def _ask(messages: list[dict[str, Any]], question: str) -> None:
    if len(messages) > 1:
        messages.append({"role": "user", "content": []})
    messages[-1]["content"].append({"type": "text", "text": question})


@thorough
@given(conversations)
def test_warm_and_ask_begin_with_the_same_prefix_at_every_turn(conversation: Conversation) -> None:
    for at in steps(conversation):
        prefix = b"".join(at.prefix.parts)
        assert at.warm.startswith(prefix)
        assert at.ask.startswith(prefix)
        assert at.prefix.size == len(prefix)
        assert at.prefix.digest == hashlib.sha256(prefix).hexdigest()


@thorough
@given(conversations)
def test_both_are_requests_as_the_sdk_types_them(conversation: Conversation) -> None:
    for at in steps(conversation):
        check_request(json.loads(at.warm))
        check_request(json.loads(at.ask))


@thorough
@given(conversations)
def test_the_question_decodes_to_exactly_what_went_in(conversation: Conversation) -> None:
    *_, last = steps(conversation)
    body = unmarked(json.loads(last.ask))
    parameters, instructions = conversation.context.parameters, conversation.context.instructions
    assert body.pop("messages") == messages_of(conversation)
    system = [] if instructions is None else [instructions]
    if conversation.isolation is not None:
        isolated = body["system"][0]["text"]
        assert conversation.isolation in isolated
        system = [isolated, *system]
    assert body.pop("system", []) == [{"type": "text", "text": text} for text in system]
    expected: dict[str, Any] = {"model": parameters.model, "max_tokens": parameters.max_tokens, "stream": True}
    if parameters.thinking is not None:
        expected["thinking"] = {"type": parameters.thinking}
    if parameters.thinking == "adaptive":
        expected["thinking"]["display"] = "summarized"
    if parameters.effort is not None:
        expected["output_config"] = {"effort": parameters.effort}
    if conversation.diagnostics is not None:
        expected["diagnostics"] = conversation.diagnostics
    assert body == expected


@thorough
@given(conversations)
def test_a_warm_is_the_question_with_a_placeholder_in_its_place(conversation: Conversation) -> None:
    for at in steps(conversation):
        warm, ask = json.loads(at.warm), json.loads(at.ask)
        assert (warm.pop("max_tokens"), warm.pop("stream", False)) == (0, False)
        assert ask.pop("stream") is True
        del ask["max_tokens"]
        ask.pop("diagnostics", None)
        asked = ask["messages"][-1]["content"].pop()
        assert asked == {"type": "text", "text": at.question}
        if not at.prefix.first:
            assert warm["messages"].pop() == {"role": "user", "content": "warmup"}
            assert ask["messages"].pop() == {"role": "user", "content": []}
        assert warm == ask


@thorough
@given(conversations)
def test_breakpoints_are_few_and_only_where_they_may_be(conversation: Conversation) -> None:
    for at in steps(conversation):
        for body in (at.warm, at.ask):
            marked = [block for block in blocks_of(body) if "cache_control" in block]
            assert 1 <= len(marked) == at.prefix.breakpoints <= 4
            assert not [block for block in marked if block["type"] in THINKING or block.get("text") == ""]
            lifetimes = [block["cache_control"].get("ttl", "5m") for block in marked]
            assert lifetimes == [lifetime(conversation.context)] * len(marked)
            assert all(block["cache_control"]["type"] == "ephemeral" for block in marked)


@thorough
@given(conversations)
def test_one_breakpoint_ends_the_context_and_one_the_last_complete_turn(conversation: Conversation) -> None:
    for at in steps(conversation):
        kinds = [block["type"] for block in blocks_of(at.ask)]
        context_end = len(kinds) - 1 - kinds[::-1].index("document")
        marks = marks_of(at.ask)
        assert marks[0] == context_end
        # After the last mark there is the new question, and nothing else.
        assert marks[-1] == len(kinds) - 2


@thorough
@given(conversations)
def test_every_prefix_finds_the_one_before_it_within_the_lookback(conversation: Conversation) -> None:
    before: list[int] = []
    for at in steps(conversation):
        marks = marks_of(at.ask)
        if before:
            found = [mark for mark in marks if 0 <= mark - before[-1] < LOOKBACK]
            assert found, f"written at {before[-1]}, looked for from {marks}"
        before = marks


@thorough
@given(conversations)
def test_a_transcript_is_only_ever_appended_to(conversation: Conversation) -> None:
    transcripts = [b"".join((*at.transcript.opening, at.transcript.turns)) for at in steps(conversation)]
    for earlier, later in pairwise(transcripts):
        assert later.startswith(earlier)


@thorough
@given(contexts, isolations, visible, answers())
def test_marks_are_not_part_of_a_transcript(
    context: Context, isolation: str | None, question: str, answer: Answer
) -> None:
    transcript = grow(begin(context, isolation), question, answer)
    bare = b"".join((*transcript.opening, b"}", transcript.turns)) + warm_tail(first=not transcript.ends)
    assert marks_of(bare) == []


@given(answers())
def test_an_answer_that_shows_nothing_leaves_the_transcript_as_it_was(answer: Answer) -> None:
    assert (append_turn(begin(SMALL), "Why?", answer) is None) == (taken_back(answer) == [])


@thorough
@given(contexts, visible, st.tuples(isolations, isolations).filter(lambda pair: pair[0] != pair[1]))
def test_isolated_sessions_share_nothing_beyond_the_head(
    context: Context, question: str, pair: tuple[str | None, str | None]
) -> None:
    one, other = (step(begin(context, isolation), context, question) for isolation in pair)
    assert one.prefix.digest != other.prefix.digest
    first, second = blocks_of(one.warm), blocks_of(other.warm)
    assert first[0] != second[0]
    shared = next(place for place, pair in enumerate(zip(one.warm, other.warm, strict=False)) if pair[0] != pair[1])
    # Nothing of what was said to be shared by all reaches into the part that differs.
    assert b'"document"' not in one.warm[:shared]


def test_upstreams_that_refuse_zero_tokens_get_the_same_prefix_with_one() -> None:
    assert warm_tail(first=True, max_tokens=1) == warm_tail(first=True).replace(b":0}", b":1}")
    assert warm_tail(first=False) == WARMUP_MESSAGE + b'],"max_tokens":0}'


@pytest.mark.parametrize(
    "broken",
    [
        b'{"model":"m","messages":[]}',
        b'{"model":"m","messages":[],"max_tokens":0,"extra":1}',
        b'{"model":"m","messages":[],"max_tokens":"0"}',
        b'{"model":"m","messages":[],"max_tokens":0,"thinking":{"type":"sometimes"}}',
        b'{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}],"max_tokens":0}',
        b'{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a","x":1}]}],"max_tokens":0}',
    ],
)
def test_the_check_against_the_sdks_types_is_strict(broken: bytes) -> None:
    with pytest.raises(AssertionError):
        check_request(json.loads(broken))
