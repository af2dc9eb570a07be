"""What invalidates which level: platform docs, prompt caching, the table of "What invalidates the cache", and the
pages on isolation, thinking and effort."""

from typing import Any

import pytest

from app.sandbox.testing import SandboxServer
from tests.sandbox.prompts import MARK, assistant, document, image, text, tool, user

TOOLS, SYSTEM, MESSAGES = 1, 2, 3
MODEL = "claude-opus-4-8"
BODY: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 100,
    "tools": [tool("search", MARK)],
    "system": [text("system", mark=MARK)],
    "messages": [user(text("context", mark=MARK), "question")],
}


def levels_kept(sandbox: SandboxServer, before: dict[str, Any], after: dict[str, Any]) -> int:
    """How many of the three levels the second request still reads."""
    sandbox.new_key()
    first = sandbox.post({**BODY, **before})
    second = sandbox.post({**BODY, **after})
    assert (first.status_code, second.status_code) == (200, 200), first.text + second.text
    read = second.json()["usage"]["cache_read_input_tokens"]
    written = first.json()["usage"]["cache_creation_input_tokens"]
    assert written > 3000
    return round(3 * int(read) / int(written))


def test_the_model(sandbox: SandboxServer) -> None:
    assert levels_kept(sandbox, {}, {"model": "claude-opus-4-7"}) == 0


@pytest.mark.parametrize("changed", [tool("other", MARK), {**tool("search", MARK), "description": "else " * 900}])
def test_modifying_tool_definitions_invalidates_the_entire_cache(sandbox: SandboxServer, changed: Any) -> None:
    assert levels_kept(sandbox, {}, {"tools": [changed]}) == 0


@pytest.mark.parametrize("kind", ["web_search_20250305", "web_fetch_20250910"])
def test_the_web_search_toggle_invalidates_system_and_messages(sandbox: SandboxServer, kind: str) -> None:
    web = {"type": kind, "name": kind.rsplit("_", 1)[0]}
    assert levels_kept(sandbox, {}, {"tools": [*BODY["tools"], web]}) == TOOLS


def test_the_citations_toggle_invalidates_system_and_messages(sandbox: SandboxServer) -> None:
    def asked(cited: bool) -> dict[str, Any]:
        return {"messages": [user(text("context", mark=MARK), document("d", "text", cited=cited), "question")]}

    assert levels_kept(sandbox, asked(False), asked(True)) == TOOLS
    assert levels_kept(sandbox, asked(True), asked(True)) == MESSAGES


def test_the_speed_setting_invalidates_system_and_messages(sandbox: SandboxServer) -> None:
    assert levels_kept(sandbox, {}, {"speed": "fast"}) == TOOLS
    assert levels_kept(sandbox, {}, {"speed": "standard"}) == MESSAGES


@pytest.mark.parametrize(
    "choice", [{"type": "none"}, {"type": "any"}, {"type": "tool", "name": "search"},
               {"type": "auto", "disable_parallel_tool_use": True}],
)  # fmt: skip
def test_tool_choice_only_affects_messages(sandbox: SandboxServer, choice: Any) -> None:
    assert levels_kept(sandbox, {}, {"tool_choice": choice}) == SYSTEM


def test_spelling_out_the_default_tool_choice_changes_nothing(sandbox: SandboxServer) -> None:
    assert levels_kept(sandbox, {}, {"tool_choice": {"type": "auto"}}) == MESSAGES


def test_adding_or_removing_images_anywhere_affects_messages(sandbox: SandboxServer) -> None:
    pictured = {"messages": [user(text("context", mark=MARK), image(), "question")]}
    assert levels_kept(sandbox, {}, pictured) == SYSTEM
    assert levels_kept(sandbox, pictured, pictured) == MESSAGES


def test_thinking_parameters_invalidate_messages(sandbox: SandboxServer) -> None:
    assert levels_kept(sandbox, {}, {"thinking": {"type": "adaptive"}}) == SYSTEM


def test_the_thinking_budget_invalidates_messages(sandbox: SandboxServer) -> None:
    def budget(tokens: int) -> dict[str, Any]:
        thinking = {"type": "enabled", "budget_tokens": tokens}
        return {"model": "claude-sonnet-4-5", "max_tokens": 5000, "thinking": thinking}

    assert levels_kept(sandbox, budget(1024), budget(2048)) == SYSTEM
    assert levels_kept(sandbox, budget(1024), budget(1024)) == MESSAGES


def test_switching_display_between_turns_is_supported(sandbox: SandboxServer) -> None:
    shown, hidden = ({"thinking": {"type": "adaptive", "display": d}} for d in ("summarized", "omitted"))
    assert levels_kept(sandbox, shown, hidden) == MESSAGES


