"""Charts as SVG, drawn here so that a page needs no script for them: columns, lines, and distributions in rows.

A chart is drawn for a width, at which its letters have the size of the page's; colours come from classes of the page's
style sheet, one per series. Charts are images to assistive tools: the page shows their numbers in a table. Pure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil, exp2, floor, log2, log10

from markupsafe import Markup

from app.web.numbers import seconds

LEFT, RIGHT, TOP, BOTTOM = 46, 6, 12, 24
HEIGHT = 210
ROW = 66
LABEL_ROOM = 42
LINE = 14
# Bars of a distribution in a doubling of time.
PER_DOUBLING = 4
# The times that an empty chart of distributions shows: a quarter of a second to half a minute.
_USUAL = (-7, 20)


@dataclass(frozen=True, slots=True)
class Series:
    """Values over the chart's periods, None where there is none; `mark` is the class that colours them."""

    name: str
    mark: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """Several series over the same periods: `ticks` names these in little room, `names` in full. `whole` says that there are
    only whole numbers of what is counted."""

    title: str
    ticks: Sequence[str]
    names: Sequence[str]
    series: Sequence[Series]
    unit: Callable[[float | None], str]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One distribution: bars of (upper bound in ms, count), and what is said about it."""

    name: str
    mark: str
    said: str
    bars: Sequence[tuple[float, int]]
    median_ms: float | None


def columns(chart: Chart, width: int) -> Markup:
    """A column for each period, its series on top of one another."""
    stacks = [[series.values[place] or 0 for series in chart.series] for place in range(len(chart.names))]
    most = max((sum(stack) for stack in stacks), default=0)
    if not most:
        return _nothing(chart.title, width)
    scale = _Scale(most, width, len(stacks), whole=chart.whole)
    parts = [_axes(chart, scale, width)]
    for place, stack in enumerate(stacks):
        x, wide = scale.x(place) - scale.step * 0.38, scale.step * 0.76
        bars = [
            Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
                series.mark, x, scale.y(top), wide, scale.y(base) - scale.y(top)
            )
            for series, (base, top) in zip(chart.series, pairwise(accumulate(stack, initial=0)), strict=True)
            if top > base
        ]
        parts.append(_period(chart, scale, place, Markup("").join(bars)))
    return _svg(chart.title, width, HEIGHT, parts)


def lines(chart: Chart, width: int) -> Markup:
    """A line for each series, with a dot at every value; broken where a period has none. Where no series has two values,
    there is no line to follow: each dot is larger, and says what it is."""
    known = [value for series in chart.series for value in series.values if value is not None]
    if not any(known):
        return _nothing(chart.title, width)
    scale = _Scale(max(known), width, len(chart.names), whole=chart.whole)
    parts = [_axes(chart, scale, width)]
    alone = all(sum(value is not None for value in series.values) < 2 for series in chart.series)
    for series in chart.series:
        points = [(place, value) for place, value in enumerate(series.values) if value is not None]
        path = "".join(
            f"{'L' if number and points[number - 1][0] == place - 1 else 'M'}{scale.x(place):.1f} {scale.y(value):.1f}"
            for number, (place, value) in enumerate(points)
        )
        parts.append(Markup('<path class="{}" d="{}"/>').format(series.mark, path))
        parts += [
            Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{}"/>').format(
                series.mark, scale.x(place), scale.y(value), 5 if alone else 3
            )
            for place, value in points
        ]
    parts += _said_of_dots(chart, scale) if alone else []
    parts += [_period(chart, scale, place, Markup()) for place in range(len(chart.names))]
    return _svg(chart.title, width, HEIGHT, parts)


def rows(title: str, distributions: Sequence[Row], width: int) -> Markup:
    """Distributions below one another, over the same times; each as tall as its own largest bar."""
    merged = [_merged(row.bars) for row in distributions]
    steps = [step for bars in merged for step in bars] or list(_USUAL)
    first, last = floor((min(steps) - 1) / PER_DOUBLING), ceil(max(steps) / PER_DOUBLING)
    doubling = (width - 2 * RIGHT) / (last - first)
    height = ROW * len(distributions) + BOTTOM

    def x(step: float) -> float:
        return RIGHT + (step / PER_DOUBLING - first) * doubling

    parts = []
    every = ceil(LABEL_ROOM / doubling)
    for power in range(first, last + 1):
        parts.append(_rule(x(power * PER_DOUBLING), 0, x(power * PER_DOUBLING), height - BOTTOM))
        if (power - first) % every == 0:
            anchor = "start" if power == first else "end" if power == last else "middle"
            parts.append(_text(x(power * PER_DOUBLING), height - 8, f"{2.0**power:g} s", anchor))
    for place, (row, bars) in enumerate(zip(distributions, merged, strict=True)):
        base, tallest = (place + 1) * ROW, max(bars.values(), default=0)
        parts.append(_rule(RIGHT, base, width - RIGHT, base))
        for step, number in sorted(bars.items()):
            tall = number / tallest * (ROW - 24)
            said = f"{number:,} from {seconds(_ms(step - 1))} to {seconds(_ms(step))}"
            parts.append(
                Markup(
                    '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>'
                ).format(row.mark, x(step - 1) + 0.5, base - tall, x(step) - x(step - 1) - 1, tall, said)
            )
        if row.median_ms is not None:
            median = x(PER_DOUBLING * log2(max(row.median_ms, 1) / 1000))
            parts.append(_rule(median, base - ROW + 22, median, base, "median"))
        parts.append(
            Markup('<text x="{}" y="{}"><tspan class="name">{}</tspan> {}</text>').format(
                RIGHT, base - ROW + 14, row.name, row.said
            )
        )
    return _svg(title, width, height, parts)


class _Scale:
    """From values and periods to places in the drawing."""

    def __init__(self, most: float, width: int, periods: int, *, whole: bool) -> None:
        self.ticks = round_ticks(most, whole=whole)
        self.step = (width - LEFT - RIGHT) / max(1, periods)

    def x(self, place: int) -> float:
        return LEFT + (place + 0.5) * self.step

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - value / self.ticks[-1] * (HEIGHT - BOTTOM - TOP)


def round_ticks(most: float, *, whole: bool = False) -> list[float]:
    """Round values from 0 to `most` or a little more, at most five of them above 0."""
    rough = most / 4
    size = 10.0 ** floor(log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * 0.999)
    step = max(1.0, ceil(step)) if whole else step
    return [step * number for number in range(ceil(most / step * 0.999) + 1)]


def _axes(chart: Chart, scale: _Scale, width: int) -> Markup:
    parts = []
    for tick in scale.ticks:
        parts.append(_rule(LEFT, scale.y(tick), width - RIGHT, scale.y(tick)))
        parts.append(_text(LEFT - 6, scale.y(tick) + 4, chart.unit(tick), "end"))
    every = ceil(LABEL_ROOM / scale.step)
    last = len(chart.ticks) - 1
    for place, name in enumerate(chart.ticks):
        if (last - place) % every == 0:
            parts.append(_text(scale.x(place), HEIGHT - 8, name, "middle"))
    return Markup("").join(parts)


def _said_of_dots(chart: Chart, scale: _Scale) -> list[Markup]:
    """The name and value of every dot beside it, on the side with more room, and never one upon another."""
    dots = sorted(
        (scale.y(value) + 4, place, f"{series.name}: {chart.unit(value)}")
        for series in chart.series
        for place, value in enumerate(series.values)
        if value is not None
    )
    # Each at its dot: or below the one above it, or, where the chart ends, above the one below it.
    lowest = HEIGHT - BOTTOM - 4
    heights = list(accumulate((y for y, _, _ in dots), lambda above, y: max(y, above + LINE)))
    upwards = (min(y, lowest) for y in reversed(heights))
    heights = list(accumulate(upwards, lambda below, y: min(y, below - LINE)))[::-1]
    beside = 10 if 2 * dots[0][1] < len(chart.names) else -10
    return [
        _text(scale.x(place) + beside, y, said, "start" if beside > 0 else "end")
        for y, (_, place, said) in zip(heights, dots, strict=True)
    ]


def _period(chart: Chart, scale: _Scale, place: int, drawn: Markup) -> Markup:
    """What is drawn for a period, and over all its height what it says to a pointer."""
    values = [(series.name, series.values[place]) for series in chart.series]
    said = "; ".join([chart.names[place], *(f"{name} {chart.unit(value)}" for name, value in values if value)])
    return Markup('<g><title>{}</title>{}<rect class="over" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/></g>').format(
        said, drawn, scale.x(place) - scale.step / 2, TOP, scale.step, HEIGHT - TOP - BOTTOM
    )


def _nothing(title: str, width: int) -> Markup:
    base = HEIGHT - BOTTOM
    said = _text(width / 2, HEIGHT / 2, "Nothing in this time", "middle")
    return _svg(title, width, HEIGHT, [_rule(RIGHT, base, width - RIGHT, base), said])


def _merged(bars: Sequence[tuple[float, int]]) -> dict[int, int]:
    merged: dict[int, int] = {}
    for le_ms, number in bars:
        step = ceil(round(PER_DOUBLING * log2(le_ms / 1000), 2))
        merged[step] = merged.get(step, 0) + number
    return merged


def _ms(step: int) -> float:
    return 1000 * exp2(step / PER_DOUBLING)


def _rule(x: float, y: float, to_x: float, to_y: float, mark: str = "rule") -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(mark, x, y, to_x, to_y)


def _text(x: float, y: float, said: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, said)


def _svg(title: str, width: int, height: int, parts: Sequence[Markup]) -> Markup:
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, title, Markup("").join(parts)
    )
