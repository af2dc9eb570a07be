"""Requests as `app.prompt` builds them, and what a test reads out of them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from app.prompt.context import Context, Ttl
from app.prompt.prefix import Prefix, Transcript, append_turn
from app.prompt.render import Diagnostics, ask_tail, render_fragments, render_opening, warm_tail
from tests.prompt.strategies import Answer, Conversation


@dataclass(frozen=True)
class Step:
    """A session before one question: its transcript, its prefix, and the two bodies that begin with it."""

    transcript: Transcript
    prefix: Prefix
    question: str
    warm: bytes
    ask: bytes


def lifetime(context: Context) -> Ttl:
    """What a session over `context` asks for: `auto` is one of the two, chosen elsewhere."""
    return "5m" if context.parameters.ttl == "auto" else context.parameters.ttl


def begin(context: Context, isolation: str | None = None) -> Transcript:
    opening = render_opening(context.parameters, render_fragments(context), isolation)
    return Transcript(opening, b"", (), lifetime(context))


def step(transcript: Transcript, context: Context, question: str, diagnostics: Diagnostics | None = None) -> Step:
    prefix, most = transcript.prefix(), context.parameters.max_tokens
    ask = ask_tail(question, first=prefix.first, max_tokens=most, diagnostics=diagnostics)
    return Step(transcript, prefix, question, prefix.body(warm_tail(first=prefix.first)), prefix.body(ask))


def grow(transcript: Transcript, question: str, answer: Answer) -> Transcript:
    added = append_turn(transcript, question, answer)
    if added is None:
        return transcript
    return replace(transcript, turns=transcript.turns + added[0], ends=(*transcript.ends, added[1]))


def steps(conversation: Conversation) -> Iterator[Step]:
    """The session before its first question, and after each turn."""
    transcript = begin(conversation.context, conversation.isolation)
    for question, answer in conversation.turns:
        yield step(transcript, conversation.context, question, conversation.diagnostics)
        transcript = grow(transcript, question, answer)
    yield step(transcript, conversation.context, conversation.question, conversation.diagnostics)


def blocks_of(body: bytes) -> list[dict[str, Any]]:
    """Every content block of a request, in the order in which the cache sees them."""
    request = json.loads(body)
    found: list[dict[str, Any]] = list(request.get("system", []))
    for message in request["messages"]:
        content = message["content"]
        found += [{"type": "text", "text": content}] if isinstance(content, str) else content
    return found


def marks_of(body: bytes) -> list[int]:
    """The places of the blocks that carry a breakpoint."""
    return [place for place, block in enumerate(blocks_of(body)) if "cache_control" in block]


def unmarked(value: Any) -> Any:
    """`value` without its breakpoints."""
    if isinstance(value, list):
        return [unmarked(one) for one in value]
    if isinstance(value, dict):
        return {name: unmarked(one) for name, one in value.items() if name != "cache_control"}
    return value
