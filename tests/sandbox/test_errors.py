"""Refusals: platform docs, errors ("HTTP errors", "Error shapes", "Request size limits", "Request ID"), and the shape of
a 400 for each kind of wrong field."""

import json
from typing import Any

import httpx2
import pytest

from app.sandbox.testing import SandboxServer
from tests.sandbox.conftest import Refuse, Send
from tests.sandbox.prompts import MARK, assistant, document, tool, user

ASK: dict[str, Any] = {"model": "claude-sonnet-4-5", "max_tokens": 10, "messages": [user("hi")]}


def test_errors_are_json_with_type_message_and_the_request_id_of_the_header(sandbox: SandboxServer) -> None:
    answer = sandbox.post({**ASK, "model": "claude-nothing"})
    assert answer.status_code == 404
    assert answer.json() == {
        "type": "error",
        "error": {"type": "not_found_error", "message": "model: claude-nothing"},
        "request_id": answer.headers["request-id"],
    }


def test_every_response_has_a_request_id_of_its_own(sandbox: SandboxServer) -> None:
    ids = [sandbox.post(ASK).headers["request-id"] for _ in range(3)]
    ids += [sandbox.post({**ASK, "stream": True}).headers["request-id"]]
    ids += [sandbox.http.get("/nowhere").headers["request-id"], sandbox.http.get("/v1/messages").headers["request-id"]]
    assert len(set(ids)) == 6
    assert all(id.startswith("req_01") for id in ids)


def test_a_missing_key_is_an_authentication_error(sandbox: SandboxServer) -> None:
    for headers in ({}, {"x-api-key": ""}, {"authorization": "Bearer"}, {"authorization": "Basic abc"}):
        answer = sandbox.http.post("/v1/messages", json=ASK, headers={"anthropic-version": "2023-06-01", **headers})
        assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")


def test_x_api_key_and_bearer_are_both_accepted(sandbox: SandboxServer) -> None:
    for headers in ({"x-api-key": "k"}, {"authorization": "Bearer k"}):
        answer = sandbox.http.post("/v1/messages", json=ASK, headers={"anthropic-version": "2023-06-01", **headers})
        assert answer.status_code == 200


def test_anthropic_version_is_required(sandbox: SandboxServer) -> None:
    answer = sandbox.http.post("/v1/messages", json=ASK, headers={"x-api-key": "k"})
    assert answer.json()["error"]["message"] == "anthropic-version: header is required"


