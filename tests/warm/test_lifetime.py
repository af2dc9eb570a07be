"""Five minutes or an hour: the cheaper one, as counting it out gap by gap would have it."""

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models import Prices, find_model
from app.warm.lifetime import PRIOR, Gaps, choose_ttl, cost_per_use

SONNET = find_model("claude-sonnet-5-5").prices
NOTHING = Gaps(0, 0, 0)
# One gap of each kind, in seconds: what is imagined is made of these.
TYPICAL = (60.0, 1_200.0, 20_000.0)

gaps = st.lists(st.floats(0, 200_000), max_size=60)
price = st.floats(0.001, 50)
prices = st.builds(Prices, price, price, price, price, price)


def counted(seen: list[float]) -> Gaps:
    kinds = [bisect_left((300.0, 3_600.0), gap) for gap in seen]
    return Gaps(*(float(kinds.count(kind)) for kind in range(3)))


def by_hand(seen: list[float], prices: Prices, lives_s: int, write: float) -> float:
    """The mean cost of the next use, one by one: a read while the entry lives, or a write."""
    imagined = [gap for gap, times in zip(TYPICAL, PRIOR, strict=True) for _ in range(int(times))]
    costs = [prices.read if gap <= lives_s else write for gap in [*seen, *imagined]]
    return sum(costs) / len(costs)


@given(gaps, prices)
def test_the_expected_cost_is_what_counting_gap_by_gap_gives(seen: list[float], prices: Prices) -> None:
    costs = cost_per_use(counted(seen), prices)
    assert costs["5m"] == pytest.approx(by_hand(seen, prices, 300, prices.write_5m))
    assert costs["1h"] == pytest.approx(by_hand(seen, prices, 3_600, prices.write_1h))


@given(gaps, prices)
def test_the_lifetime_chosen_is_the_cheaper_one(seen: list[float], prices: Prices) -> None:
    chosen, costs = choose_ttl(counted(seen), prices), cost_per_use(counted(seen), prices)
    assert costs[chosen] == min(costs.values())


@given(gaps)
def test_without_prices_it_is_five_minutes(seen: list[float]) -> None:
    assert choose_ttl(counted(seen), None) == "5m"


def test_what_costs_the_same_is_five_minutes() -> None:
    assert choose_ttl(NOTHING, Prices(1, 1, 1, 1, 1)) == "5m"


def test_before_anything_is_known_five_minutes_are_cheaper_on_sonnet() -> None:
    assert SONNET is not None
    costs = cost_per_use(NOTHING, SONNET)
    assert costs["5m"] == pytest.approx(1.06)
    assert costs["1h"] == pytest.approx(1.27)
    assert choose_ttl(NOTHING, SONNET) == "5m"


def test_a_context_that_is_asked_every_twenty_minutes_soon_lives_an_hour() -> None:
    assert SONNET is not None
    first = next(number for number in range(100) if choose_ttl(Gaps(0, number, 0), SONNET) == "1h")
    assert first <= 3


@given(st.floats(0, 50), st.floats(0, 50), st.floats(0, 50), st.floats(0.1, 50))
def test_more_gaps_within_the_hour_never_speak_for_five_minutes(
    short: float, middle: float, long: float, more: float
) -> None:
    assert SONNET is not None
    if choose_ttl(Gaps(short, middle, long), SONNET) == "1h":
        assert choose_ttl(Gaps(short, middle + more, long), SONNET) == "1h"
