"""Cache diagnostics: platform docs, cache diagnostics. They say whether the request changed, not whether the cache
hit."""

import json
from typing import Any

import pytest

from app.sandbox.testing import SandboxServer
from tests.sandbox.prompts import MARK, assistant, text, tool, user

BASE: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 20,
    "tools": [tool("a"), tool("b")],
    "system": [text("system", mark=MARK)],
    "messages": [user(text("one", 500)), assistant(text("two", 300)), user(text("three", 100))],
}


def ask(sandbox: SandboxServer, previous: str | None, **change: Any) -> dict[str, Any]:
    answer = sandbox.post({**BASE, "diagnostics": {"previous_message_id": previous}, **change})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def reason(sandbox: SandboxServer, **change: Any) -> Any:
    first = ask(sandbox, None)
    assert first["diagnostics"] is None
    diagnosis = ask(sandbox, first["id"], **change)["diagnostics"]
    return diagnosis["cache_miss_reason"] if diagnosis else None


def test_without_the_object_the_response_says_nothing(sandbox: SandboxServer) -> None:
    assert "diagnostics" not in sandbox.post(BASE).json()


def test_null_on_the_first_turn_and_when_nothing_diverged(sandbox: SandboxServer) -> None:
    assert reason(sandbox) is None
    grown = [*BASE["messages"], assistant("four"), user("five")]
    assert reason(sandbox, messages=grown) is None


def test_model_changed(sandbox: SandboxServer) -> None:
    found = reason(sandbox, model="claude-opus-4-7")
    assert found["type"] == "model_changed"
    assert found["cache_missed_input_tokens"] > 4000


@pytest.mark.parametrize("tools", [[tool("a")], [tool("b"), tool("a")], [tool("a"), tool("b"), tool("c")]])
def test_tools_changed_when_added_removed_or_reordered(sandbox: SandboxServer, tools: Any) -> None:
    assert reason(sandbox, tools=tools)["type"] == "tools_changed"


def test_system_changed(sandbox: SandboxServer) -> None:
    found = reason(sandbox, system=[text("12:01", mark=MARK)])
    assert found["type"] == "system_changed"
    whole = reason(sandbox, model="claude-opus-4-7")["cache_missed_input_tokens"]
    assert 2000 < found["cache_missed_input_tokens"] < whole - 2000


@pytest.mark.parametrize(
    "messages",
    [
        [user(text("other", 500)), *BASE["messages"][1:]],
        BASE["messages"][:1],
        [BASE["messages"][0], assistant("other"), BASE["messages"][2]],
    ],
)
def test_messages_changed_when_an_earlier_entry_was_altered_or_removed(sandbox: SandboxServer, messages: Any) -> None:
    found = reason(sandbox, messages=messages)
    assert found["type"] == "messages_changed"
    assert isinstance(found["cache_missed_input_tokens"], int)


def test_the_response_reports_the_earliest_divergence_only(sandbox: SandboxServer) -> None:
    everything = {"model": "claude-opus-4-7", "tools": [], "system": "x", "messages": [user("x")]}
    order = ["model_changed", "tools_changed", "system_changed", "messages_changed"]
    for expected in order:
        assert reason(sandbox, **everything)["type"] == expected
        del everything[next(iter(everything))]


@pytest.mark.parametrize(
    "change",
    [{"thinking": {"type": "adaptive"}}, {"tool_choice": {"type": "none"}}, {"output_config": {"effort": "low"}},
     {"thinking": {"type": "adaptive"}, "messages": [user("x")]}],
)  # fmt: skip
def test_unavailable_when_another_prompt_affecting_parameter_differs(sandbox: SandboxServer, change: Any) -> None:
    assert reason(sandbox, **change) == {"type": "unavailable"}


def test_unavailable_when_the_set_of_active_beta_headers_differs(sandbox: SandboxServer) -> None:
    first = ask(sandbox, None)
    body = {**BASE, "diagnostics": {"previous_message_id": first["id"]}}
    plain = sandbox.post(body, anthropic_beta="cache-diagnosis-2026-04-07").json()
    assert plain["diagnostics"] is None, "the header is no longer required and changes nothing"
    other = sandbox.post(body, anthropic_beta="context-1m-2025-08-07, cache-diagnosis-2026-04-07").json()
    assert other["diagnostics"] == {"cache_miss_reason": {"type": "unavailable"}}


def test_marks_and_parameters_that_are_not_rendered_are_no_change(sandbox: SandboxServer) -> None:
    unmarked = [text("system")]
    assert reason(sandbox, system=unmarked, max_tokens=7, metadata={"user_id": "u"}, stop_sequences=["x"]) is None


def test_previous_message_not_found_when_it_did_not_ask_or_is_unknown(sandbox: SandboxServer) -> None:
    unasked = sandbox.post(BASE).json()["id"]
    for id in (unasked, "msg_nothing", ""):
        assert ask(sandbox, id)["diagnostics"] == {"cache_miss_reason": {"type": "previous_message_not_found"}}


def test_previous_message_not_found_in_another_workspace(sandbox: SandboxServer) -> None:
    first = ask(sandbox, None)
    sandbox.new_key()
    found = ask(sandbox, first["id"])["diagnostics"]
    assert found["cache_miss_reason"]["type"] == "previous_message_not_found"


def test_previous_message_not_found_when_too_much_time_has_passed(sandbox: SandboxServer) -> None:
    first = ask(sandbox, None)
    sandbox.clock.advance(3600)
    found = ask(sandbox, first["id"])["diagnostics"]
    assert found["cache_miss_reason"]["type"] == "previous_message_not_found"


def test_a_pending_comparison_can_be_ordered(sandbox: SandboxServer) -> None:
    first = ask(sandbox, None)
    sandbox.fault(diagnosis="pending")
    assert ask(sandbox, first["id"])["diagnostics"] == {"cache_miss_reason": None}
    sandbox.fault(diagnosis="unavailable")
    assert ask(sandbox, first["id"])["diagnostics"] == {"cache_miss_reason": {"type": "unavailable"}}


def test_in_a_stream_it_appears_on_message_start(sandbox: SandboxServer) -> None:
    first = ask(sandbox, None)
    body = {**BASE, "stream": True, "system": "new", "diagnostics": {"previous_message_id": first["id"]}}
    start = sandbox.post(body).text.split("\n")[1]
    message = json.loads(start.removeprefix("data: "))["message"]
    assert message["diagnostics"]["cache_miss_reason"]["type"] == "system_changed"


def test_no_divergence_and_no_read_means_that_the_entry_had_gone(sandbox: SandboxServer) -> None:
    first = ask(sandbox, None)
    assert first["usage"]["cache_creation_input_tokens"] > 0
    sandbox.clock.advance(600)
    second = ask(sandbox, first["id"])
    assert (second["diagnostics"], second["usage"]["cache_read_input_tokens"]) == (None, 0)


def test_the_sdk_reads_it(sandbox: SandboxServer) -> None:
    client = sandbox.client()
    first = client.messages.create(**{**BASE, "diagnostics": {"previous_message_id": None}})
    second = client.messages.create(**{**BASE, "system": "changed", "diagnostics": {"previous_message_id": first.id}})
    assert second.diagnostics is not None
    assert second.diagnostics.cache_miss_reason is not None
    assert second.diagnostics.cache_miss_reason.type == "system_changed"
