"""Token counts as they come: whole, in parts, from servers that say little, and as garbage."""

from typing import Any

import pytest
from anthropic.types import MessageDeltaUsage
from anthropic.types import Usage as SdkUsage
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.price import cost_usd
from app.ledger.usage import Usage

WHOLE = {
    "input_tokens": 25,
    "cache_read_input_tokens": 1000,
    "cache_creation_input_tokens": 500,
    "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 300},
    "output_tokens": 7,
}


def test_a_whole_report_is_taken_whole() -> None:
    usage = Usage().updated(WHOLE)
    assert usage == Usage(uncached=25, read=1000, written_5m=200, written_1h=300, output=7, reported=True)
    assert (usage.written, usage.input) == (500, 1525)


def test_without_a_split_everything_was_written_for_five_minutes() -> None:
    report = {name: value for name, value in WHOLE.items() if name != "cache_creation"}
    assert Usage().updated(report) == Usage(25, 1000, 500, 0, 7, True)
    assert Usage().updated({**WHOLE, "cache_creation": None}) == Usage(25, 1000, 500, 0, 7, True)


def test_the_end_of_a_stream_counts_on_from_its_start() -> None:
    start = Usage().updated({**WHOLE, "output_tokens": 1})
    assert start.updated({"output_tokens": 330}) == Usage(25, 1000, 200, 300, 330, True)
    cumulative = {"input_tokens": 30, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 500}
    assert start.updated({**cumulative, "output_tokens": 330}) == Usage(30, 1000, 200, 300, 330, True)
    assert start.updated({**dict.fromkeys(cumulative), "output_tokens": 330}) == Usage(25, 1000, 200, 300, 330, True)


def test_a_server_without_a_cache_is_told_from_one_that_read_nothing() -> None:
    assert not Usage().updated({"input_tokens": 10, "output_tokens": 2}).reported
    assert not Usage().updated({"input_tokens": 10, "cache_read_input_tokens": None}).reported
    assert Usage().updated({"input_tokens": 10, "cache_read_input_tokens": 0}).reported


@pytest.mark.parametrize("raw", [None, 5, "x", [], [1], True, {}, {"cache_creation": 3}, {"service_tier": "standard"}])
def test_what_says_nothing_changes_nothing(raw: Any) -> None:
    assert Usage(1, 2, 3, 4, 5, True).updated(raw) == Usage(1, 2, 3, 4, 5, True)


@pytest.mark.parametrize("odd", ["12", 1.5, -1, None, [], {}, 10**400])
def test_a_count_that_is_none_leaves_the_one_before(odd: Any) -> None:
    counts = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
    before = Usage(1, 2, 3, 4, 5, True)
    assert before.updated(dict.fromkeys(counts, odd)) == before


def test_more_of_an_hour_than_was_written_at_all_is_all_of_it() -> None:
    split = {"cache_creation_input_tokens": 10, "cache_creation": {"ephemeral_1h_input_tokens": 99}}
    assert Usage().updated(split) == Usage(written_1h=10)


_values = st.one_of(st.none(), st.integers(), st.floats(allow_nan=False), st.text(max_size=3), st.booleans())
_names = st.sampled_from([*sorted(WHOLE), "other"])
_raw = st.dictionaries(_names, st.one_of(_values, st.dictionaries(st.sampled_from(sorted(WHOLE)), _values)))


@given(st.lists(st.one_of(_raw, _values), max_size=4))
def test_whatever_comes_it_stays_a_usage_that_can_be_priced(reports: list[Any]) -> None:
    usage = Usage()
    for raw in reports:
        usage = usage.updated(raw)
    assert min(usage.uncached, usage.read, usage.written_5m, usage.written_1h, usage.output) >= 0
    assert usage.input == usage.uncached + usage.read + usage.written
    assert (cost_usd("claude-sonnet-5-5", usage) or 0) >= 0


_tokens = st.integers(0, 10**6)


@given(_tokens, _tokens, _tokens, _tokens, _tokens)
def test_the_sdks_own_usage_objects_are_read_as_they_mean(
    uncached: int, read: int, five: int, hour: int, output: int
) -> None:
    started = SdkUsage.model_validate(
        {
            "input_tokens": uncached,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": five + hour,
            "cache_creation": {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour},
            "output_tokens": 1,
        }
    )
    ended = MessageDeltaUsage.model_validate({"output_tokens": output})
    usage = Usage().updated(started.model_dump(mode="json")).updated(ended.model_dump(mode="json"))
    assert usage == Usage(uncached, read, five, hour, output, True)
