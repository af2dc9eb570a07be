"""An answer as it is put together: the message that the SDK would build, and nothing that breaks later."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from anthropic.lib.streaming._messages import accumulate_event
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ledger.usage import Usage
from app.prompt.context import Context, Document, Parameters
from app.prompt.prefix import Transcript, append_turn
from app.prompt.render import render_fragments, render_opening
from app.turns.answer import Answer, thinking_text, visible_text
from app.upstream.errors import UpstreamCode, UpstreamError
from app.upstream.events import Event, Splitter


def event(data: dict[str, Any]) -> Event:
    raw = json.dumps(data).encode()
    return Event(data["type"], raw, b"event: %b\ndata: %b\n" % (data["type"].encode(), raw))


# A message as the API streams it: blocks one after the other, each in pieces.

_text = st.text(st.characters(codec="utf-8"), max_size=12)
_pieces = st.lists(_text, max_size=4)
_citation = st.fixed_dictionaries(
    {
        "type": st.just("char_location"),
        "cited_text": _text,
        "document_index": st.integers(0, 9),
        "document_title": st.none() | _text,
        "file_id": st.none(),
        "start_char_index": st.integers(0, 99),
        "end_char_index": st.integers(0, 99),
    }
)


def _deltas(kind: str, part: str, pieces: list[Any]) -> list[dict[str, Any]]:
    return [{"type": kind, part: piece} for piece in pieces]


def _text_block(start: str, pieces: list[str], citations: list[Any], null: bool) -> Any:
    block = {"type": "text", "text": start} | ({"citations": None} if null else {})
    return block, _deltas("text_delta", "text", pieces) + _deltas("citations_delta", "citation", citations)


def _thinking_block(pieces: list[str], signature: str) -> Any:
    block = {"type": "thinking", "thinking": "", "signature": ""}
    deltas = _deltas("thinking_delta", "thinking", pieces)
    return block, deltas + _deltas("signature_delta", "signature", [signature])


_streamed = st.one_of(
    st.builds(_text_block, st.sampled_from(["", "", "start"]), _pieces, st.lists(_citation, max_size=2), st.booleans()),
    st.builds(_thinking_block, _pieces, _text),
    st.builds(lambda data: ({"type": "redacted_thinking", "data": data}, []), _text),
)
_count = st.integers(0, 10**6)
_usage = st.fixed_dictionaries(
    {"input_tokens": _count, "output_tokens": _count},
    optional={
        "cache_read_input_tokens": st.none() | _count,
        "cache_creation_input_tokens": st.none() | _count,
    },
)


@st.composite
def messages(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The events of any legal message, pings among them."""
    usage = draw(_usage)
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message | {"stop_reason": None, "stop_sequence": None}}
    ]
    for index, (block, deltas) in enumerate(draw(st.lists(_streamed, max_size=5))):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    ended = {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None, "container": None}
    events.append({"type": "message_delta", "delta": ended, "usage": draw(_usage)})
    events.append({"type": "message_stop"})
    for place in draw(st.lists(st.integers(1, len(events)), max_size=2)):
        events.insert(place, {"type": "ping"})
    return events


def built_by_the_sdk(events: list[dict[str, Any]]) -> Any:
    message: Any = None
    for data in events:
        if data["type"] != "ping":
            message = accumulate_event(event=_typed(data), current_snapshot=message, json_bufs={})
    return message


def _typed(data: Any) -> Any:
    # The SDK takes plain objects too, and types them itself.
    return json.loads(json.dumps(data))


def answered(events: Iterable[dict[str, Any]]) -> Answer:
    answer = Answer()
    for data in events:
        answer.take(event(data))
    return answer


@given(messages())
@settings(max_examples=200)
def test_an_answer_is_the_message_that_the_sdk_builds(events: list[dict[str, Any]]) -> None:
    answer, message = answered(events), built_by_the_sdk(events)
    assert answer.blocks() == [block.to_dict() for block in message.content]
    assert answer.message_id == message.id
    assert answer.usage == replace(Usage().updated(message.usage.to_dict()), reported=answer.usage.reported)


@given(messages())
async def test_it_is_the_same_over_the_wire_and_says_when_text_is_shown(events: list[dict[str, Any]]) -> None:
    stream = b"".join(event(data).lines + b"\n" for data in events)
    answer, shown = Answer(), ""

    splitter = Splitter()
    for found in [one for place in range(0, len(stream), 7) for one in splitter.feed(stream[place : place + 7])]:
        before = visible_text(answer.blocks())
        shows = answer.take(found)
        shown = visible_text(answer.blocks())
        assert shows == (shown != before)
    assert answer.blocks() == answered(events).blocks()
    assert shown == visible_text(answer.blocks())


