"""What the dashboard shows of the numbers, and in which words: cards, charts with their tables, and lists of reasons."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from markupsafe import Markup

from app.ledger.figures import Figures
from app.web.charts import Chart, Row, Series, columns, lines, rows
from app.web.numbers import UNKNOWN, compact, count, duration, money, seconds, several, share
from app.web.stats import Stats

Span = Literal["hours", "days"]

# What a chart is drawn for: a column of the page, and a phone.
WIDE, NARROW = 560, 330

STARTS = {"warm": "Warm", "joined": "Joined a warm", "cold": "Cold", "uncacheable": "Not cacheable"}
TIMES = {"first_byte": "First byte", "first_thinking": "First thinking", "first_text": "First text"}

MISSES = {
    "not_warmed": "Nothing had warmed it",
    "warm_failed": "Warming it had failed",
    "warm_abandoned": "The server that warmed it went away",
    "join_gave_up": "Warming took too long to wait for",
    "expired": "The cache had expired",
    "below_minimum": "Too short for the model to cache",
    "prefix_changed": "The context was replaced",
    "model_changed": "Warm for another model",
    "parameters_changed": "Warm for other parameters",
    "evicted_upstream": "The upstream had dropped it",
    "upstream_reports_no_usage": "The upstream does not say what its cache did",
}
SKIPS = {
    "already_warm": "It was warm already",
    "below_minimum": "Too short for the model to cache",
    "disabled": "Warming is turned off",
    "rate_limited": "Too many warms asked for",
    "budget_spent": "The budget is spent",
    "upstream_refusing": "The upstream refuses calls now",
    "not_worth_it": "Too seldom followed by a question",
}


@dataclass(frozen=True, slots=True)
class Card:
    """A large figure."""

    name: str
    value: str
    said: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart in two widths, what its colours mean, and its numbers as a table."""

    id: str
    title: str
    note: str
    wide: Markup
    narrow: Markup
    legend: Sequence[tuple[str, str]]
    head: Sequence[str]
    table: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Reasons:
    """How often each reason was given, in words, with its share of the most frequent one in tenths."""

    lines: Sequence[tuple[str, int, int]]


def view(stats: Stats, span: Span | None) -> dict[str, Any]:
    """What the template shows of `stats`, over the last `span`."""
    span = span or usual_span(stats)
    return {
        "span": span,
        "cards": cards(stats.totals),
        "panels": panels(stats, span),
        "starts": starts(stats),
        "misses": reasons(stats.totals.misses, MISSES),
        "skips": reasons(stats.totals.skips, SKIPS),
        "empty": not stats.totals.ask_calls + stats.totals.warm_calls + sum(stats.totals.skips.values()),
    }


def usual_span(stats: Stats) -> Span:
    """Days, once there are two to compare."""
    return "days" if sum(day.ask_calls + day.warm_calls > 0 for day in stats.per_day) > 1 else "hours"


def cards(totals: Figures) -> list[Card]:
    """The figures that matter most."""
    first = totals.times["first_text"]
    warm = first["warm"] if first["warm"].count else first["joined"]
    each = totals.waiting_saved_ms / totals.turns if totals.turns else None
    return [
        Card("Cache hits", share(totals.hit_rate), _hits_of(totals)),
        Card("First text when warm", seconds(warm.p50_ms), f"{seconds(first['cold'].p50_ms)} when cold, at the median"),
        Card("Waiting saved", duration(totals.waiting_saved_ms), f"{seconds(each)} a question"),
        Card("Saved against no caching", money(totals.saved_usd), _saved_how(totals)),
    ]


def panels(stats: Stats, span: Span) -> list[Panel]:
    """How it went over time."""
    if span == "hours":
        periods: Sequence[Figures] = stats.per_hour
        ticks = [f"{hour.hour[11:13]}:00" for hour in stats.per_hour]
        names = [f"{hour.hour[:10]}, {hour.hour[11:16]} UTC" for hour in stats.per_hour]
    else:
        periods = stats.per_day
        days = [date.fromisoformat(day.day) for day in stats.per_day]
        ticks, names = [f"{day.day} {day:%b}" for day in days], [day.isoformat() for day in days]

    def chart(title: str, unit: Callable[[float | None], str], *series: Series) -> Chart:
        return Chart(title, ticks, names, series, unit, whole=unit in (count, compact))

    return [
        _panel(
            "questions",
            "Questions",
            "By what the cache did for them.",
            columns,
            chart("Questions", count, *_turns(periods)),
        ),
        _panel(
            "first-text",
            "Time to the first text",
            "Half of the answers took no longer.",
            lines,
            chart("Median time to the first text", seconds, *_medians(periods)),
        ),
        _spending(stats, periods, chart),
    ]


