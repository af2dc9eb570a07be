"""Thinking blocks out and back in: platform docs, thinking ("Reading thinking output", "Preserving thinking blocks",
"Preserved thinking") and thinking troubleshooting."""

from typing import Any

import pytest

from app.sandbox.testing import SandboxServer
from tests.sandbox.conftest import Refuse, Send
from tests.sandbox.prompts import MARK, assistant, text, user

QUESTION = user("Why is the sky blue?")
SHOWN = {"type": "adaptive", "display": "summarized"}


def answered(sandbox: SandboxServer, model: str = "claude-sonnet-5", **more: Any) -> list[dict[str, Any]]:
    body = {"model": model, "max_tokens": 500, "messages": [QUESTION], **more}
    content = sandbox.post(body).json()["content"]
    assert [block["type"] for block in content] == ["thinking", "text"]
    return list(content)


@pytest.mark.parametrize(("model", "omits"), [("claude-sonnet-5-5", True), ("claude-opus-4-8", True),
                                              ("claude-opus-4-6", False), ("claude-sonnet-4-6", False)])  # fmt: skip
def test_display_defaults_to_omitted_from_4_7_on_and_to_summarized_before(
    sandbox: SandboxServer, model: str, omits: bool
) -> None:
    thinking = answered(sandbox, model, thinking={"type": "adaptive"})[0]
    assert (thinking["thinking"] == "") is omits
    assert thinking["signature"]


def test_display_summarized_returns_text_and_omitted_an_empty_field_at_the_same_price(sandbox: SandboxServer) -> None:
    body = {"model": "claude-sonnet-5", "max_tokens": 500, "messages": [QUESTION]}
    costs = set()
    for display in ("summarized", "omitted"):
        message = sandbox.post({**body, "thinking": {"type": "adaptive", "display": display}}).json()
        assert bool(message["content"][0]["thinking"]) is (display == "summarized")
        details = message["usage"]["output_tokens_details"]
        assert 0 < details["thinking_tokens"] < message["usage"]["output_tokens"]
        costs.add(message["usage"]["output_tokens"])
    assert len(costs) == 1


def test_thinking_counts_toward_max_tokens(sandbox: SandboxServer) -> None:
    body = {"model": "claude-sonnet-5", "max_tokens": 10, "messages": [QUESTION]}
    message = sandbox.post(body).json()
    assert (message["stop_reason"], message["usage"]["output_tokens"]) == ("max_tokens", 10)
    assert [block["type"] for block in message["content"]] == ["thinking"]


@pytest.mark.parametrize("thinking", [SHOWN, {"type": "adaptive"}])
def test_blocks_passed_back_unchanged_are_accepted_and_cached(
    sandbox: SandboxServer, send: Send, thinking: Any
) -> None:
    content = answered(sandbox, thinking=thinking)
    last = text("go on", mark=MARK)
    messages = [QUESTION, assistant(*content), user(last)]
    assert send(model="claude-sonnet-5", thinking=thinking, messages=messages)[1] > 1100
    assert send(model="claude-sonnet-5", thinking=thinking, messages=messages)[0] > 1100


def test_a_modified_thinking_block_is_rejected(sandbox: SandboxServer, refuse: Refuse) -> None:
    thinking, answer = answered(sandbox, thinking=SHOWN)
    edited = {**thinking, "thinking": thinking["thinking"] + "!"}
    said = refuse(model="claude-sonnet-5", messages=[QUESTION, assistant(edited, answer), user("go on")])
    assert said.startswith("messages.1.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant")


def test_text_placed_in_the_empty_field_of_an_omitted_block_is_ignored(sandbox: SandboxServer, send: Send) -> None:
    thinking, answer = answered(sandbox)
    filled = {**thinking, "thinking": "made up"}
    send(model="claude-sonnet-5", messages=[QUESTION, assistant(filled, answer), user("go on")])


def test_a_signature_that_does_not_verify_is_rejected(sandbox: SandboxServer, refuse: Refuse) -> None:
    thinking, answer = answered(sandbox)
    good = thinking["signature"]
    for signature in (good[:-8], good[8:], good[:40] + good[44:], "", "no base64 !", "AAAA"):
        damaged = {**thinking, "signature": signature}
        said = refuse(model="claude-sonnet-5", messages=[QUESTION, assistant(damaged, answer), user("go on")])
        assert said == "messages.1.content.0: Invalid `signature` in `thinking` block"


BOUND = ["claude-fable-5-1", "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-fable-5-2"]


@pytest.mark.parametrize("model", BOUND)
def test_a_block_stays_valid_only_while_everything_before_it_is_unchanged(
    sandbox: SandboxServer, refuse: Refuse, send: Send, model: str
) -> None:
    content = assistant(*answered(sandbox, model, system="Be kind."))
    send(model=model, system="Be kind.", messages=[QUESTION, content, user("go on")])
    changed: list[dict[str, Any]] = [
        {"system": "Be unkind.", "messages": [QUESTION, content, user("go on")]},
        {"messages": [QUESTION, content, user("go on")]},
        {"system": "Be kind.", "messages": [user("Why is the sea blue?"), content, user("go on")]},
        {"system": "Be kind.", "messages": [QUESTION, assistant("Hm."), QUESTION, content, user("go on")]},
    ]
    for body in changed:
        assert "The block is bound to a different conversation." in refuse(model=model, **body)


def test_marks_and_settings_are_not_part_of_what_binds_a_block(sandbox: SandboxServer, send: Send) -> None:
    model = "claude-sonnet-5-5"
    question = text("a long question")
    content = assistant(*answered(sandbox, model, messages=[user(question)], system="Be kind."))
    marked = user({**question, "cache_control": MARK})
    system = [{"type": "text", "text": "Be kind.", "cache_control": MARK}]
    send(model=model, system=system, messages=[marked, content, user("go on")], output_config={"effort": "low"})


@pytest.mark.parametrize("model", ["claude-sonnet-5", "claude-opus-5"])
def test_models_before_fable_5_1_and_opus_5_5_do_not_check_what_went_before(
    sandbox: SandboxServer, send: Send, model: str
) -> None:
    content = assistant(*answered(sandbox, model))
    send(model=model, system="New.", messages=[user("Something else"), content, user("go on")])


def test_the_thought_counts_as_input_when_it_is_passed_back_although_its_text_was_omitted(
    sandbox: SandboxServer,
) -> None:
    thinking, answer = answered(sandbox)

    def counted(*content: Any) -> int:
        body = {"model": "claude-sonnet-5", "messages": [QUESTION, assistant(*content), user("go on")]}
        return int(sandbox.post(body, "/v1/messages/count_tokens").json()["input_tokens"])

    assert counted(thinking, answer) > counted(answer) + 20
