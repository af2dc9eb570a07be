"""The dashboard's numbers, as `/api/stats` gives them: a stable shape, described field by field in docs/dashboard.md.

Everyone sees the deployment's figures, but names only of contexts that they can ask; all others are summed up as
`elsewhere`, so that the parts are always the whole.
"""

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, TypeVar

from app.ledger.book import Sheets
from app.ledger.figures import Distribution, Figures, distribution, figures, histograms, less, models_of
from app.ledger.histogram import ERROR
from app.web.rooms import Rooms

MOST_CONTEXTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class HourFigures(Figures):
    """The figures of one hour, named by when it began."""

    hour: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFigures(Figures):
    """The figures of one day (UTC)."""

    day: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextFigures(Figures):
    """The figures of one context."""

    context: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoAnswers:
    """The upstream: `kind` is "sandbox", "claude" or "custom"."""

    kind: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingPace:
    """How fast a model was seen to read what is not cached, and what comes before that."""

    base_s: float
    tokens_per_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What speculation has cost in the current hour or day (UTC), calls under way included, and what it may cost."""

    spent_usd: float
    limit_usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    hour: Allowance
    day: Allowance


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Everything that was counted, as of `as_of`. Quantiles are off by at most `quantile_error`, as a share."""

    as_of: str
    upstream: WhoAnswers
    models: dict[str, ReadingPace]
    budget: Budget
    totals: Figures
    distributions: dict[str, dict[str, Distribution]]
    quantile_error: float
    per_hour: list[HourFigures]
    per_day: list[DayFigures]
    per_context: list[ContextFigures]
    elsewhere: Figures


async def collect(rooms: Rooms, asker: str) -> Stats:
    """The numbers as `asker` may see them."""
    names = await rooms.library.names(asker)
    sheets = await rooms.ledger.sheets(list(names))
    found = {context: figures(sheet) for context, sheet in sheets.contexts.items() if sheet.counters}
    shown = sorted(found, key=lambda context: (-found[context].turns, names[context]))[:MOST_CONTEXTS]
    return Stats(
        as_of=datetime.fromtimestamp(sheets.at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        upstream=WhoAnswers(kind=str(rooms.notice["kind"]), label=str(rooms.notice["label"])),
        models=await reading_paces(rooms, sheets),
        budget=await budget(rooms),
        totals=figures(sheets.total),
        distributions={
            what: {start: distribution(histogram) for start, histogram in by_start.items()}
            for what, by_start in histograms(sheets.total.counters).items()
        },
        quantile_error=round(ERROR, 4),
        per_hour=[_of(HourFigures, figures(sheet), hour=f"{hour}:00:00Z") for hour, sheet in sheets.hours.items()],
        per_day=[_of(DayFigures, figures(sheet), day=day) for day, sheet in sheets.days.items()],
        per_context=[_of(ContextFigures, found[context], context=context, name=names[context]) for context in shown],
        elsewhere=figures(less(sheets.total, [sheets.contexts[context] for context in shown])),
    )


async def reading_paces(rooms: Rooms, sheets: Sheets) -> dict[str, ReadingPace]:
    """The pace of every model that was called and told one."""
    paces = {model: await rooms.ledger.pace(model) for model in models_of(sheets.total)}
    return {
        model: ReadingPace(base_s=round(pace.base_s, 3), tokens_per_s=round(1 / pace.seconds_per_token))
        for model, pace in paces.items()
        if pace is not None
    }


async def budget(rooms: Rooms) -> Budget:
    """What speculation has cost, and may."""
    spent, limits = await rooms.spent(), rooms.budget_usd or (None, None)
    hour, day = (Allowance(spent_usd=usd, limit_usd=limit) for usd, limit in zip(spent, limits, strict=True))
    return Budget(hour=hour, day=day)


Kind = TypeVar("Kind", bound=Figures)


def _of(kind: type[Kind], found: Figures, **named: Any) -> Kind:
    return kind(**named, **{field.name: getattr(found, field.name) for field in fields(Figures)})
