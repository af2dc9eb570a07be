"""How fast the upstream reads: a line learned from calls, and no line where none can be told."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ledger.pace import FADE, fit

Points = list[tuple[float, float]]
Sums = tuple[float, float, float, float, float]


def learn(points: Points, fade: float = FADE) -> Sums:
    """The faded sums after `points`, as the store keeps them."""
    sums = [0.0] * 5
    for x, y in points:
        sums = [old * fade + new for old, new in zip(sums, (1, x, y, x * x, x * y), strict=True)]
    return (sums[0], sums[1], sums[2], sums[3], sums[4])


_tokens = st.lists(st.integers(0, 1_000_000), min_size=2, max_size=30).filter(lambda xs: max(xs) - min(xs) >= 5000)


@given(_tokens, st.floats(0.05, 5), st.floats(1e-6, 1e-2))
def test_points_on_a_line_give_that_line(tokens: list[int], base_s: float, seconds_per_token: float) -> None:
    pace = fit(*learn([(x, base_s + x * seconds_per_token) for x in tokens]))
    assert pace is not None
    for x in tokens:
        assert pace.predict(x) == pytest.approx(base_s + x * seconds_per_token, rel=0.02, abs=0.02)


def test_the_cookbooks_times_give_the_cookbooks_line() -> None:
    pace = fit(*learn([(0, 0.5), (151_629, 0.5 + 151_629 / 7440)]))
    assert pace is not None
    assert pace.base_s == pytest.approx(0.5, abs=0.001)
    assert 1 / pace.seconds_per_token == pytest.approx(7440, rel=0.001)
    assert pace.predict(151_629) == pytest.approx(20.88, abs=0.01)


def test_the_line_follows_an_upstream_that_became_slower() -> None:
    xs = [1000.0 * number for number in range(1, 20)]
    fast, slow = [(x, 0.5 + x / 10_000) for x in xs], [(x, 0.5 + x / 2000) for x in xs]
    pace = fit(*learn(fast + slow * 10))
    assert pace is not None
    assert 1 / pace.seconds_per_token == pytest.approx(2000, rel=0.05)


@pytest.mark.parametrize(
    "points",
    [[], [(0, 0.5)], [(0, 0.5)] * 20, [(10_000, 5.0), (20_000, 1.0)]],
    ids=["nothing yet", "only a hit", "only hits", "more tokens, less time"],
)
def test_where_no_slope_can_be_told_there_is_no_pace(points: Points) -> None:
    assert fit(*learn(points)) is None


def test_one_size_alone_gives_a_line_through_nothing() -> None:
    pace = fit(*learn([(10_000, 2.0)] * 5))
    assert pace is not None
    assert (pace.base_s, pace.seconds_per_token) == pytest.approx((0.0, 0.0002))


COLD, HIT = (200_000.0, 27.0), (37.0, 2.4)


@pytest.mark.parametrize("points", [[COLD, HIT, COLD], [HIT, HIT, COLD], [HIT, *[COLD] * 20]])
def test_what_a_hit_takes_is_known_once_hits_were_seen(points: Points) -> None:
    pace = fit(*learn(points))
    assert pace is not None
    assert pace.hit_s == pytest.approx(HIT[1], abs=0.05)


@pytest.mark.parametrize(
    "points", [[COLD, HIT], [COLD] * 9, [COLD, (190_000, 26.0), (210_000, 29.0)], [HIT] + [COLD] * 30]
)
def test_what_a_hit_takes_is_not_known_from_few_calls_or_cold_ones_or_long_ago(points: Points) -> None:
    pace = fit(*learn(points))
    assert pace is not None
    assert pace.hit_s is None


@pytest.mark.parametrize(
    "points", [[(10, 1.4)] * 5, [(10, 1.4), (12, 1.5), (37, 1.9)] * 9, [COLD, *[HIT, (60, 2.9)] * 150]]
)
def test_how_long_many_tokens_take_is_not_told_by_calls_of_a_few_or_long_ago(points: Points) -> None:
    sums = learn(points)
    assert fit(*sums, 151_629) is None
    assert fit(*sums, 40) is not None


@pytest.mark.parametrize("points", [[COLD], [COLD, HIT], [HIT, COLD, *[HIT] * 90], [(9_000, 3.5), (30_000, 6.5)]])
def test_it_is_told_by_a_call_of_about_so_many_for_as_long_as_that_is_remembered(points: Points) -> None:
    assert fit(*learn(points), max(points)[0]) is not None


@given(st.lists(st.tuples(st.integers(0, 10**7), st.floats(0, 10**4)), max_size=40), st.sampled_from([0.5, FADE, 1.0]))
@settings(max_examples=300)
def test_no_history_makes_it_divide_by_zero_or_predict_nonsense(points: Points, fade: float) -> None:
    pace = fit(*learn(points, fade))
    if pace is not None:
        assert pace.base_s >= 0 and pace.seconds_per_token > 0
        assert math.isfinite(pace.predict(10**6))


@given(st.tuples(*[st.floats(allow_nan=False, allow_infinity=False, min_value=0, max_value=1e12)] * 5))
def test_no_stored_sums_make_it_fail(sums: Sums) -> None:
    pace = fit(*sums)
    assert pace is None or pace.seconds_per_token > 0
