"""Request bodies of all kinds: never a 500, never a hang, always the API's error body."""

import json
import time
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.sandbox.models import MODELS
from app.sandbox.testing import SandboxServer
from tests.sandbox.prompts import HOUR, MARK, document, image, tool

FAST = settings(max_examples=250, deadline=None, derandomize=True, database=None,
                suppress_health_check=list(HealthCheck))  # fmt: skip
WORDS = ("user", "assistant", "system", "text", "ephemeral", "1h", "adaptive", "enabled", "disabled", "auto", "any",
         "tool", "none", "high", "max", "", "  ", "a", "\x00", "é🙂", "msg_1")  # fmt: skip
NAMES = ("type", "text", "content", "role", "cache_control", "ttl", "source", "data", "media_type", "title", "name", "id",
         "input", "input_schema", "tool_use_id", "thinking", "signature", "budget_tokens", "citations", "enabled", "foo",
         "tools", "system", "messages", "stream", "output_config", "effort", "format", "schema", "tool_choice")  # fmt: skip

texts = st.sampled_from(WORDS) | st.text(max_size=20)
marks = st.sampled_from([MARK, HOUR, {"type": "ephemeral", "ttl": "9h"}, None])
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)
blocks = st.one_of(
    st.builds(lambda t, m: {"type": "text", "text": t, "cache_control": m}, texts, marks),
    st.builds(lambda t, d, c: document(t, d, cited=c), texts, texts, st.booleans()),
    st.just(image()),
    st.builds(lambda i: {"type": "tool_use", "id": i, "name": "t", "input": {"a": [1]}}, texts),
    st.builds(lambda i, c: {"type": "tool_result", "tool_use_id": i, "content": c}, texts, texts | st.lists(anything)),
    st.builds(lambda s: {"type": "thinking", "thinking": "", "signature": s}, texts),
    st.builds(lambda d: {"type": "redacted_thinking", "data": d}, texts),
    st.builds(lambda n: {"type": n, "x": 1}, st.sampled_from(["web_search_tool_result", "container_upload", "song"])),
    st.builds(
        lambda c: {"type": "document", "source": {"type": "content", "content": c}, "citations": {"enabled": True}},
        texts | st.lists(st.builds(lambda t: {"type": "text", "text": t}, texts), max_size=2),
    ),
)
messages = st.lists(
    st.builds(lambda role, content: {"role": role, "content": content},
              st.sampled_from(["user", "user", "assistant", "system"]), texts | st.lists(blocks, max_size=4)),
    min_size=1, max_size=4,
)  # fmt: skip
bodies = st.fixed_dictionaries(
    {"model": st.sampled_from([*MODELS, "claude-nothing"]), "max_tokens": st.integers(0, 400), "messages": messages},
    optional={
        "system": texts | st.lists(blocks, max_size=2),
        "tools": st.lists(st.sampled_from([tool("a"), tool("b", MARK), {"type": "bash_20250124", "name": "bash"},
                                           {"type": "web_search_20250305", "name": "w", "cache_control": HOUR}])),
        "tool_choice": st.sampled_from([{"type": "any"}, {"type": "tool", "name": "a"}, {"type": "none"}]),
        "thinking": st.sampled_from([{"type": "adaptive"}, {"type": "enabled", "budget_tokens": 1024},
                                     {"type": "between_tools"}, {"type": "adaptive", "display": "summarized"}]),
        "output_config": st.sampled_from([{"effort": "low"}, {"effort": "max"}, {}]),
        "stream": st.booleans(),
        "stop_sequences": st.lists(texts, max_size=2),
        "cache_control": marks,
        "temperature": st.floats(0, 2),
        "diagnostics": st.sampled_from([{}, {"previous_message_id": "msg_1"}, {"previous_message_id": None}]),
    },
)  # fmt: skip


def broken(body: dict[str, Any], draw: Any) -> dict[str, Any]:
    """The body with one value, anywhere in it, replaced, removed or joined by something else."""
    copy = json.loads(json.dumps(body))
    node: Any = copy
    while True:
        keys = list(range(len(node))) if isinstance(node, list) else list(node)
        if not keys:
            return dict(copy)
        key = draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and node[key] and draw(st.booleans()):
            node = node[key]
            continue
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                node[key] = draw(anything)
            case "remove":
                del node[key]
            case _ if isinstance(node, dict):
                node[draw(st.sampled_from(NAMES))] = draw(anything)
            case _:
                node.append(draw(anything))
        return dict(copy)


