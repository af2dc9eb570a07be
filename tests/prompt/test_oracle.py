"""Long conversations, as `app.prompt` builds them, before the sandbox: every warm writes only what is new, and every
question reads the whole of what was warmed."""

from typing import Any

import anthropic
import pytest
from anthropic import Stream
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent, Usage

from app.prompt.context import Context, Document, Parameters, Thinking, Ttl
from app.prompt.prefix import Transcript
from app.sandbox.testing import SandboxServer
from tests.prompt.requests import Step, begin, grow, step
from tests.prompt.strategies import Answer

DOCUMENTS = tuple(
    Document(f"chapter {number}.md", f"# Chapter {number}\n\n" + f"Ünïcode “line” of chapter {number}. 🎉\n" * 300)
    for number in range(1, 4)
)
# How many blocks each answer has; None: the sandbox's own, with its thinking.
LENGTHS = [None, 40, None, 18, 19, 20, 21, None, 40, 40, 1, None]


class Oracle:
    """Sends what a session would send, and says what the cache did."""

    def __init__(self, client: anthropic.Anthropic) -> None:
        self._client = client

    def warm(self, at: Step) -> Usage:
        return self._client.post("/v1/messages", cast_to=Message, content=at.warm, options=_JSON).usage

    def ask(self, at: Step) -> tuple[Usage, Answer]:
        """The usage and the content as the SDK puts it together from the stream."""
        stream = self._client.post(
            "/v1/messages",
            cast_to=Message,
            content=at.ask,
            options=_JSON,
            stream=True,
            stream_cls=Stream[RawMessageStreamEvent],
        )
        message: Any = None
        for event in stream:
            message = accumulate_event(event=event, current_snapshot=message, json_bufs={})
        return message.usage, [block.to_dict() for block in message.content]


_JSON: Any = {"headers": {"content-type": "application/json"}}


def fabricated(length: int, turn: int) -> Answer:
    return [{"type": "text", "text": f"Turn {turn}, part {part}: “ünïcode”. "} for part in range(length)]


def cached(usage: Usage) -> tuple[int, int]:
    return usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0


@pytest.mark.parametrize(
    ("model", "thinking", "ttl"),
    [
        ("claude-sonnet-5-5", "adaptive", "5m"),
        ("claude-opus-4-5", None, "1h"),
        ("claude-fable-5-1", "adaptive", "1h"),
    ],
    ids=["thinking stays in the prompt", "thinking is stripped from earlier turns", "thinking is bound to its history"],
)
def test_every_warm_writes_only_the_tail_and_every_question_reads_the_whole_prefix(
    sandbox: SandboxServer, model: str, thinking: Thinking | None, ttl: Ttl
) -> None:
    context = Context(DOCUMENTS, Parameters(model, 2000, thinking, None, ttl), "Answer in one line.")
    oracle, transcript, before = Oracle(sandbox.client()), begin(context), 0
    for turn, length in enumerate(LENGTHS, 1):
        at = step(transcript, context, f"What is in chapter {turn % 3 + 1}? “{turn}”")
        read, written = cached(oracle.warm(at))
        assert read == before, f"turn {turn} does not find the prefix of the turn before it"
        assert written > 0
        before = read + written
        usage, answer = oracle.ask(at)
        assert cached(usage) == (before, 0), f"turn {turn} does not read what was warmed for it"
        transcript = grow(transcript, at.question, fabricated(length, turn) if length else answer)
    assert len(transcript.ends) == len(LENGTHS)


def test_a_conversation_without_any_warm_reads_what_its_own_questions_wrote(sandbox: SandboxServer) -> None:
    context = Context(DOCUMENTS, Parameters("claude-sonnet-5-5", 2000, None, None, "5m"))
    oracle, transcript, before = Oracle(sandbox.client()), begin(context), 0
    for turn, length in enumerate(LENGTHS[:5], 1):
        at = step(transcript, context, f"What is in chapter {turn % 3 + 1}?")
        usage, answer = oracle.ask(at)
        assert cached(usage)[0] == before
        before = sum(cached(usage))
        transcript = grow(transcript, at.question, fabricated(length, turn) if length else answer)


def test_sessions_over_one_context_share_its_entry_and_isolated_ones_do_not(sandbox: SandboxServer) -> None:
    context = Context(DOCUMENTS, Parameters("claude-sonnet-5-5"), "Answer in one line.")
    oracle = Oracle(sandbox.client())

    def warmed(transcript: Transcript) -> tuple[int, int]:
        return cached(oracle.warm(step(transcript, context, "?")))

    _, written = warmed(begin(context))
    assert warmed(begin(context)) == (written, 0)
    for isolation in ("0" * 32, "1" * 32):
        read, _ = warmed(begin(context, isolation))
        assert read == 0


def test_the_lifetime_that_a_context_asks_for_is_the_one_that_is_written(sandbox: SandboxServer) -> None:
    lifetimes: list[Ttl] = ["5m", "1h"]
    for ttl in lifetimes:
        context = Context(DOCUMENTS, Parameters("claude-sonnet-5-5", ttl=ttl), f"For {ttl}.")
        split = Oracle(sandbox.client()).warm(step(begin(context), context, "?")).cache_creation
        assert split is not None
        assert (split.ephemeral_5m_input_tokens > 0, split.ephemeral_1h_input_tokens > 0) == (ttl == "5m", ttl == "1h")
