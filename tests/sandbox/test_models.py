"""What each model accepts: platform docs, thinking troubleshooting ("Thinking support, defaults, and rejected
configurations by model"), effort, and common validation errors. The table is written down here a second time."""

from typing import Any, get_args

import pytest
from anthropic.types import ModelParam

from app.sandbox.models import MODELS
from app.sandbox.testing import SandboxServer
from tests.sandbox.conftest import Refuse, Send
from tests.sandbox.prompts import assistant, tool, user

ASK: dict[str, Any] = {"messages": [user("hi")], "max_tokens": 3000}
ENABLED = {"type": "enabled", "budget_tokens": 1024}
REJECTED = {
    "claude-fable-5-2": {"enabled", "disabled", "between_tools"},
    "claude-fable-5-1": {"enabled", "disabled", "between_tools"},
    "claude-mythos-5": {"enabled", "disabled", "between_tools"},
    "claude-mythos-preview": {"disabled", "between_tools"},
    "claude-opus-5-5": {"enabled", "disabled", "between_tools"},
    "claude-sonnet-5-5": {"enabled", "disabled"},
    "claude-haiku-5-5": {"enabled", "between_tools"},
    "claude-opus-5": {"enabled", "between_tools"},
    "claude-sonnet-5": {"enabled", "between_tools"},
    "claude-opus-4-8": {"enabled", "between_tools"},
    "claude-opus-4-7": {"enabled", "between_tools"},
    "claude-opus-4-6": {"between_tools"},
    "claude-sonnet-4-6": {"between_tools"},
    "claude-opus-4-5": {"adaptive", "between_tools"},
    "claude-sonnet-4-5": {"adaptive", "between_tools"},
    "claude-haiku-4-5": {"adaptive", "between_tools"},
}
THINKS_BY_DEFAULT = {
    "claude-fable-5-2", "claude-fable-5-1", "claude-mythos-5", "claude-mythos-preview", "claude-opus-5-5",
    "claude-sonnet-5-5", "claude-haiku-5-5", "claude-opus-5", "claude-sonnet-5",
}  # fmt: skip
NO_PREFILL = set(REJECTED) - {"claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"}
NO_SAMPLING = NO_PREFILL - {"claude-opus-4-6", "claude-sonnet-4-6"}
NO_FORCED_TOOLS = {"claude-fable-5-2", "claude-fable-5-1", "claude-opus-5-5", "claude-sonnet-5-5"}


def test_every_model_that_the_sdk_names_is_known() -> None:
    named = get_args(get_args(ModelParam)[0])
    assert set(named) == set(MODELS)
    assert all(model.source for model in MODELS.values())


@pytest.mark.parametrize("model", REJECTED)
def test_rejected_thinking_types_return_400(sandbox: SandboxServer, model: str) -> None:
    for kind in ("adaptive", "enabled", "disabled", "between_tools"):
        thinking = ENABLED if kind == "enabled" else {"type": kind}
        answer = sandbox.post({**ASK, "model": model, "thinking": thinking})
        assert answer.status_code == (400 if kind in REJECTED[model] else 200), (kind, answer.text)


@pytest.mark.parametrize("model", REJECTED)
def test_thinking_is_on_by_default_or_not(sandbox: SandboxServer, model: str) -> None:
    content = sandbox.post({**ASK, "model": model}).json()["content"]
    assert ("thinking" in [block["type"] for block in content]) is (model in THINKS_BY_DEFAULT)


def test_messages_of_the_documented_refusals(refuse: Refuse) -> None:
    advice = 'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
    said = refuse(model="claude-opus-5-5", **ASK, thinking=ENABLED)
    assert said == f'"thinking.type.enabled" is not supported for this model. {advice}'
    said = refuse(model="claude-opus-5-5", **ASK, thinking={"type": "disabled"})
    assert said == f'"thinking.type.disabled" is not supported for this model. {advice}'
    said = refuse(model="claude-sonnet-5-5", **ASK, thinking={"type": "disabled"})
    assert "between_tools" in said
    said = refuse(model="claude-haiku-4-5", **ASK, thinking={"type": "adaptive"})
    assert said == "adaptive thinking is not supported on this model"


@pytest.mark.parametrize("model", REJECTED)
def test_models_from_4_6_on_refuse_a_request_that_ends_with_an_assistant_message(
    sandbox: SandboxServer, model: str
) -> None:
    prefilled = {"model": model, "max_tokens": 100, "messages": [user("hi"), assistant("Well")]}
    answer = sandbox.post(prefilled)
    assert answer.status_code == (400 if model in NO_PREFILL else 200)
    if model in NO_PREFILL:
        assert answer.json()["error"]["message"] == (
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )


