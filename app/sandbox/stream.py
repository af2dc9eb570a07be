"""A reply as server-sent events, each with the moment it is due, counted in output tokens after the response begins.
Deltas carry one to a few words, drawn from a seeded generator, so that a stream is the same again for the same seed."""

import json
import re
from collections.abc import Iterator
from typing import Any

from app.sandbox.reply import Reply, Thought

_STEPS = (1, 1, 2, 2, 3, 4)
_WORDS = re.compile(r"\s*\S+|\s+")
Frame = tuple[float, bytes]


def frames(message: dict[str, Any], reply: Reply, usage: dict[str, Any], dice: Iterator[int]) -> Iterator[Frame]:
    """(due, bytes) of the whole stream, in order."""
    yield 0, event("message_start", {"message": {**message, "content": [], "stop_reason": None, "stop_sequence": None}})
    due = 0.0
    index = 0
    pinged = False
    blocks: list[Iterator[Frame]] = []
    if reply.thought:
        blocks.append(_thinking(reply.thought, dice))
    blocks += [_text(piece.text, piece.size, dice) for piece in reply.pieces]
    for index, block in enumerate(blocks):
        last = 0.0
        for last, body in block:
            yield due + last, body.replace(b'"index":0', b'"index":%d' % index, 1)
            if not pinged:
                pinged = True
                yield due + last, event("ping", {})
        due += last
    delta = {"stop_reason": reply.stop_reason, "stop_sequence": reply.stop_sequence}
    yield due, event("message_delta", {"delta": delta, "usage": usage})
    yield due, event("message_stop", {})


def event(name: str, data: dict[str, Any]) -> bytes:
    body = json.dumps({"type": name, **data}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {body}\n\n".encode()


def _thinking(thought: Thought, dice: Iterator[int]) -> Iterator[Frame]:
    yield (
        0,
        event(
            "content_block_start", {"index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}
        ),
    )
    if thought.text:
        for due, part in _deltas(thought.text, thought.size, dice):
            yield due, event("content_block_delta", {"index": 0, "delta": {"type": "thinking_delta", "thinking": part}})
    else:
        yield 0, event("content_block_delta", {"index": 0, "delta": {"type": "thinking_delta", "thinking": ""}})
    seal = {"type": "signature_delta", "signature": thought.signature}
    yield thought.size, event("content_block_delta", {"index": 0, "delta": seal})
    yield thought.size, event("content_block_stop", {"index": 0})


def _text(text: str, size: int, dice: Iterator[int]) -> Iterator[Frame]:
    yield 0, event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
    for due, part in _deltas(text, size, dice):
        yield due, event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": part}})
    yield size, event("content_block_stop", {"index": 0})


def _deltas(text: str, size: int, dice: Iterator[int]) -> Iterator[tuple[float, str]]:
    """Parts of the text with the share of `size` that was written before each."""
    words = _WORDS.findall(text)
    rate = size / max(len(text), 1)
    written = i = 0
    while i < len(words):
        step = _STEPS[next(dice) % len(_STEPS)]
        part = "".join(words[i : i + step])
        yield written * rate, part
        written += len(part)
        i += step
