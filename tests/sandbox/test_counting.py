"""Token counting: platform docs, token counting. What the sandbox counts is an approximation; these tests hold it to
what it promises of itself."""

import asyncio
import pathlib
from typing import Any

import pytest

from app.sandbox.testing import SandboxServer
from tests.sandbox.prompts import MARK, assistant, document, text, tool, user

PATH = "/v1/messages/count_tokens"


def counted(sandbox: SandboxServer, model: str = "claude-sonnet-4-5", **body: Any) -> int:
    answer = sandbox.post({"model": model, **body}, PATH)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["input_tokens"])


def test_it_counts_what_a_message_would_be_billed(sandbox: SandboxServer) -> None:
    body: dict[str, Any] = {
        "tools": [tool("a")],
        "system": "Be kind.",
        "messages": [user(text("a"), document("d", "data")), assistant("ok"), user("é✓")],
    }
    usage = sandbox.post({"model": "claude-sonnet-4-5", "max_tokens": 0, **body}).json()["usage"]
    assert counted(sandbox, **body) == usage["input_tokens"]


def test_it_provides_an_estimate_without_using_caching_logic(sandbox: SandboxServer) -> None:
    blocks = [text("a", mark=MARK), text("b", 100)]
    for _ in range(2):
        assert counted(sandbox, messages=[user(*blocks)]) == 1200
    usage = sandbox.post({"model": "claude-sonnet-4-5", "max_tokens": 0, "messages": [user(*blocks)]}).json()["usage"]
    assert usage["cache_read_input_tokens"] == 0


def test_models_from_4_7_on_count_about_30_percent_more(sandbox: SandboxServer) -> None:
    older = counted(sandbox, "claude-opus-4-6", messages=[user("words " * 2000)])
    newer = counted(sandbox, "claude-opus-4-7", messages=[user("words " * 2000)])
    assert newer == pytest.approx(older * 1.3, rel=0.01)


def test_counts_are_additive_over_blocks(sandbox: SandboxServer) -> None:
    parts = [text("a", 500), text("b", 300), document("d", "data " * 50)]
    singles = [counted(sandbox, messages=[user(part)]) for part in parts]
    assert counted(sandbox, messages=[user(*parts)]) == sum(singles)


def test_images_count_flat_and_inner_blocks_each_as_a_block(sandbox: SandboxServer) -> None:
    big = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 400_000}}
    use = assistant({"type": "tool_use", "id": "t", "name": "a", "input": {}})
    result = {"type": "tool_result", "tool_use_id": "t", "content": [big, text("seen", 500)]}
    without = counted(sandbox, tools=[tool("a")], messages=[user("look"), use])
    within = counted(sandbox, tools=[tool("a")], messages=[user("look"), use, user(result)])
    assert 1500 < within - without < 1600
    custom = {"type": "document", "source": {"type": "content", "content": [big, text("seen", 500)]}}
    assert 1500 <= counted(sandbox, messages=[user(custom)]) < 1510
    cited = {"type": "text", "text": "short", "citations": [{"type": "char_location", "cited_text": "long " * 900}]}
    assert counted(sandbox, messages=[user("hi"), assistant(cited), user("on")]) < 40


def test_the_asyncio_package_comes_to_about_the_cookbooks_151_629_tokens(sandbox: SandboxServer) -> None:
    folder = pathlib.Path(asyncio.__file__).parent
    files = [document(f"asyncio/{f.name}", f.read_text()) for f in sorted(folder.glob("*.py"))]
    assert counted(sandbox, messages=[user(*files)]) == pytest.approx(151_629, rel=0.02)


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [user("hi")], "tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"messages": [user({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}})]},
        {"messages": [user({"type": "document", "source": {"type": "file", "file_id": "file_1"}})]},
    ],
)
def test_it_refuses_server_tools_and_url_and_file_sources(sandbox: SandboxServer, body: Any) -> None:
    answer = sandbox.post({"model": "claude-sonnet-4-5", **body}, PATH)
    assert answer.status_code == 400
    assert "not supported by token counting" in answer.json()["error"]["message"]


def test_it_refuses_fields_that_are_no_part_of_the_prompt(sandbox: SandboxServer) -> None:
    answer = sandbox.post({"model": "claude-sonnet-4-5", "messages": [user("hi")], "stream": True}, PATH)
    assert answer.json()["error"]["message"] == "stream: Extra inputs are not permitted"


def test_an_unknown_model_is_not_found(sandbox: SandboxServer) -> None:
    assert sandbox.post({"model": "claude-nothing", "messages": [user("hi")]}, PATH).status_code == 404