@pytest.mark.parametrize("model", REJECTED)
def test_newer_models_refuse_non_default_sampling_parameters(sandbox: SandboxServer, model: str) -> None:
    for setting in ({"temperature": 0.3}, {"top_p": 0.5}, {"top_k": 5}):
        answer = sandbox.post({**ASK, "model": model, **setting})
        assert answer.status_code == (400 if model in NO_SAMPLING else 200), answer.text
    assert sandbox.post({**ASK, "model": model, "temperature": 1}).status_code == 200


def test_on_older_models_sampling_is_restricted_only_while_thinking_is_on(send: Send, refuse: Refuse) -> None:
    send(**ASK, temperature=0.3)
    assert "temperature" in refuse(**ASK, temperature=0.3, thinking=ENABLED)
    assert "top_k" in refuse(**ASK, top_k=3, thinking=ENABLED)
    send(**ASK, top_p=0.95, thinking=ENABLED)


@pytest.mark.parametrize("model", REJECTED)
def test_models_that_refuse_forced_tool_use(sandbox: SandboxServer, model: str) -> None:
    for choice in ({"type": "any"}, {"type": "tool", "name": "a"}):
        answer = sandbox.post({**ASK, "model": model, "tools": [tool("a")], "tool_choice": choice})
        assert answer.status_code == (400 if model in NO_FORCED_TOOLS else 200), answer.text


def test_effort_levels_differ_by_model(send: Send, refuse: Refuse) -> None:
    send(model="claude-opus-4-7", **ASK, output_config={"effort": "xhigh"})
    assert "xhigh" in refuse(model="claude-opus-4-6", **ASK, output_config={"effort": "xhigh"})
    send(model="claude-opus-4-6", **ASK, output_config={"effort": "max"})
    assert "max" in refuse(model="claude-opus-4-5", **ASK, output_config={"effort": "max"})
    assert "effort" in refuse(model="claude-haiku-4-5", **ASK, output_config={"effort": "low"})


@pytest.mark.parametrize(("model", "kind"), [("claude-opus-5", "disabled"), ("claude-haiku-5-5", "disabled"),
                                             ("claude-sonnet-5-5", "between_tools")])  # fmt: skip
def test_thinking_cannot_be_turned_off_at_xhigh_or_max_effort(
    send: Send, refuse: Refuse, model: str, kind: str
) -> None:
    send(model=model, **ASK, thinking={"type": kind}, output_config={"effort": "high"})
    for effort in ("xhigh", "max"):
        assert kind in refuse(model=model, **ASK, thinking={"type": kind}, output_config={"effort": effort})


def test_display_is_invalid_with_disabled(refuse: Refuse) -> None:
    thinking = {"type": "disabled", "display": "omitted"}
    assert "display: Extra inputs are not permitted" in refuse(model="claude-sonnet-5", **ASK, thinking=thinking)


def test_max_tokens_must_exceed_the_thinking_budget_and_stay_below_the_models_limit(refuse: Refuse) -> None:
    assert "budget_tokens" in refuse(messages=[user("hi")], max_tokens=1024, thinking=ENABLED)
    assert "1024" in refuse(messages=[user("hi")], max_tokens=2000, thinking={**ENABLED, "budget_tokens": 1023})
    assert refuse(messages=[user("hi")], max_tokens=64_001).startswith("max_tokens: 64001 > 64000")


def test_system_messages_inside_a_conversation_are_for_models_that_take_them(send: Send, refuse: Refuse) -> None:
    messages = [user("hi"), {"role": "system", "content": "Be brief."}, user("go on")]
    send(model="claude-opus-5", messages=messages)
    assert "system" in refuse(model="claude-sonnet-5", messages=messages)


def test_the_models_api_lists_them_page_by_page(sandbox: SandboxServer) -> None:
    client = sandbox.client()
    assert [model.id for model in client.models.list(limit=5)] == list(MODELS)
    haiku = client.models.retrieve("claude-haiku-4-5")
    assert (haiku.max_input_tokens, haiku.max_tokens, haiku.line) == (200_000, 64_000, "haiku")
    assert haiku.capabilities is not None
    assert haiku.capabilities.thinking.types.adaptive.supported is False