def test_a_request_over_the_size_limit_is_413_request_too_large(sandbox: SandboxServer) -> None:
    body = json.dumps({**ASK, "messages": [user("x" * (32 * 1024 * 1024))]}).encode()
    answer = sandbox.post(body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")
    chunks = (body[i : i + 1_000_000] for i in range(0, len(body), 1_000_000))
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    assert sandbox.http.post("/v1/messages", content=chunks, headers=headers).status_code == 413


def test_a_prompt_larger_than_the_context_window_is_refused_with_both_numbers(refuse: Refuse) -> None:
    assert refuse(messages=[user("x" * 700_000)]).startswith("prompt is too long: 216220 tokens > 200000 maximum")


def test_unknown_paths_and_methods(sandbox: SandboxServer) -> None:
    assert sandbox.http.get("/v1/nothing").json()["error"]["type"] == "not_found_error"
    wrong = sandbox.http.get("/v1/messages")
    assert (wrong.status_code, wrong.json()["type"]) == (405, "error")
    assert sandbox.http.get("/_sandbox/nothing").status_code == 404


@pytest.mark.parametrize("field", ["foo", "Model", "system_prompt", "mcp_servers"])
def test_unknown_fields_are_refused(refuse: Refuse, field: str) -> None:
    assert refuse(messages=[user("hi")], **{field: 1}) == f"{field}: Extra inputs are not permitted"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "model: Field required"),
        ({"model": "claude-sonnet-4-5", "max_tokens": 1}, "messages: Field required"),
        ({**ASK, "max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
        ({**ASK, "max_tokens": "5"}, "max_tokens: Input should be a valid integer"),
        ({**ASK, "max_tokens": None}, "max_tokens: Input should be a valid integer"),
        ({**ASK, "stream": "yes"}, "stream: Input should be a valid boolean"),
        ({**ASK, "temperature": 2}, "temperature: Input should be less than or equal to 1"),
        ({**ASK, "messages": "hi"}, "messages: Input should be a valid list"),
        ({**ASK, "messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({**ASK, "messages": [{"role": "bot", "content": "x"}]}, "messages.0.role: Input should be"),
        ({**ASK, "messages": [user({"type": "text"})]}, "messages.0.content.0.text.text: Field required"),
        ({**ASK, "messages": [user({"type": "song"})]}, "messages.0.content.0: Input tag 'song' found using 'type'"),
        ({**ASK, "tools": [{"name": "a"}]}, "tools.0.custom.input_schema: Field required"),
        ({**ASK, "tools": [{**tool("a"), "name": "a b"}]}, "tools.0.custom.name: String should match pattern"),
        ({**ASK, "system": 5}, "system: Input should be a valid list"),
        ([1, 2], "Input should be an object"),
    ],
)
def test_a_400_names_the_field(sandbox: SandboxServer, body: Any, said: str) -> None:
    answer = sandbox.post(body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(said)


@pytest.mark.parametrize("raw", [b"", b"{", b"{} x", b'{"model": "\\ud800"}', b"\xff\xfe", b"[" * 5000, b'{"a": NaN}'])
def test_what_is_not_json_is_refused(sandbox: SandboxServer, raw: bytes) -> None:
    answer = sandbox.post(raw)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([assistant("hi")], 'messages: first message must use the "user" role'),
        ([user("")], "messages.0: all messages must have non-empty content"),
        ([user("hi"), assistant(""), user("x")], "messages.1: all messages must have non-empty content"),
        ([user(" \n")], "messages.0: text content blocks must contain non-whitespace text"),
        ([user({"type": "tool_use", "id": "t", "name": "a", "input": {}})], "messages.0.content.0: `tool_use` blocks"),
        ([user({"type": "tool_result", "tool_use_id": "t"})], "messages.0: unexpected `tool_use_id` found"),
        (
            [user("hi"), assistant({"type": "tool_use", "id": "t", "name": "a", "input": {}}), user("x")],
            "messages.2: `tool_use` ids were found without `tool_result` blocks immediately after: t.",
        ),
    ],
)
def test_conversations_out_of_order_are_refused(refuse: Refuse, messages: Any, said: str) -> None:
    assert refuse(messages=messages).startswith(said)


def test_citations_go_on_all_documents_or_none_and_not_with_structured_outputs(send: Send, refuse: Refuse) -> None:
    cited, plain = document("a", "text", cited=True), document("b", "text", cited=False)
    send(messages=[user(cited, "?")])
    assert "all or none" in refuse(messages=[user(cited, plain, "?")])
    format = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    assert "citations" in refuse(messages=[user(cited, "?")], output_config=format)


def test_tools_are_checked_together(refuse: Refuse) -> None:
    hi = [user("hi")]
    assert refuse(messages=hi, tools=[tool("a"), tool("a")]) == "tools: Tool names must be unique."
    assert "tools" in refuse(messages=hi, tool_choice={"type": "auto"})
    assert "not found" in refuse(messages=hi, tools=[tool("a")], tool_choice={"type": "tool", "name": "b"})
    assert "defer_loading" in refuse(messages=hi, tools=[{**tool("a", MARK), "defer_loading": True}])


def test_a_bad_request_leaves_the_server_well(sandbox: SandboxServer) -> None:
    with httpx2.Client(base_url=sandbox.url) as http:
        assert http.post("/v1/messages", content=b"{").status_code == 401
    assert sandbox.post(ASK).status_code == 200