def starts(stats: Stats) -> Panel:
    """How long answers took to start, by how they started."""
    first = stats.distributions["first_text"]
    distributions = [
        Row(
            name,
            start,
            f"{several(first[start].count, 'answer')}, median {seconds(first[start].p50_ms)}"
            if first[start].count
            else "none yet",
            [(bucket.le_ms, bucket.count) for bucket in first[start].buckets],
            first[start].p50_ms,
        )
        for start, name in STARTS.items()
        if first[start].count or start != "uncacheable"
    ]
    title = "Distribution of the time to the first text"
    table = [
        [said, name, count(found.count), seconds(found.p50_ms), seconds(found.p90_ms), seconds(found.p99_ms)]
        for what, said in reversed(TIMES.items())
        for start, name in STARTS.items()
        if (found := stats.distributions[what][start]).count
    ]
    return Panel(
        "starts",
        "Until the answer starts",
        "From the question to the first visible text. The mark is the median.",
        rows(title, distributions, 2 * WIDE),
        rows(title, distributions, NARROW),
        [],
        ["Time to", "Answers that started", "Count", "p50", "p90", "p99"],
        table,
    )


def reasons(counts: dict[str, int], words: dict[str, str]) -> Reasons:
    """`counts` by reason, most frequent first."""
    most = max(counts.values(), default=1)
    return Reasons(
        [
            (words.get(reason, reason.replace("_", " ").capitalize()), number, max(1, round(10 * number / most)))
            for reason, number in counts.items()
        ]
    )


def _turns(periods: Sequence[Figures]) -> list[Series]:
    return [
        Series("Hit", "hit", [period.turns_hit for period in periods]),
        Series("Partial hit", "partial", [period.turns_partial for period in periods]),
        Series("Miss", "miss", [period.turns_miss for period in periods]),
        Series("Not cacheable", "uncacheable", [period.turns_uncacheable for period in periods]),
    ]


def _medians(periods: Sequence[Figures]) -> list[Series]:
    medians = [
        Series(name, start, [period.times["first_text"][start].p50_ms for period in periods])
        for start, name in STARTS.items()
    ]
    return [series for series in medians if series.mark != "uncacheable" or any(series.values)]


def _spending(stats: Stats, periods: Sequence[Figures], chart: Callable[..., Chart]) -> Panel:
    """Money, or tokens where no price is known."""
    totals = stats.totals
    if totals.ask_cost_usd is None and totals.warm_cost_usd in (None, 0):
        series = [
            Series("Answers", "answers", [period.ask_tokens for period in periods]),
            Series("Warms", "used", [period.warm_tokens - period.wasted_tokens for period in periods]),
            Series("Wasted warms", "wasted", [period.wasted_tokens for period in periods]),
        ]
        return _panel(
            "spent",
            "Tokens",
            "No price is known of the models that were called.",
            columns,
            chart("Tokens", compact, *series),
        )
    series = [
        Series("Answers", "answers", [period.ask_cost_usd for period in periods]),
        Series("Warms", "used", [(period.warm_cost_usd or 0) - (period.wasted_usd or 0) for period in periods]),
        Series("Wasted warms", "wasted", [period.wasted_usd for period in periods]),
    ]
    note = "Wasted is what was warmed and used by no question in time."
    return _panel("spent", "Spent", note, columns, chart("Money spent", money, *series))


def _panel(id: str, title: str, note: str, draw: Callable[[Chart, int], Markup], chart: Chart) -> Panel:
    return Panel(
        id,
        title,
        note,
        draw(chart, WIDE),
        draw(chart, NARROW),
        [(series.name, series.mark) for series in chart.series],
        ["When (UTC)", *(series.name for series in chart.series)],
        [
            [name, *(chart.unit(series.values[place]) for series in chart.series)]
            for place, name in enumerate(chart.names)
            if any(series.values[place] for series in chart.series)
        ],
    )


def _hits_of(totals: Figures) -> str:
    cacheable = totals.turns - totals.turns_uncacheable
    others = f", {count(totals.turns_uncacheable)} not cacheable" if totals.turns_uncacheable else ""
    return f"{count(totals.turns_hit)} of {several(cacheable, 'question')}{others}"


def _saved_how(totals: Figures) -> str:
    if totals.saved_usd is None:
        return f"{compact(totals.tokens_read)} tokens read from the cache; no price is known"
    wasted = "" if (totals.wasted_usd or 0) < 0.01 else f", {money(totals.wasted_usd)} of it wasted"
    spent = UNKNOWN if totals.warm_cost_usd is None else money(totals.warm_cost_usd)
    return f"after {spent} for warming{wasted}"
