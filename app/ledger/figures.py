"""What a sheet's counters say: counts, money, rates, and how long answers took to start.

Money is known only of models with prices. Where no call of a scope has a price, its money is None and its tokens speak;
where some have none, `unpriced_calls` says of how many calls the money does not speak. Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.ledger.counters import ASK, NANOS, OTHER, STARTS, TIMES, WARM, name
from app.ledger.histogram import Bucket, Histogram
from app.store.ledger import Counters, Sheet

SHARES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """How long answers took, from the question: half of them at most `p50_ms`, and so on. None when there were none."""

    count: int
    p50_ms: int | None
    p90_ms: int | None
    p99_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution(Quantiles):
    """The same, with the buckets that it was read from."""

    sum_ms: int
    buckets: list[Bucket]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the calls and turns of a scope come to.

    `saved_usd` is what the questions would have cost without a cache, less what they and all warms did cost. A warm is used
    by the first question that reads its prefix, unused while one still may, wasted after that. `times` holds what it took
    to the first byte, the first thinking and the first visible text, for answers that started cold, joined a warm under
    way, started warm, or were not cacheable.
    """

    ask_calls: int
    ask_failed: int
    ask_stopped: int
    ask_tokens: int
    ask_cost_usd: float | None
    warm_calls: int
    warm_failed: int
    warm_stopped: int
    warm_tokens: int
    warm_cost_usd: float | None
    warms_used: int
    warm_used_tokens: int
    warm_used_usd: float | None
    warms_unused: int
    warm_unused_tokens: int
    warm_unused_usd: float | None
    wasted_tokens: int
    wasted_usd: float | None
    saved_usd: float | None
    unpriced_calls: int
    tokens_read: int
    tokens_written: int
    tokens_written_5m: int
    tokens_written_1h: int
    tokens_uncached: int
    tokens_output: int
    turns: int
    turns_hit: int
    turns_partial: int
    turns_miss: int
    turns_uncacheable: int
    hit_rate: float | None
    rated_good: int
    rated_bad: int
    waiting_saved_ms: int
    times: dict[str, dict[str, Quantiles]]
    calls: dict[str, dict[str, int]]
    misses: dict[str, int]
    skips: dict[str, int]


class Sums:
    """Counters, added up by what they are counted by. `None` stands for anything."""

    def __init__(self, counters: Counters) -> None:
        self._parts: dict[str, list[tuple[list[str], int]]] = {}
        for counter, value in counters.items():
            # What was counted and taken back is as if it had never been.
            if value:
                word, *parts = counter.split("|")
                self._parts.setdefault(word, []).append((parts, value))

    def of(self, word: str, *pattern: str | None) -> int:
        """The sum of the counters named `word` that match."""
        return sum(value for _, value in self.matching(word, *pattern))

    def by(self, place: int, word: str, *pattern: str | None) -> dict[str, int]:
        """The same for each value at `place` of the pattern, largest first."""
        sums: dict[str, int] = {}
        for parts, value in self.matching(word, *pattern):
            sums[parts[place]] = sums.get(parts[place], 0) + value
        return dict(sorted(sums.items(), key=lambda one: (-one[1], one[0])))

    def matching(self, word: str, *pattern: str | None) -> Iterator[tuple[list[str], int]]:
        """The counters named `word` that match: what each is counted by, and its value."""
        for parts, value in self._parts.get(word, ()):
            if len(parts) == len(pattern) and all(
                wanted in (None, part) for part, wanted in zip(parts, pattern, strict=True)
            ):
                yield parts, value


