"""The verdict: what the cache did for a turn, and why.

It compares what was expected before the call with what the upstream counted. Pure.
"""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from app.ledger.price import cost_usd, saved_usd
from app.ledger.usage import Usage


class Cache(StrEnum):
    HIT = "hit"  # the whole prefix was read
    PARTIAL = "partial"  # its beginning was read, the rest written
    MISS = "miss"  # nothing was read
    UNCACHEABLE = "uncacheable"  # nothing was read or written, or the upstream does not say


class Reason(StrEnum):
    NOT_WARMED = "not_warmed"  # nobody had warmed this prefix when the question came
    WARM_FAILED = "warm_failed"  # the warm that should have written it failed
    WARM_ABANDONED = "warm_abandoned"  # the process that warmed it was not heard of again
    JOIN_GAVE_UP = "join_gave_up"  # the warm under way took too long to wait for
    EXPIRED = "expired"  # the entry's lifetime had passed
    BELOW_MINIMUM = "below_minimum"  # the prefix is shorter than the model caches
    PREFIX_CHANGED = "prefix_changed"  # the context was replaced by another version of itself
    MODEL_CHANGED = "model_changed"  # the context is warm, for another model
    PARAMETERS_CHANGED = "parameters_changed"  # the context is warm, for other thinking, effort or lifetime
    EVICTED_UPSTREAM = "evicted_upstream"  # it should have been there, and was not
    NO_USAGE = "upstream_reports_no_usage"  # the upstream does not report what its cache did


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is known just before a call: the tokens that should be read, and why it is not the whole prefix, if it is not.

    `detail` says more about the reason, for people."""

    read: int
    reason: str | None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """A turn's times in milliseconds from when it was accepted; `waited` is the part spent joining a warm. What another
    process saw come is not known."""

    waited: int
    first_byte: int | None
    first_text: int | None
    total: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The contract's verdict. `detail` says more about the reason, for people; `diagnosed` is what the upstream's own cache
    diagnostics say, where it has them; `cold_ms` estimates the time to the first text had nothing been cached."""

    cache: Cache
    reason: str | None
    detail: str | None
    diagnosed: dict[str, Any] | None
    read: int
    written: int
    uncached: int
    output: int
    expected_read: int
    waited_ms: int
    ttfb_ms: int | None
    ttft_ms: int | None
    total_ms: int
    cold_ms: int | None
    cost_usd: float | None
    saved_usd: float | None
    message_id: str | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def judge(
    model: str,
    usage: Usage,
    expected: Expectation,
    timing: Timing,
    *,
    message_id: str | None,
    seconds_per_token: float | None,
    diagnosed: dict[str, Any] | None = None,
) -> Verdict:
    """The verdict on a call to `model`. `seconds_per_token` is the learned price of an uncached token in time."""
    cache = classify(usage)
    reason = _reason(cache, usage, expected)
    return Verdict(
        cache=cache,
        reason=reason,
        detail=_detail(reason, usage, expected),
        diagnosed=diagnosed,
        read=usage.read,
        written=usage.written,
        uncached=usage.uncached,
        output=usage.output,
        expected_read=expected.read,
        waited_ms=timing.waited,
        ttfb_ms=timing.first_byte,
        ttft_ms=timing.first_text,
        total_ms=timing.total,
        cold_ms=_cold_ms(timing, usage, seconds_per_token),
        cost_usd=cost_usd(model, usage),
        saved_usd=saved_usd(model, usage),
        message_id=message_id,
    )


def classify(usage: Usage) -> Cache:
    """What the counters say the cache did."""
    if not usage.reported or (usage.read == 0 and usage.written == 0):
        return Cache.UNCACHEABLE
    if usage.read == 0:
        return Cache.MISS
    return Cache.PARTIAL if usage.written else Cache.HIT


def _reason(cache: Cache, usage: Usage, expected: Expectation) -> str | None:
    if cache is Cache.HIT:
        return None
    if cache is Cache.UNCACHEABLE:
        return Reason.BELOW_MINIMUM if usage.reported else Reason.NO_USAGE
    return Reason.EVICTED_UPSTREAM if usage.read < expected.read or not expected.reason else expected.reason


def _detail(reason: str | None, usage: Usage, expected: Expectation) -> str | None:
    if reason == Reason.EVICTED_UPSTREAM:
        return f"{expected.read:,} tokens should have been in the cache, and {usage.read:,} were"
    return expected.detail if reason == expected.reason else None


def _cold_ms(timing: Timing, usage: Usage, seconds_per_token: float | None) -> int | None:
    if timing.first_text is None or seconds_per_token is None:
        return None
    return round(timing.first_text - timing.waited + usage.read * seconds_per_token * 1000)
