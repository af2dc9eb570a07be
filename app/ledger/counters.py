"""What one thing that happened adds to the ledger's sheets: names of counters, and whole numbers.

A counter's name is a word and what it is counted by, parted by bars: `tokens|ask|read|claude-sonnet-5-5`. Money is in
billionths of a dollar and time in milliseconds, so that sums are exact. Pure.
"""

from dataclasses import dataclass

from app.ledger.histogram import bucket_of
from app.ledger.price import cost_usd, saved_usd
from app.ledger.usage import Usage
from app.ledger.verdict import Cache, Verdict
from app.models import is_known

NANOS = 1_000_000_000
ASK, WARM = "ask", "warm"
CATEGORIES = ("read", "written_5m", "written_1h", "uncached", "output")
STARTS = ("cold", "joined", "warm", "uncacheable")
TIMES = ("first_byte", "first_thinking", "first_text")
# Anyone can name a model; only those that are known here get counters of their own.
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Answered:
    """A turn that was answered: its verdict, and when the model began to think, in ms from acceptance, if it did."""

    turn: str
    context: str
    verdict: Verdict
    first_thinking_ms: int | None = None


def name(*parts: str) -> str:
    """The name of a counter."""
    return "|".join(parts)


def nanos(usd: float) -> int:
    """Dollars as the ledger keeps them."""
    return round(usd * NANOS)


def call_counters(kind: str, model: str, outcome: str, usage: Usage) -> dict[str, int]:
    """What a call adds. A warm would not have been made without a cache: all of its cost counts against what was saved."""
    label = model if is_known(model) else OTHER
    adds = {name("calls", kind, outcome, label): 1}
    adds |= {name("tokens", kind, category, label): getattr(usage, category) for category in CATEGORIES}
    cost, saved = cost_usd(model, usage), saved_usd(model, usage)
    if cost is None or saved is None:
        return adds | {name("unpriced", kind, label): int(usage.input + usage.output > 0)}
    adds[name("cost", kind, label)] = nanos(cost)
    adds[name("priced", kind)] = int(usage.input + usage.output > 0)
    adds["saved"] = nanos(saved if kind == ASK else -cost)
    return adds


def used_counters(model: str, usage: Usage) -> dict[str, int]:
    """What a warm adds once a question has used it."""
    return {
        "used": 1,
        name("used", "cost"): nanos(cost_usd(model, usage) or 0),
        name("used", "tokens"): usage.input + usage.output,
    }


def verdict_counters(answered: Answered) -> dict[str, int]:
    """What a verdict adds."""
    verdict, start = answered.verdict, start_of(answered.verdict)
    times = {
        "first_byte": verdict.ttfb_ms,
        "first_thinking": answered.first_thinking_ms,
        "first_text": verdict.ttft_ms,
    }
    adds = {name("turns", verdict.cache, verdict.reason or ""): 1}
    for what, ms in times.items():
        if ms is not None:
            adds[name("time", what, start, str(bucket_of(ms)))] = 1
            adds[name("sum", what, start)] = ms
    if verdict.cold_ms is not None and verdict.ttft_ms is not None:
        adds["spared"] = max(0, verdict.cold_ms - verdict.ttft_ms)
    return adds


def skip_counters(reason: str) -> dict[str, int]:
    """What a warm adds that was not made, for `reason`."""
    return {name("skips", reason): 1}


def rating_counters(before: str, now: str) -> dict[str, int]:
    """What a reader adds who rated an answer `before`, and rates it so `now`; "" is not at all."""
    return {name("rated", rating): by for rating, by in ((before, -1), (now, 1)) if rating}


def start_of(verdict: Verdict) -> str:
    """How an answer started: it waited for a warm under way (`joined`), read from the cache (`warm`), or did neither.

    What the cache cannot hold is apart, lest short prompts make cold look fast.
    """
    if verdict.cache is Cache.UNCACHEABLE:
        return "uncacheable"
    if verdict.waited_ms > 0:
        return "joined"
    return "warm" if verdict.cache in (Cache.HIT, Cache.PARTIAL) else "cold"
