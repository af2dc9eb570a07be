"""What a warm is worth: the arithmetic of docs/spending.md, to the tenth of a cent, and how it leans."""

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.pace import Pace
from app.models import Model, Prices, find_model
from app.prompt.context import Ttl
from app.warm.policy import (
    LEAST_SECONDS_PER_TOKEN,
    PRIORS,
    Odds,
    Prospect,
    Trigger,
    Worth,
    foresee,
    most_usd,
    too_short,
    weigh,
)

SONNET, FABLE = find_model("claude-sonnet-5-5"), find_model("claude-fable-5")
LARGE = Prospect(150_000, 0, 150_000, counted=True)
SECOND_USD = 0.03
TRIGGERS: tuple[Trigger, ...] = get_args(Trigger)

triggers = st.sampled_from(TRIGGERS)
ttls = st.sampled_from(get_args(Ttl))
tokens = st.integers(1, 1_000_000)
counts = st.floats(0, 100)
seconds_usd = st.floats(0, 10)
paces = st.none() | st.builds(Pace, st.floats(0, 5), st.floats(1e-6, 0.01))


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Models whose prices are as prices are: writing costs more than reading, and an hour more than five minutes."""
    read = draw(st.floats(0.001, 5))
    short = read * draw(st.floats(1, 50))
    return Model("some", prices=Prices(short, short, short * draw(st.floats(1, 3)), read, short))


def worth(model: Model = SONNET, trigger: Trigger = "focus") -> Worth:
    return weigh(model, LARGE, "5m", Odds(), trigger, None, SECOND_USD)


def value(weighed: Worth) -> float:
    assert weighed.value_usd is not None
    return weighed.value_usd


@pytest.mark.parametrize(
    ("model", "trigger", "usd"),
    [
        pytest.param(SONNET, "focus", 0.204, id="Sonnet, focus: warm"),
        pytest.param(SONNET, "visible", -0.182, id="Sonnet, visible: wait"),
        pytest.param(FABLE, "focus", -0.477, id="Fable, focus: wait"),
        pytest.param(FABLE, "keystroke", 0.222, id="Fable, keystroke: warm"),
    ],
)
def test_the_worked_examples_of_the_documentation_hold(model: Model, trigger: Trigger, usd: float) -> None:
    assert value(worth(model, trigger)) == pytest.approx(usd, abs=0.0005)


def test_the_parts_of_the_worked_example_hold() -> None:
    parts = worth()
    assert (parts.probability, parts.write_usd, parts.read_usd) == (0.6, 0.375, 0.015)
    assert parts.seconds_saved == pytest.approx(20.2, abs=0.05)
    assert parts.seconds_saved * SECOND_USD == pytest.approx(0.605, abs=0.0005)


def test_before_anything_is_known_typing_is_a_better_sign_than_focus_and_focus_than_a_visible_page() -> None:
    odds = [Odds().probability(trigger) for trigger in ("keystroke", "focus", "visible")]
    assert odds == [0.9, 0.6, 0.2]
    assert [sum(PRIORS[trigger]) for trigger in TRIGGERS] == [50] * len(TRIGGERS)


@given(triggers, counts, counts, st.floats(0.01, 100))
def test_each_question_raises_the_odds_and_each_unused_warm_lowers_them(
    trigger: Trigger, asked: float, unused: float, more: float
) -> None:
    before = Odds(asked, unused).probability(trigger)
    assert 0 < before < 1
    assert Odds(asked + more, unused).probability(trigger) > before > Odds(asked, unused + more).probability(trigger)


@given(triggers, st.floats(0, 1))
def test_what_was_seen_often_enough_outweighs_the_prior(trigger: Trigger, share: float) -> None:
    seen = Odds(share * 1e7, (1 - share) * 1e7)
    assert seen.probability(trigger) == pytest.approx(share, abs=1e-4)


@given(models(), triggers, ttls, tokens, paces, seconds_usd, counts, st.floats(0.5, 100))
def test_likelier_questions_make_a_warm_worth_more(
    model: Model,
    trigger: Trigger,
    ttl: Ttl,
    size: int,
    pace: Pace | None,
    second: float,
    asked: float,
    more: float,
) -> None:
    prospect = Prospect(size, 0, size, counted=True)
    less, greater = (
        weigh(model, prospect, ttl, Odds(count, 10), trigger, pace, second) for count in (asked, asked + more)
    )
    assert greater.probability > less.probability
    assert value(greater) >= value(less) - 1e-12


@given(models(), triggers, ttls, tokens, seconds_usd, seconds_usd)
def test_dearer_seconds_make_a_warm_worth_more(
    model: Model, trigger: Trigger, ttl: Ttl, size: int, one: float, other: float
) -> None:
    prospect = Prospect(size, 0, size, counted=True)
    low, high = (weigh(model, prospect, ttl, Odds(), trigger, None, second) for second in sorted((one, other)))
    assert value(low) <= value(high)


@given(models(), triggers, ttls, tokens, seconds_usd, st.floats(1e-7, 0.01), st.floats(1e-7, 0.01))
def test_a_slower_upstream_makes_a_warm_worth_more(
    model: Model, trigger: Trigger, ttl: Ttl, size: int, second: float, one: float, other: float
) -> None:
    prospect = Prospect(size, 0, size, counted=True)
    fast, slow = (weigh(model, prospect, ttl, Odds(), trigger, Pace(1, pace), second) for pace in sorted((one, other)))
    assert value(fast) <= value(slow)
    assert fast.seconds_saved >= size * LEAST_SECONDS_PER_TOKEN


@given(models(), triggers, ttls, tokens, seconds_usd, st.floats(1, 10))
def test_dearer_writes_make_a_warm_worth_less(
    model: Model, trigger: Trigger, ttl: Ttl, size: int, second: float, times: float
) -> None:
    assert model.prices is not None
    prices = model.prices
    dearer = replace(prices, write_5m=prices.write_5m * times, write_1h=prices.write_1h * times)
    prospect = Prospect(size, 0, size, counted=True)
    paid, more = (
        weigh(replace(model, prices=one), prospect, ttl, Odds(), trigger, None, second) for one in (prices, dearer)
    )
    assert value(more) <= value(paid)


@given(triggers, tokens, seconds_usd, counts, counts)
def test_an_unknown_price_never_refuses(
    trigger: Trigger, size: int, second: float, asked: float, unused: float
) -> None:
    weighed = weigh(Model("x"), Prospect(size, 0, size, counted=True), "5m", Odds(asked, unused), trigger, None, second)
    assert (weighed.value_usd, weighed.write_usd, weighed.read_usd) == (None, None, None)
    assert most_usd(Model("x"), Prospect(size, 0, size, counted=True), "5m") is None


@pytest.mark.parametrize("model", ["claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5", "claude-fable-5-1"])
@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("size", [2_000, 150_000, 900_000])
def test_making_a_live_entry_last_is_nearly_always_worth_it(model: str, trigger: Trigger, size: int) -> None:
    live = Prospect(size, 0, size, counted=True, live=True)
    assert value(weigh(find_model(model), live, "5m", Odds(), trigger, None, SECOND_USD)) > 0


def test_making_a_live_entry_last_costs_a_read_if_no_question_comes() -> None:
    never = weigh(SONNET, replace(LARGE, live=True), "1h", Odds(0, 1e9), "focus", None, SECOND_USD)
    assert never.write_usd == 0.015
    assert value(never) == pytest.approx(-0.015, abs=1e-6)


def test_with_worthless_seconds_nothing_is_worth_its_money() -> None:
    for trigger in TRIGGERS:
        assert value(weigh(SONNET, LARGE, "5m", Odds(1e9, 0), trigger, None, 0.0)) < 0


def test_an_hour_costs_what_an_hour_costs() -> None:
    hour = weigh(SONNET, LARGE, "1h", Odds(), "focus", None, SECOND_USD)
    assert hour.write_usd == 0.6
    assert (most_usd(SONNET, LARGE, "5m"), most_usd(SONNET, LARGE, "1h")) == (0.375, 0.6)


def test_the_whole_prompt_decides_about_its_tier_cached_or_not() -> None:
    haiku = find_model("claude-haiku-5-5")
    below, above = Prospect(50_000, 50_000, 100_000, counted=True), Prospect(50_000, 50_001, 100_001, counted=True)
    cheap, dear = (weigh(haiku, prospect, "5m", Odds(), "focus", None, SECOND_USD) for prospect in (below, above))
    assert cheap.write_usd == pytest.approx(0.00625)
    assert dear.write_usd == pytest.approx(0.03125)
    assert most_usd(haiku, below, "5m") == pytest.approx(0.0125)
    assert most_usd(haiku, above, "5m") == pytest.approx(100_001 * 0.625e-6)


@given(models(), ttls, st.integers(0, 10**7), st.none() | tokens, st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_warm_can_never_cost_more_than_is_set_aside(
    model: Model, ttl: Ttl, new: int, counted: int | None, base_size: int, base_tokens: int
) -> None:
    prospect = foresee(base_size + new, counted, base_size, base_tokens, live=False)
    most = most_usd(model, prospect, ttl)
    weighed = weigh(model, prospect, ttl, Odds(), "focus", None, SECOND_USD)
    assert most is not None and weighed.write_usd is not None
    assert most >= weighed.write_usd - 1e-12
    assert prospect.most >= prospect.tokens >= 0


def test_what_was_counted_is_taken_as_counted_and_the_rest_is_estimated_with_care() -> None:
    assert foresee(1_000, 300, 0, 0, live=True) == Prospect(300, 0, 300, counted=True, live=True)
    assert foresee(1_000, 300, 400, 120, live=False) == Prospect(180, 120, 300, counted=True)
    assert foresee(1_000, 100, 400, 120, live=False) == Prospect(0, 120, 100, counted=True)
    # 660 bytes at 3.3 a token, and at the fewest that a token has, 2.
    assert foresee(1_060, None, 400, 120, live=False) == Prospect(200, 120, 450, counted=False)
    assert foresee(400, None, 1_000, 300, live=False) == Prospect(0, 300, 300, counted=False)


@pytest.mark.parametrize(
    ("size", "cached", "counted", "short"),
    [(511, 0, True, True), (512, 0, True, False), (1, 511, True, False), (1, 510, True, True), (3, 0, False, False)],
)
def test_only_what_was_counted_is_too_short(size: int, cached: int, counted: bool, short: bool) -> None:
    assert SONNET.min_cacheable == 512
    assert too_short(SONNET, Prospect(size, cached, size + cached, counted=counted)) is short


@pytest.mark.parametrize(("size", "short"), [(1_000, True), (1_322, True), (1_324, False)])
def test_a_little_more_than_what_was_too_short_is_too_short(size: int, short: bool) -> None:
    # 350 tokens in 1,000 bytes, and at two bytes a token 161 to 162 more.
    assert too_short(SONNET, foresee(size, None, 0, 0, live=False, short=(1_000, 350))) is short


@given(tokens)
def test_a_model_with_an_unknown_minimum_is_never_too_short(size: int) -> None:
    assert not too_short(Model("x"), Prospect(size, 0, size, counted=True))