@given(messages(), st.integers(0, 50))
def test_of_an_answer_that_was_broken_off_all_is_kept_but_unsigned_thinking(
    events: list[dict[str, Any]], length: int
) -> None:
    answer = answered(events[:length])
    whole, partial = answer.blocks(), answer.blocks(partial=True)
    assert partial == [block for block in whole if block["type"] != "thinking" or block["signature"]]
    assert visible_text(partial) == visible_text(whole)


def test_thinking_is_told_apart_from_what_the_reader_sees() -> None:
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "text", "text": "Yes"},
        {"type": "thinking", "thinking": "", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "thinking", "thinking": "Oh.", "signature": "s"},
        {"type": "text", "text": ", no."},
    ]
    assert (visible_text(blocks), thinking_text(blocks)) == ("Yes, no.", "Hm.\n\nOh.")


def test_what_is_new_to_us_is_let_pass() -> None:
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "msg_1"}},
        {"type": "something_new", "index": 0},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "hologram", "data": [1]}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "light_delta", "light": 1}},
        {"type": "content_block_delta", "index": 9, "delta": {"type": "light_delta", "light": 1}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "Hi", "new": True}},
    ]
    found = [{"type": "hologram", "data": [1]}, {"type": "text", "text": "Hi", "new": True}]
    assert answered(events).blocks() == found


def test_characters_that_were_cut_in_two_are_whole_again_and_lone_halves_replaced() -> None:
    def deltas(*pieces: str) -> list[dict[str, Any]]:
        delta = [{"type": "text_delta", "text": piece} for piece in pieces]
        start = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        return [start, *({"type": "content_block_delta", "index": 0, "delta": one} for one in delta)]

    assert visible_text(answered(deltas("a\ud83d", "\ude00b")).blocks()) == "a😀b"
    assert visible_text(answered(deltas("a\ud83d", "b")).blocks()) == "a\ufffdb"


def test_diagnostics_are_kept_as_they_can_be_sent_on() -> None:
    diagnostics = {"cache_miss_reason": {"type": "odd\ud800", "cache_missed_input_tokens": 5}}
    kept = answered([{"type": "message_start", "message": {"diagnostics": diagnostics}}]).diagnosed
    assert kept is not None
    assert (
        json.loads(json.dumps(kept, ensure_ascii=False).encode())["cache_miss_reason"]["cache_missed_input_tokens"] == 5
    )


# Garbage: an upstream that is none. It may be refused, and must not break anything later.

_any_text = st.text(st.characters(exclude_categories=()), max_size=5)
_junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), _any_text),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(["type", "text", "thinking", "signature", "citations", "id", "usage", "index"]), inner
        ),
    ),
    max_leaves=6,
)
_kind = st.sampled_from(["text", "thinking", "redacted_thinking", "text_delta", "thinking_delta", "signature_delta"])
_block_like = st.fixed_dictionaries(
    {"type": _kind | st.just("citations_delta")},
    optional={name: st.one_of(_junk, _any_text) for name in ("text", "thinking", "signature", "citations", "citation")},
)
_message_like = st.dictionaries(st.sampled_from(["id", "usage", "diagnostics"]), _junk)
_garbage = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["message_start", "content_block_start", "content_block_delta", "message_delta", "x"]),
        "index": st.one_of(st.integers(0, 1), st.integers(0, 1), _junk),
    },
    optional={
        name: st.one_of(_block_like, _block_like, _junk) for name in ("content_block", "delta", "message", "usage")
    },
)


@given(st.lists(_garbage, max_size=6))
@settings(max_examples=250)
def test_garbage_is_refused_or_harmless(events: list[dict[str, Any]]) -> None:
    answer = Answer()
    for data in events:
        try:
            answer.take(event(data))
        except UpstreamError as error:
            assert error.code is UpstreamCode.GARBLED
            str(error)
            break
    context = Context((Document("a", "b"),), Parameters("m"))
    opening = render_opening(context.parameters, render_fragments(context), None)
    for partial in (False, True):
        blocks = answer.blocks(partial=partial)
        for said in (blocks, visible_text(blocks), thinking_text(blocks), answer.message_id, answer.diagnosed):
            json.dumps(said, ensure_ascii=False).encode()
        added = append_turn(Transcript(opening, b"", (), "5m"), "Why?", blocks)
        if added is not None:
            json.loads(b"".join((*opening, b"}", added[0], b"]}]}")))
