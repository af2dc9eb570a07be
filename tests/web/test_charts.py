"""Charts: what is drawn is what was counted, and nothing else gets into a page."""

import re
from collections.abc import Sequence
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.charts import HEIGHT, Chart, Row, Series, columns, lines, round_ticks, rows
from app.web.numbers import count

NAMES = ("first", "second", "third", "fourth")
_values = st.lists(st.one_of(st.none(), st.just(0.0), st.floats(1e-6, 1e9)), min_size=4, max_size=4)


def chart(*series: Sequence[float | None], title: str = "A chart") -> Chart:
    named = [Series(f"series {number}", f"mark{number}", values) for number, values in enumerate(series)]
    return Chart(title, NAMES, NAMES, named, count)


def bars(svg: str, mark: str) -> list[tuple[float, float]]:
    """The lower end and the height of every bar of a series."""
    found = re.findall(rf'<rect class="{mark}" x="[\d.]+" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', svg)
    return [(float(y) + float(height), float(height)) for y, height in found]


@given(_values, _values)
def test_columns_stand_on_one_another_and_stay_within_the_chart(lower: list[float], upper: list[float]) -> None:
    svg = columns(chart(lower, upper), 400)
    ElementTree.fromstring(svg)
    for foot, height in bars(svg, "mark0") + bars(svg, "mark1"):
        assert foot <= HEIGHT and foot - height >= 0


def test_a_column_is_as_tall_as_its_value() -> None:
    svg = columns(chart([10, 20, None, 0], [10, 0, 5, 0]), 400)
    (_, ten), (_, twenty) = bars(svg, "mark0")
    (foot, upper), _ = bars(svg, "mark1")
    assert twenty == pytest.approx(2 * ten, abs=0.2)
    assert upper == pytest.approx(ten, abs=0.2)
    assert foot == pytest.approx(bars(svg, "mark0")[0][0] - ten, abs=0.2)


def test_a_pointer_is_told_the_numbers() -> None:
    svg = columns(chart([1200, None, 3, 4], [5, 6, 7, 0]), 400)
    assert "<title>first; series 0 1,200; series 1 5</title>" in svg
    assert "<title>second; series 1 6</title>" in svg


@given(_values)
def test_lines_have_a_dot_for_every_value_and_break_where_there_is_none(values: list[float | None]) -> None:
    svg = lines(chart(values), 400)
    ElementTree.fromstring(svg)
    known = [value is not None for value in values]
    if any(values):
        assert svg.count("<circle") == sum(known)
        drawn = re.search(r' d="([^"]*)"', svg)
        assert drawn is not None
        assert drawn[1].count("L") == sum(one and two for one, two in pairwise(known))


@given(st.integers(0, 3), st.lists(st.floats(1, 1e5), min_size=1, max_size=4))
def test_a_single_moment_says_what_its_dots_are(place: int, values: list[float]) -> None:
    named = [[value if at == place else None for at in range(4)] for value in values]
    svg = lines(chart(*named), 400)
    ElementTree.fromstring(svg)
    assert svg.count('r="5"') == len(values)
    said = re.findall(r'<text x="([\d.]+)" y="([\d.-]+)" text-anchor="(start|end)">series (\d): ([\d,]+)<', svg)
    assert {(int(number), shown) for *_, number, shown in said} == {(n, count(v)) for n, v in enumerate(values)}
    lines_of_text = sorted(float(y) for _, y, *_ in said)
    assert all(0 < y < HEIGHT for y in lines_of_text)
    assert all(lower - upper >= 13.9 for upper, lower in pairwise(lines_of_text))


def test_where_there_are_lines_to_follow_dots_say_nothing() -> None:
    assert "series 0:" not in lines(chart([1, 2, None, None], [None, None, 3, None]), 400)


def test_where_there_is_nothing_it_says_so() -> None:
    for svg in (columns(chart([0, 0, 0, None]), 400), lines(chart([None] * 4), 400)):
        assert "Nothing in this time" in svg


@given(st.lists(st.tuples(st.floats(1, 1e7), st.integers(1, 1000)), max_size=20))
def test_distributions_are_drawn_whole(found: list[tuple[float, int]]) -> None:
    svg = rows("Times", [Row("Warm", "warm", "some", found, 800.0), Row("Cold", "cold", "none", [], None)], 400)
    ElementTree.fromstring(svg)
    told = re.findall(r"<title>([\d,]+) from", svg)
    assert sum(int(number.replace(",", "")) for number in told) == sum(number for _, number in found)
    assert all(0 <= foot - height <= HEIGHT for foot, height in bars(svg, "warm"))


def test_nothing_in_a_chart_is_markup_of_others() -> None:
    hostile = '"><script>alert(1)</script>'
    for svg in (
        columns(chart([1] * 4, title=hostile), 400),
        rows(hostile, [Row(hostile, "m", hostile, [], None)], 400),
    ):
        assert "<script" not in svg
        ElementTree.fromstring(svg)


@given(st.floats(1e-6, 1e12))
def test_ticks_are_round_few_and_reach_the_largest_value(most: float) -> None:
    ticks = round_ticks(most)
    assert ticks[0] == 0
    assert most * 0.99 <= ticks[-1] <= most * 2.5
    assert 2 <= len(ticks) <= 6


@given(st.integers(1, 10**9))
def test_what_comes_in_whole_numbers_has_whole_ticks(most: int) -> None:
    ticks = round_ticks(most, whole=True)
    assert all(tick == round(tick) for tick in ticks)
    assert most * 0.99 <= ticks[-1] and len(set(ticks)) == len(ticks) <= 6
