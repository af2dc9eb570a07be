"""What is billed: platform docs, prompt caching, "Tracking cache performance", "Mixing different TTLs" and the
minimum sizes."""

from typing import Any

import pytest

from app.sandbox.models import MODELS
from app.sandbox.testing import SandboxServer
from tests.sandbox.conftest import Send
from tests.sandbox.prompts import HOUR, MARK, text, user

MINIMUM = {  # written down here a second time, from the documentation
    512: ["claude-fable-5-1", "claude-mythos-5-1", "claude-opus-5-5", "claude-opus-5", "claude-fable-5",
          "claude-mythos-5", "claude-haiku-5-5"],
    1024: ["claude-opus-4-8", "claude-sonnet-5", "claude-sonnet-4-6", "claude-sonnet-4-5"],
    2048: ["claude-mythos-preview", "claude-opus-4-7"],
    4096: ["claude-opus-4-6", "claude-opus-4-5", "claude-haiku-4-5"],
}  # fmt: skip


def bill(sandbox: SandboxServer, *blocks: dict[str, Any]) -> tuple[int, int, int, int]:
    """(read, written for an hour, written for 5 minutes, uncached)"""
    answer = sandbox.post({"model": "claude-sonnet-4-5", "max_tokens": 0, "messages": [user(*blocks)]})
    usage = answer.json()["usage"]
    kinds = usage["cache_creation"]
    assert usage["cache_creation_input_tokens"] == sum(kinds.values())
    return (
        usage["cache_read_input_tokens"],
        kinds["ephemeral_1h_input_tokens"],
        kinds["ephemeral_5m_input_tokens"],
        usage["input_tokens"],
    )


def test_input_tokens_are_only_those_after_the_last_breakpoint(send: Send) -> None:
    assert send(messages=[user(text("a", 2000, MARK), text("b", 50))]) == (0, 2000, 50)
    assert send(messages=[user(text("a", 2000, MARK), text("b", 50))]) == (2000, 0, 50)


def test_total_input_is_read_plus_created_plus_uncached(sandbox: SandboxServer, send: Send) -> None:
    blocks = [text("a", 2000, MARK), text("b", 300, MARK), text("c", 70)]
    send(messages=[user(text("a", 2000, MARK))])
    counted = sandbox.post({"model": "claude-sonnet-4-5", "messages": [user(*blocks)]}, "/v1/messages/count_tokens")
    assert send(messages=[user(*blocks)]) == (2000, 300, 70)
    assert counted.json() == {"input_tokens": 2370}


def test_more_breakpoints_do_not_cost_more(send: Send) -> None:
    parts = [("a", 1100), ("b", 1200), ("c", 1300), ("d", 1400)]
    assert send(messages=[user(*(text(name, size, MARK) for name, size in parts))])[1] == 5000


def test_mixed_ttls_with_no_hit_bill_a_1h_write_to_b_and_a_5m_write_to_c(sandbox: SandboxServer) -> None:
    blocks = text("a", 2000, HOUR), text("b", 1000, HOUR), text("c", 500, MARK), text("d", 70)
    assert bill(sandbox, *blocks) == (0, 3000, 500, 70)


def test_mixed_ttls_with_a_hit_at_the_first_1h_breakpoint(sandbox: SandboxServer) -> None:
    bill(sandbox, text("a", 2000, HOUR))
    blocks = text("a", 2000, HOUR), text("b", 1000, HOUR), text("c", 500, MARK), text("d", 70)
    assert bill(sandbox, *blocks) == (2000, 1000, 500, 70)


def test_mixed_ttls_with_a_hit_after_the_last_1h_breakpoint_bill_no_1h_write(sandbox: SandboxServer) -> None:
    bill(sandbox, text("a", 2000, HOUR), text("b", 1000, MARK))
    blocks = text("a", 2000, HOUR), text("b", 1000), text("c", 500, MARK), text("d", 70)
    assert bill(sandbox, *blocks) == (3000, 0, 500, 70)


def test_mixed_ttls_with_everything_cached_bill_only_a_read(sandbox: SandboxServer) -> None:
    blocks = text("a", 2000, HOUR), text("b", 1000, MARK), text("d", 70)
    bill(sandbox, *blocks)
    assert bill(sandbox, *blocks) == (3000, 0, 0, 70)


def test_an_entry_that_is_there_keeps_its_lifetime_when_it_is_marked_with_another(sandbox: SandboxServer) -> None:
    bill(sandbox, text("a", 2000, MARK))
    assert bill(sandbox, text("a", 2000, HOUR)) == (2000, 0, 0, 0), "nothing was paid for an hour"
    sandbox.clock.advance(301)
    assert bill(sandbox, text("a", 2000, HOUR)) == (0, 2000, 0, 0)


@pytest.mark.parametrize(("minimum", "model"), [(size, model) for size, ids in MINIMUM.items() for model in ids])
def test_shorter_prompts_cannot_be_cached_and_no_error_is_returned(
    sandbox: SandboxServer, minimum: int, model: str
) -> None:
    factor = MODELS[model].token_factor
    for size, is_cached in ((minimum - 6, False), (minimum + 6, True)):
        block = text(f"sized {size}", round(size / factor), MARK)
        answer = sandbox.post({"model": model, "max_tokens": 0, "messages": [user(block, "question")]})
        assert answer.status_code == 200
        assert bool(answer.json()["usage"]["cache_creation_input_tokens"]) is is_cached


def test_a_breakpoint_below_the_minimum_is_passed_over_and_the_next_one_is_written(send: Send) -> None:
    blocks = [text("small", 500, MARK), text("large", 1000, MARK)]
    assert send(messages=[user(*blocks)]) == (0, 1500, 0)
    assert send(messages=[user(text("small", 500, MARK), text("other", 1000))]) == (0, 0, 1500)
    assert send(messages=[user(*blocks)]) == (1500, 0, 0)
