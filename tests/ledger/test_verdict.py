"""The verdict: what the cache did for a turn, and why it was not more."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.usage import Usage
from app.ledger.verdict import Cache, Expectation, Reason, Timing, Verdict, classify, judge

QUICK = Timing(waited=0, first_byte=300, first_text=500, total=2000)
HIT = Usage(uncached=25, read=1000, output=9, reported=True)
PARTIAL = Usage(uncached=25, read=600, written_5m=400, output=9, reported=True)
MISS = Usage(uncached=25, written_5m=1000, output=9, reported=True)
NOTHING = Usage(uncached=1025, output=9, reported=True)
SILENT = Usage(uncached=1025, output=9)


def verdict(usage: Usage, expected: Expectation, timing: Timing = QUICK, pace: float | None = None) -> Verdict:
    return judge("claude-haiku-4-5", usage, expected, timing, message_id="msg_1", seconds_per_token=pace)


@pytest.mark.parametrize(
    ("usage", "cache"),
    [
        (HIT, Cache.HIT),
        (PARTIAL, Cache.PARTIAL),
        (MISS, Cache.MISS),
        (Usage(written_1h=1000, reported=True), Cache.MISS),
        (NOTHING, Cache.UNCACHEABLE),
        (SILENT, Cache.UNCACHEABLE),
        (Usage(read=1000), Cache.UNCACHEABLE),
        (Usage(), Cache.UNCACHEABLE),
    ],
)
def test_the_counters_decide_what_it_was(usage: Usage, cache: Cache) -> None:
    assert classify(usage) is cache


def test_a_hit_needs_no_reason() -> None:
    for reason in (None, *Reason):
        assert verdict(HIT, Expectation(1000, reason)).reason is None


@pytest.mark.parametrize("usage", [MISS, PARTIAL])
def test_what_was_not_expected_to_be_read_has_the_reason_that_was_known(usage: Usage) -> None:
    for reason in (Reason.NOT_WARMED, Reason.EXPIRED, Reason.WARM_FAILED, Reason.JOIN_GAVE_UP, Reason.PREFIX_CHANGED):
        found = verdict(usage, Expectation(usage.read, reason, "because"))
        assert (found.reason, found.detail) == (reason, "because")


@pytest.mark.parametrize("usage", [MISS, PARTIAL])
def test_what_was_expected_and_not_read_was_evicted_by_the_upstream(usage: Usage) -> None:
    for reason in (None, Reason.NOT_WARMED):
        found = verdict(usage, Expectation(1000, reason, "because"))
        assert found.reason == Reason.EVICTED_UPSTREAM
        assert found.detail == f"1,000 tokens should have been in the cache, and {usage.read:,} were"


def test_a_prefix_that_was_neither_read_nor_written_is_too_short() -> None:
    assert verdict(NOTHING, Expectation(0, Reason.NOT_WARMED)).reason == Reason.BELOW_MINIMUM


def test_an_upstream_that_does_not_say_is_not_blamed() -> None:
    found = verdict(SILENT, Expectation(1000, None))
    assert (found.cache, found.reason) == (Cache.UNCACHEABLE, Reason.NO_USAGE)


def test_the_estimate_of_a_cold_start_adds_the_time_to_read_what_was_read() -> None:
    # 151,629 tokens at 7,440 a second take 20.38 s.
    read = Usage(read=151_629, reported=True)
    found = verdict(read, Expectation(151_629, None), Timing(0, 300, 1940, 8400), 1 / 7440)
    assert found.cold_ms == round(1940 + 151_629 / 7.44)
    joined = verdict(read, Expectation(151_629, None), Timing(10_000, 11_000, 11_940, 18_400), 1 / 7440)
    assert joined.cold_ms == found.cold_ms
    assert (joined.waited_ms, joined.ttfb_ms, joined.ttft_ms, joined.total_ms) == (10_000, 11_000, 11_940, 18_400)


def test_without_a_pace_or_a_text_there_is_no_estimate() -> None:
    assert verdict(HIT, Expectation(1000, None)).cold_ms is None
    assert verdict(HIT, Expectation(1000, None), Timing(0, 300, None, 400), 0.001).cold_ms is None


def test_it_says_everything_the_contract_says_as_json() -> None:
    found = json.loads(json.dumps(verdict(HIT, Expectation(1000, None)).as_json()))
    assert {
        *("cache", "reason", "read", "written", "uncached", "output", "expected_read", "waited_ms", "ttfb_ms"),
        *("ttft_ms", "total_ms", "cost_usd", "saved_usd", "message_id"),
    } <= found.keys()
    assert (found["cache"], found["message_id"], found["read"], found["output"]) == ("hit", "msg_1", 1000, 9)
    # 25 × 1 + 1,000 × 0.10 + 9 × 5, per million; without a cache 1,025 × 1 + 45
    assert found["cost_usd"] == pytest.approx(0.00017)
    assert found["saved_usd"] == pytest.approx(0.0009)


counts = st.integers(0, 10**6)
reasons = st.one_of(st.none(), st.sampled_from(list(Reason)))


@given(st.builds(Usage, counts, counts, counts, counts, counts, st.booleans()), counts, reasons)
def test_whatever_is_not_a_hit_has_a_reason(usage: Usage, expected: int, reason: str | None) -> None:
    found = verdict(usage, Expectation(expected, reason))
    assert (found.reason is None) == (found.cache is Cache.HIT)