def figures(sheet: Sheet) -> Figures:
    """What `sheet` comes to."""
    sums, unused = Sums(sheet.counters), Sums(sheet.unused)
    turns, hits = sums.of("turns", None, None), sums.of("turns", "hit", None)
    uncacheable = sums.of("turns", "uncacheable", None)
    written = {ttl: sums.of("tokens", None, f"written_{ttl}", None) for ttl in ("5m", "1h")}
    return Figures(
        **_calls_of(ASK, sums),
        **_calls_of(WARM, sums),
        **_use_of_warms(sums, unused),
        saved_usd=_usd(sums, sums.of("saved"), None),
        unpriced_calls=sums.of("unpriced", None, None),
        tokens_read=sums.of("tokens", None, "read", None),
        tokens_written=sum(written.values()),
        tokens_written_5m=written["5m"],
        tokens_written_1h=written["1h"],
        tokens_uncached=sums.of("tokens", None, "uncached", None),
        tokens_output=sums.of("tokens", None, "output", None),
        turns=turns,
        turns_hit=hits,
        turns_partial=sums.of("turns", "partial", None),
        turns_miss=sums.of("turns", "miss", None),
        turns_uncacheable=uncacheable,
        hit_rate=hits / (turns - uncacheable) if turns > uncacheable else None,
        rated_good=sums.of("rated", "good"),
        rated_bad=sums.of("rated", "bad"),
        waiting_saved_ms=sums.of("spared"),
        times={
            what: {start: Quantiles(**_quantiles(histogram)) for start, histogram in by_start.items()}
            for what, by_start in histograms(sheet.counters).items()
        },
        calls={kind: sums.by(1, "calls", kind, None, None) for kind in (ASK, WARM)},
        misses={reason: count for reason, count in sums.by(1, "turns", None, None).items() if reason},
        skips=sums.by(0, "skips", None),
    )


def histograms(counters: Counters) -> dict[str, dict[str, Histogram]]:
    """For each of `TIMES` and each of `STARTS`, the histogram of the durations."""
    counts: dict[tuple[str, str], dict[int, int]] = {}
    for counter, value in counters.items():
        if counter.startswith("time|"):
            _, what, start, bucket = counter.split("|")
            counts.setdefault((what, start), {})[int(bucket)] = value
    return {
        what: {
            start: Histogram(counts.get((what, start), {}), counters.get(name("sum", what, start), 0))
            for start in STARTS
        }
        for what in TIMES
    }


def distribution(histogram: Histogram) -> Distribution:
    """`histogram` as it is shown."""
    return Distribution(**_quantiles(histogram), sum_ms=histogram.sum_ms, buckets=histogram.buckets())


def models_of(sheet: Sheet) -> list[str]:
    """The models that were called and have a name here."""
    called = Sums(sheet.counters).by(2, "calls", None, None, None)
    return [model for model in called if model != OTHER]


def less(whole: Sheet, parts: list[Sheet]) -> Sheet:
    """What of `whole` is counted in none of `parts`, which are parts of it."""
    return Sheet(
        _less(whole.counters, [part.counters for part in parts]),
        _less(whole.unused, [part.unused for part in parts]),
    )


def _calls_of(kind: str, sums: Sums) -> dict[str, Any]:
    outcomes = sums.by(1, "calls", kind, None, None)
    return {
        f"{kind}_calls": sum(outcomes.values()),
        f"{kind}_failed": sum(count for outcome, count in outcomes.items() if outcome not in ("ok", "stopped")),
        f"{kind}_stopped": outcomes.get("stopped", 0),
        f"{kind}_tokens": sums.of("tokens", kind, None, None),
        f"{kind}_cost_usd": _usd(sums, sums.of("cost", kind, None), kind),
    }


def _use_of_warms(sums: Sums, unused: Sums) -> dict[str, Any]:
    spent, used, waiting = sums.of("cost", WARM, None), sums.of("used", "cost"), unused.of("used", "cost")
    tokens = {"all": sums.of("tokens", WARM, None, None), "used": sums.of("used", "tokens")}
    tokens["unused"] = unused.of("used", "tokens")
    return {
        "warms_used": sums.of("used"),
        "warm_used_tokens": tokens["used"],
        "warm_used_usd": _usd(sums, used, WARM),
        "warms_unused": unused.of("used"),
        "warm_unused_tokens": tokens["unused"],
        "warm_unused_usd": _usd(sums, waiting, WARM),
        "wasted_tokens": tokens["all"] - tokens["used"] - tokens["unused"],
        "wasted_usd": _usd(sums, spent - used - waiting, WARM),
    }


def _usd(sums: Sums, amount: int, kind: str | None) -> float | None:
    """`amount` in dollars; None where calls were made, and not one of them has a price."""
    unknown = not sums.of("priced", kind) and sums.of("unpriced", kind, None)
    return None if unknown else amount / NANOS


def _quantiles(histogram: Histogram) -> dict[str, Any]:
    return {"count": histogram.count, **{field: histogram.quantile(share) for field, share in SHARES.items()}}


def _less(whole: Mapping[str, int], parts: list[Counters]) -> dict[str, int]:
    return {counter: value - sum(part.get(counter, 0) for part in parts) for counter, value in whole.items()}
