"""Distributions of durations that can be added up: counts in buckets whose bounds grow by the sixteenth root of two.

A bucket's width is 4.4 % of its lower bound, so no quantile is off by more than that from the one of all durations kept
apart. A second is a bound, and so is every doubling and halving of it. Pure.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, exp2

PER_DOUBLING = 16
GROWTH = exp2(1 / PER_DOUBLING)
ERROR = GROWTH - 1
# From a millisecond to three days; what is beyond counts in the last bucket on its side.
_LEAST, _MOST = -10 * PER_DOUBLING, 18 * PER_DOUBLING

# Upper bounds, inclusive, in milliseconds. Bucket n ends at the one after n steps from a second.
_BOUNDS = [1000 * exp2(step / PER_DOUBLING) for step in range(_LEAST, _MOST + 1)]


def bucket_of(ms: int) -> int:
    """The bucket that `ms` counts in."""
    return min(_MOST, _LEAST + bisect_left(_BOUNDS, ms))


def bound(bucket: int) -> float:
    """The upper bound of `bucket` in milliseconds, which is in it."""
    return _BOUNDS[bucket - _LEAST]


@dataclass(frozen=True, slots=True)
class Bucket:
    """`count` durations of more than `above_ms` and at most `le_ms` milliseconds."""

    above_ms: float
    le_ms: float
    count: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many durations fell into each bucket, and their sum."""

    counts: Mapping[int, int]
    sum_ms: int

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def quantile(self, share: float) -> int | None:
        """The duration in ms that `share` of all do not exceed, by nearest rank; None when there are none."""
        rank = max(1, ceil(share * self.count))
        below = 0
        for bucket, count in sorted(self.counts.items()):
            if below + count >= rank:
                # Spread evenly over the bucket, on the scale on which buckets are evenly wide.
                return round(bound(bucket) * exp2(((rank - below - 0.5) / count - 1) / PER_DOUBLING))
            below += count
        return None

    def buckets(self) -> list[Bucket]:
        """The buckets that hold something, shortest first."""
        return [
            Bucket(round(bound(bucket) / GROWTH, 1), round(bound(bucket), 1), count)
            for bucket, count in sorted(self.counts.items())
        ]

    def cumulative(self, bounds_s: Sequence[float]) -> list[int]:
        """How many durations are at most each of `bounds_s`; exact where these are doublings or halvings of a second."""
        within = [(bound(bucket), count) for bucket, count in self.counts.items()]
        return [sum(count for le, count in within if le <= limit * 1000) for limit in bounds_s]
