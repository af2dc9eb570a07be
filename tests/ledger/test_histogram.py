"""Distributions in buckets: what quantiles are read from, and by how much they can be off."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.histogram import ERROR, Histogram, bound, bucket_of

_durations = st.lists(st.integers(1, 10**8), min_size=1, max_size=300)
_shares = st.sampled_from([0.0, 0.01, 0.5, 0.9, 0.99, 1.0])


def histogram(durations: list[int]) -> Histogram:
    counts: dict[int, int] = {}
    for ms in durations:
        counts[bucket_of(ms)] = counts.get(bucket_of(ms), 0) + 1
    return Histogram(counts, sum(durations))


@given(_durations, _shares)
def test_no_quantile_is_off_by_more_than_is_said(durations: list[int], share: float) -> None:
    found = histogram(durations).quantile(share)
    true = sorted(durations)[max(1, ceil(share * len(durations))) - 1]
    assert found is not None
    # Half a millisecond for rounding to whole ones.
    assert abs(found - true) <= ERROR * true + 0.5


@given(_durations)
def test_quantiles_never_fall(durations: list[int]) -> None:
    found = histogram(durations)
    p50, p90, p99 = (found.quantile(share) or 0 for share in (0.5, 0.9, 0.99))
    assert p50 <= p90 <= p99


@given(_durations)
def test_cumulative_counts_are_exact_at_every_doubling_of_a_second(durations: list[int]) -> None:
    bounds = [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 64.0]
    expected = [sum(ms <= limit * 1000 for ms in durations) for limit in bounds]
    assert histogram(durations).cumulative(bounds) == expected


@given(st.integers(1, 2**27))
def test_a_duration_is_within_its_bucket(ms: int) -> None:
    bucket = bucket_of(ms)
    assert bound(bucket - 1) < ms <= bound(bucket)


@pytest.mark.parametrize("ms", [0, 1, 10**12])
def test_what_is_beyond_counts_at_the_end(ms: int) -> None:
    found = histogram([ms])
    assert found.count == 1
    assert found.quantile(0.5) is not None


def test_of_nothing_there_is_no_quantile() -> None:
    assert histogram([]).quantile(0.5) is None
    assert histogram([]).buckets() == []


def test_buckets_say_their_bounds_and_hold_all() -> None:
    found = histogram([900, 910, 2000, 30_000]).buckets()
    assert [bucket.count for bucket in found] == [2, 1, 1]
    assert all(0 < bucket.le_ms / bucket.above_ms - 1 < ERROR + 0.001 for bucket in found)