def check(server: SandboxServer, body: Any, path: str = "/v1/messages") -> int:
    """Send it; the answer must be a good one or the API's refusal."""
    answer = server.post(body, path)
    if answer.status_code != 200:
        assert answer.status_code in (400, 404, 413), answer.text
        error = answer.json()
        assert (error["type"], error["request_id"]) == ("error", answer.headers["request-id"])
        assert error["error"]["type"] in ("invalid_request_error", "not_found_error", "request_too_large")
        assert error["error"]["message"]
    elif answer.headers["content-type"].startswith("text/event-stream"):
        assert answer.text.endswith('event: message_stop\ndata: {"type":"message_stop"}\n\n')
    else:
        assert answer.json()
    return answer.status_code


@given(body=bodies)
@FAST
def test_bodies_that_are_nearly_right(sandbox_session: SandboxServer, body: dict[str, Any]) -> None:
    check(sandbox_session, body)
    rest = {name: value for name, value in body.items() if name not in ("max_tokens", "stream", "diagnostics")}
    check(sandbox_session, rest, "/v1/messages/count_tokens")


@given(body=bodies, data=st.data())
@FAST
def test_bodies_broken_in_one_place(sandbox_session: SandboxServer, body: dict[str, Any], data: st.DataObject) -> None:
    check(sandbox_session, broken(body, data.draw))


@given(body=anything | st.dictionaries(st.sampled_from(NAMES), anything))
@FAST
def test_any_json(sandbox_session: SandboxServer, body: Any) -> None:
    assert check(sandbox_session, body) != 200


@given(raw=st.binary(max_size=200) | st.text(max_size=100).map(lambda text: json.dumps({"model": text}).encode()[:-3]))
@FAST
def test_any_bytes(sandbox_session: SandboxServer, raw: bytes) -> None:
    assert check(sandbox_session, raw) != 200


@given(
    body=anything | st.lists(st.dictionaries(st.sampled_from(["status", "then", "delay_s", "after_events"]), anything))
)
@FAST
def test_the_control_api_refuses_what_it_does_not_know(sandbox_session: SandboxServer, body: Any) -> None:
    for path in ("faults", "clock"):
        answer = sandbox_session.http.post(f"/_sandbox/{path}", json=body)
        assert answer.status_code in (200, 400)
    sandbox_session.reset()


def test_bodies_with_very_many_parts_are_read_in_linear_time(sandbox_session: SandboxServer) -> None:
    count = 10_000
    tools = [{"name": "t", "input_schema": {"type": "object"}}]
    uses = [{"type": "tool_use", "id": f"t{i}", "name": "t", "input": {}} for i in range(count)]
    results = [{"type": "tool_result", "tool_use_id": f"t{i}"} for i in range(count)]
    spaces = {"type": "object", "required": ["a"], "properties": {"a": {"default": " " * 1_000_000}}}
    said = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": uses}]
    base = {"model": "claude-opus-4-8", "max_tokens": 9}
    bodies: list[dict[str, Any]] = [
        {**base, "messages": [*said, {"role": "user", "content": results}], "tools": tools},
        {**base, "messages": [*said, {"role": "user", "content": results[:-1]}], "tools": tools},
        {**base, "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * count}]},
        {**base, "messages": [{"role": "user", "content": "x"}] * count, "stop_sequences": ["x"] * count},
        {**base, "max_tokens": 10**5 + 9, "messages": said[:1], "tool_choice": {"type": "any"}, "stream": True,
         "tools": [{"name": "t", "input_schema": spaces}]},
        {**base, "messages": [{"role": "user", "content": " " * 1_000_000 + "x"}]},
    ]  # fmt: skip
    begun = time.process_time()
    assert [check(sandbox_session, body) for body in bodies] == [200, 400, 200, 200, 200, 200]
    assert time.process_time() - begun < 15


def test_deeply_nested_input_neither_hangs_nor_fails(sandbox_session: SandboxServer) -> None:
    deep: Any = {}
    for _ in range(150):
        deep = {"type": "object", "properties": {"a": deep}, "required": ["a"]}
    tools = [{"name": "deep", "input_schema": deep}]
    body = {"model": "claude-sonnet-4-5", "max_tokens": 4000, "messages": [{"role": "user", "content": "hi"}],
            "tools": tools, "tool_choice": {"type": "any"}}  # fmt: skip
    check(sandbox_session, body)
    check(sandbox_session, b'{"model":"x","messages":' + b"[" * 100_000)
