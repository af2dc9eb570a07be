"""The ledger for Prometheus: the whole deployment's counters, whichever process is asked, so scrape one. Only what is named
`headstart_process_…` is of the process that answers.

Labels come from lists that are known beforehand: kinds, outcomes, reasons, and models that have a row in the table. No
session, context or owner is ever one.
"""

import asyncio
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from app.ledger.book import Sheets
from app.ledger.counters import NANOS
from app.ledger.figures import Figures, Sums, figures, histograms
from app.web.rooms import Rooms
from app.web.stats import Budget, ReadingPace, budget, reading_paces

# Doublings of a sixteenth of a second up to two minutes: what the ledger's buckets add up to exactly.
TTFT_BOUNDS_S = tuple(2.0**power for power in range(-4, 8))

_TIMES = {
    "first_text": ("headstart_ttft_seconds", "Seconds from a question to the first visible text"),
    "first_byte": ("headstart_ttfb_seconds", "Seconds from a question to the first byte of its answer"),
    "first_thinking": ("headstart_first_thinking_seconds", "Seconds from a question to the first thinking"),
}


async def render(rooms: Rooms) -> bytes:
    """Everything in Prometheus's text format."""
    sheets = await rooms.ledger.sheets(periods=False)
    paces = await reading_paces(rooms, sheets)
    info = InfoMetricFamily("headstart", "What is running")
    info.add_metric([], {"version": rooms.version, "upstream": str(rooms.notice["kind"])})
    registry = CollectorRegistry(auto_describe=False)
    families = [info, *_process(rooms), *_ledger(sheets), *_speculation(await budget(rooms)), *_paces(paces)]
    registry.register(_Families(families))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def _process(rooms: Rooms) -> Iterable[Metric]:
    yield GaugeMetricFamily("headstart_process_turns", "Turns that this process produces", rooms.asking.running)
    yield GaugeMetricFamily("headstart_process_readers", "Streams open at this process", rooms.asking.journal.readers)
    yield GaugeMetricFamily("headstart_process_tasks", "Tasks in this process's event loop", len(asyncio.all_tasks()))


def _ledger(sheets: Sheets) -> Iterable[Metric]:
    sums, known = Sums(sheets.total.counters), figures(sheets.total)
    yield _counter(sums, "upstream_calls", "Calls to the upstream", "calls", ("kind", "outcome", "model"))
    yield _counter(sums, "tokens", "Tokens of those calls", "tokens", ("kind", "category", "model"))
    yield _counter(sums, "cost_usd", "What they cost, where prices are known", "cost", ("kind", "model"), NANOS)
    yield _counter(sums, "unpriced_calls", "Calls of models without known prices", "unpriced", ("kind", "model"))
    yield _counter(sums, "turns", "Questions answered, by what the cache did and why", "turns", ("cache", "reason"))
    yield _counter(sums, "skips", "Warms that were not made, by reason", "skips", ("reason",))
    yield CounterMetricFamily("headstart_warms_used", "Warms that a question used", known.warms_used)
    yield CounterMetricFamily(
        "headstart_waiting_saved_seconds", "Seconds of waiting that the cache saved", known.waiting_saved_ms / 1000
    )
    rated = GaugeMetricFamily(
        "headstart_answers_rated", "Answers by what their readers say of them", labels=("rating",)
    )
    for rating, count in (("good", known.rated_good), ("bad", known.rated_bad)):
        rated.add_metric([rating], count)
    yield rated
    yield from _money(known)
    for what, by_start in histograms(sheets.total.counters).items():
        family = HistogramMetricFamily(*_TIMES[what], labels=("start",))
        for start, histogram in by_start.items():
            counts = [*histogram.cumulative(TTFT_BOUNDS_S), histogram.count]
            bounds = [*map(str, TTFT_BOUNDS_S), "+Inf"]
            family.add_metric([start], list(zip(bounds, counts, strict=True)), histogram.sum_ms / 1000)
        yield family


def _money(known: Figures) -> Iterable[Metric]:
    """What can shrink again, and so is no counter; what is unknown is left out."""
    gauges = {
        "saved_usd": ("Saved against no caching, all warms paid", known.saved_usd),
        "wasted_usd": ("Spent on warms that no question used in time", known.wasted_usd),
        "unused_usd": ("Spent on warms that a question may still use", known.warm_unused_usd),
    }
    for name, (said, usd) in gauges.items():
        if usd is not None:
            yield GaugeMetricFamily(f"headstart_{name}", said, usd)


def _speculation(budget: Budget) -> Iterable[Metric]:
    spent = GaugeMetricFamily(
        "headstart_speculation_spent_usd", "Spent or set aside for warms in this window", labels=("window",)
    )
    limit = GaugeMetricFamily(
        "headstart_speculation_budget_usd", "What may be spent on warms in this window", labels=("window",)
    )
    for window, allowance in (("hour", budget.hour), ("day", budget.day)):
        spent.add_metric([window], allowance.spent_usd)
        if allowance.limit_usd is not None:
            limit.add_metric([window], allowance.limit_usd)
    return spent, limit


def _paces(paces: dict[str, ReadingPace]) -> Iterable[Metric]:
    speed = GaugeMetricFamily(
        "headstart_reading_tokens_per_second", "How fast a model reads what is not cached", labels=("model",)
    )
    base = GaugeMetricFamily("headstart_reading_base_seconds", "What comes before a model's reading", labels=("model",))
    for model, pace in paces.items():
        speed.add_metric([model], pace.tokens_per_s)
        base.add_metric([model], pace.base_s)
    return speed, base


def _counter(sums: Sums, name: str, said: str, word: str, labels: tuple[str, ...], unit: int = 1) -> Metric:
    family = CounterMetricFamily(f"headstart_{name}", said, labels=labels)
    for values, value in sums.matching(word, *(None for _ in labels)):
        family.add_metric(values, value / unit if unit > 1 else value)
    return family
