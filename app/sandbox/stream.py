"""A reply as server-sent events, each with the moment it is due, counted in output tokens after the response begins.
Deltas carry one to a few words, drawn from a seeded sequence, so that a stream is the same again for the same seed. A
ping follows the first block's start, and then one comes every few hundred tokens."""

import json
import re
from collections.abc import Iterator
from typing import Any

from app.sandbox.reply import Piece, Reply, Thought
from app.sandbox.toolcall import ToolCall

_STEPS = (1, 1, 2, 2, 3, 4)
_PING_TOKENS = 512
_WORDS = re.compile(r"\s+|\S+\s*")
Frame = tuple[float, bytes]
_Part = tuple[float, str, dict[str, Any]]


def frames(message: dict[str, Any], reply: Reply, usage: dict[str, Any], dice: Iterator[int]) -> Iterator[Frame]:
    """(due, bytes) of the whole stream, in order."""
    yield 0, event("message_start", {"message": message})
    begun = 0.0
    pings = 0.0
    for index, block in enumerate(_blocks(reply, dice)):
        due = begun
        for after, name, data in block:
            due = begun + after
            yield due, event(name, {"index": index, **data})
            if due >= pings:
                yield due, event("ping", {})
                pings = due + _PING_TOKENS
        begun = due
    delta = {"stop_reason": reply.stop_reason, "stop_sequence": reply.stop_sequence}
    yield begun, event("message_delta", {"delta": delta, "usage": usage})
    yield begun, event("message_stop", {})


def event(name: str, data: dict[str, Any]) -> bytes:
    body = json.dumps({"type": name, **data}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {body}\n\n".encode()


def _blocks(reply: Reply, dice: Iterator[int]) -> Iterator[Iterator[_Part]]:
    if reply.thought:
        yield _thinking(reply.thought, dice)
    for piece in reply.pieces:
        yield _text(piece, dice)
    if reply.call:
        yield _call(reply.call, dice)


def _thinking(thought: Thought, dice: Iterator[int]) -> Iterator[_Part]:
    yield _start({"type": "thinking", "thinking": "", "signature": ""})
    for due, part in _deltas(thought.text, thought.size, dice) if thought.text else [(0.0, "")]:
        yield _delta(due, {"type": "thinking_delta", "thinking": part})
    yield _delta(thought.size, {"type": "signature_delta", "signature": thought.signature})
    yield _stop(thought.size)


def _text(piece: Piece, dice: Iterator[int]) -> Iterator[_Part]:
    start: dict[str, Any] = {"type": "text", "text": ""}
    yield _start({**start, "citations": []} if piece.citation else start)
    for due, part in _deltas(piece.text, piece.size, dice):
        yield _delta(due, {"type": "text_delta", "text": part})
    if piece.citation:
        yield _delta(piece.size, {"type": "citations_delta", "citation": piece.citation})
    yield _stop(piece.size)


def _call(call: ToolCall, dice: Iterator[int]) -> Iterator[_Part]:
    yield _start({**call.block(), "input": {}})
    yield _delta(0, {"type": "input_json_delta", "partial_json": ""})
    for due, part in _deltas(json.dumps(call.input, ensure_ascii=False), call.size, dice):
        yield _delta(due, {"type": "input_json_delta", "partial_json": part})
    yield _stop(call.size)


def _start(block: dict[str, Any]) -> _Part:
    return 0, "content_block_start", {"content_block": block}


def _delta(due: float, delta: dict[str, Any]) -> _Part:
    return due, "content_block_delta", {"delta": delta}


def _stop(due: float) -> _Part:
    return due, "content_block_stop", {}


def _deltas(text: str, size: int, dice: Iterator[int]) -> Iterator[tuple[float, str]]:
    """Parts of the text, each with the share of `size` that was written before it."""
    words = _WORDS.findall(text)
    rate = size / max(len(text), 1)
    written = i = 0
    while i < len(words):
        step = _STEPS[next(dice) % len(_STEPS)]
        part = "".join(words[i : i + step])
        yield written * rate, part
        written += len(part)
        i += step