@pytest.mark.parametrize(("model", "default"), [("claude-opus-5-5", "medium"), ("claude-haiku-5-5", "medium"),
                                                ("claude-opus-4-8", "high"), ("claude-sonnet-5-5", "high")])  # fmt: skip
def test_setting_effort_to_the_models_default_is_equivalent_to_omitting_it(
    sandbox: SandboxServer, model: str, default: str
) -> None:
    assert levels_kept(sandbox, {"model": model}, {"model": model, "output_config": {"effort": default}}) == MESSAGES
    assert levels_kept(sandbox, {"model": model}, {"model": model, "output_config": {"effort": "low"}}) == SYSTEM


def test_spelling_out_the_default_thinking_changes_nothing(sandbox: SandboxServer) -> None:
    model = {"model": "claude-sonnet-5"}
    assert levels_kept(sandbox, model, {**model, "thinking": {"type": "adaptive"}}) == MESSAGES
    assert levels_kept(sandbox, model, {**model, "thinking": {"type": "disabled"}}) == SYSTEM
    assert levels_kept(sandbox, {}, {"thinking": {"type": "disabled"}}) == MESSAGES


def test_the_output_format_invalidates_system_and_messages(sandbox: SandboxServer) -> None:
    format = {"type": "json_schema", "schema": {"type": "object"}}
    assert levels_kept(sandbox, {}, {"output_config": {"format": format}}) == TOOLS


@pytest.mark.parametrize(
    "free",
    [{"max_tokens": 7}, {"metadata": {"user_id": "someone"}}, {"stop_sequences": ["stop"]}, {"max_tokens": 0},
     {"service_tier": "standard_only"}, {"diagnostics": {"previous_message_id": None}}],
)  # fmt: skip
def test_max_tokens_metadata_and_the_like_do_not_invalidate(sandbox: SandboxServer, free: dict[str, Any]) -> None:
    assert levels_kept(sandbox, {}, free) == MESSAGES


@pytest.mark.parametrize("sampling", [{"temperature": 0.2}, {"top_p": 0.5}, {"top_k": 3}])
def test_sampling_parameters_do_not_invalidate(sandbox: SandboxServer, sampling: dict[str, Any]) -> None:
    model = {"model": "claude-sonnet-4-5"}
    assert levels_kept(sandbox, model, {**model, **sampling}) == MESSAGES


def test_stream_does_not_invalidate(sandbox: SandboxServer) -> None:
    sandbox.post({**BODY, "stream": True})
    assert sandbox.post(BODY).json()["usage"]["cache_creation_input_tokens"] == 0


def test_deferred_tools_are_not_included_in_the_prefix(sandbox: SandboxServer) -> None:
    deferred = {**tool("later"), "defer_loading": True}
    assert levels_kept(sandbox, {}, {"tools": [*BODY["tools"], deferred]}) == MESSAGES


def test_caches_are_isolated_per_workspace_which_here_is_the_key(sandbox: SandboxServer) -> None:
    sandbox.post(BODY)
    first = sandbox.key
    sandbox.new_key()
    assert sandbox.post(BODY).json()["usage"]["cache_read_input_tokens"] == 0
    sandbox.key = first
    assert sandbox.post(BODY).json()["usage"]["cache_read_input_tokens"] > 3000
    bearer = sandbox.post(BODY, **{"x-api-key": "", "authorization": f"Bearer {first}"})
    assert bearer.json()["usage"]["cache_read_input_tokens"] > 3000


@pytest.mark.parametrize(("model", "keeps"), [("claude-sonnet-4-5", False), ("claude-haiku-4-5", False),
                                              ("claude-opus-4-5", True), ("claude-sonnet-4-6", True)])  # fmt: skip
def test_earlier_models_strip_previous_thinking_when_a_user_message_is_no_tool_result(
    sandbox: SandboxServer, model: str, keeps: bool
) -> None:
    kind = "adaptive" if model == "claude-sonnet-4-6" else "enabled"
    thinking = {"type": "adaptive"} if kind == "adaptive" else {"type": "enabled", "budget_tokens": 1024}
    body = {"model": model, "max_tokens": 2000, "thinking": thinking}
    question = user(text("question", 5000))
    answer = sandbox.post({**body, "messages": [question]}).json()["content"]
    assert answer[0]["type"] == "thinking"

    def counted(*content: Any) -> int:
        messages = [question, assistant(*content), user("and then?")]
        counted = {"model": model, "thinking": thinking, "messages": messages}
        return int(sandbox.post(counted, "/v1/messages/count_tokens").json()["input_tokens"])

    assert (counted(*answer) > counted(*answer[1:])) is keeps
