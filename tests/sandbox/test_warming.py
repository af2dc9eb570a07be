"""max_tokens 0 and 1: platform docs, prompt caching, "Pre-warming the cache"."""

from typing import Any

import pytest

from app.sandbox.testing import SandboxServer
from tests.sandbox.conftest import Refuse, Send
from tests.sandbox.prompts import MARK, text, tool, user

WARM: dict[str, Any] = {"model": "claude-opus-5-5", "max_tokens": 0, "messages": [user(text("c", mark=MARK), "warmup")]}


def test_the_response_has_no_content_stop_reason_max_tokens_and_full_usage(sandbox: SandboxServer) -> None:
    message = sandbox.post(WARM).json()
    assert (message["content"], message["stop_reason"], message["stop_sequence"]) == ([], "max_tokens", None)
    usage = message["usage"]
    assert usage["cache_creation_input_tokens"] > 1000
    assert usage["cache_creation"]["ephemeral_5m_input_tokens"] == usage["cache_creation_input_tokens"]
    assert usage["output_tokens"] == 0


def test_the_real_request_reads_what_the_warm_wrote(send: Send) -> None:
    send(max_tokens=0, messages=[user(text("context", mark=MARK), "warmup")])
    assert send(max_tokens=100, messages=[user(text("context", mark=MARK), "a real question")])[0] == 1100


def test_a_breakpoint_on_the_placeholder_warms_nothing_of_use(send: Send) -> None:
    send(max_tokens=0, messages=[user(text("context"), text("warmup", 50, MARK))])
    assert send(messages=[user(text("context"), text("a real question", 50, MARK))])[0] == 0


def test_a_warm_with_other_thinking_or_effort_writes_an_entry_that_the_ask_never_hits(send: Send) -> None:
    messages = [user(text("context", mark=MARK), "warmup")]
    send(model="claude-opus-5-5", max_tokens=0, output_config={"effort": "low"}, messages=messages)
    assert send(model="claude-opus-5-5", messages=messages)[0] == 0


def test_a_warm_refreshes_what_is_cached_already(sandbox: SandboxServer, send: Send) -> None:
    messages = [user(text("context", mark=MARK), "warmup")]
    for _ in range(4):
        send(max_tokens=0, messages=messages)
        sandbox.clock.advance(280)
    assert send(messages=messages)[0] == 1100


def test_the_older_max_tokens_1_trick_works_too(send: Send, sandbox: SandboxServer) -> None:
    messages = [user(text("context", mark=MARK), "warmup")]
    answer = sandbox.post({"model": "claude-sonnet-4-5", "max_tokens": 1, "messages": messages}).json()
    assert (answer["stop_reason"], answer["usage"]["output_tokens"]) == ("max_tokens", 1)
    assert send(messages=messages)[0] == 1100


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"stream": True}, "stream"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
        ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}, "format"),
        ({"tools": [tool("a")], "tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [tool("a")], "tool_choice": {"type": "tool", "name": "a"}}, "tool_choice"),
    ],
)
def test_it_is_rejected_with_settings_that_imply_output(refuse: Refuse, setting: dict[str, Any], named: str) -> None:
    assert named in refuse(max_tokens=0, messages=[user("warmup")], **setting)


@pytest.mark.parametrize("setting", [{"stream": False}, {"tools": [tool("a")], "tool_choice": {"type": "auto"}},
                                     {"thinking": {"type": "disabled"}}])  # fmt: skip
def test_it_is_accepted_with_settings_that_imply_none(send: Send, setting: dict[str, Any]) -> None:
    send(max_tokens=0, messages=[user("warmup")], **setting)


def test_the_placeholder_needs_non_whitespace_content(refuse: Refuse) -> None:
    assert "non-whitespace" in refuse(max_tokens=0, messages=[user("  ")])
