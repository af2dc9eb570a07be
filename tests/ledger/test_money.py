"""Tokens to money, by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.price import cost_usd, saved_usd
from app.ledger.usage import Usage
from app.models import MODELS

# The cookbook's context, asked with a question of 25 tokens and answered with 330.
CONTEXT, QUESTION, ANSWER = 151_629, 25, 330

counts = st.integers(0, 2_000_000)
usages = st.builds(Usage, counts, counts, counts, counts, counts, st.just(True))
priced = sorted(model.id for model in MODELS.values() if model.prices is not None)


@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        # 151,629 × 1.25 + 25 × 1 + 330 × 5, per million
        ("claude-haiku-4-5", Usage(uncached=QUESTION, written_5m=CONTEXT, output=ANSWER), 0.19121125),
        # 151,629 × 0.10 + 25 × 1 + 330 × 5
        ("claude-haiku-4-5", Usage(uncached=QUESTION, read=CONTEXT, output=ANSWER), 0.0168379),
        # reads at 0.05 of the input price: 151,629 × 0.20 + 25 × 4 + 330 × 20
        ("claude-opus-5-5", Usage(uncached=QUESTION, read=CONTEXT, output=ANSWER), 0.0370258),
        # 151,629 × 5 (5 minutes), then × 8 (1 hour)
        ("claude-opus-5-5", Usage(written_5m=CONTEXT), 0.758145),
        ("claude-opus-5-5", Usage(written_1h=CONTEXT), 1.213032),
        # 151,629 × 0.10 + 25 × 2 + 330 × 10
        ("claude-sonnet-5-5", Usage(uncached=QUESTION, read=CONTEXT, output=ANSWER), 0.0185129),
        # 151,629 × 0.30 + 25 × 3 + 330 × 15
        ("claude-sonnet-4-5", Usage(uncached=QUESTION, read=CONTEXT, output=ANSWER), 0.0505137),
        # 100,000 × 12.50 + 1,000,000 × 1 + 10 × 10 + 1,000 × 50
        ("claude-fable-5", Usage(uncached=10, read=1_000_000, written_5m=100_000, output=1000), 2.3001),
        # mixed lifetimes: 1,000 × 0.50 + 2,000 × 6.25 + 3,000 × 10 + 4,000 × 5 + 5,000 × 25
        ("claude-opus-4-8", Usage(4000, 1000, 2000, 3000, 5000), 0.188),
        ("claude-haiku-4-5", Usage(), 0.0),
    ],
)
def test_a_call_costs_what_its_tokens_cost(model: str, usage: Usage, usd: float) -> None:
    assert cost_usd(model, usage) == pytest.approx(usd, abs=1e-9)


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        # at 100,000 input tokens: 90,000 × 0.01 + 10,000 × 0.10 + 1,000 × 0.50
        (Usage(uncached=10_000, read=90_000, output=1000), 0.0024),
        # one more, and all of it is dearer: 90,001 × 0.05 + 10,000 × 0.50 + 1,000 × 2.50
        (Usage(uncached=10_000, read=90_001, output=1000), 0.01200005),
        # what is written counts towards the length, the answer does not: 100,000 × 0.125 + 50,000 × 0.50
        (Usage(written_5m=100_000, output=50_000), 0.0375),
        # 60,000 × 0.625 + 60,000 × 1
        (Usage(written_5m=60_000, written_1h=60_000), 0.0975),
    ],
)
def test_the_one_model_priced_by_length_is_priced_by_its_whole_input(usage: Usage, usd: float) -> None:
    assert cost_usd("claude-haiku-5-5", usage) == pytest.approx(usd, abs=1e-9)


def test_what_the_cache_saved_is_the_price_without_it_less_the_price_paid() -> None:
    read = Usage(uncached=QUESTION, read=CONTEXT, output=ANSWER)
    # (151,629 + 25) × 1 + 330 × 5 = 0.153304, paid 0.0168379
    assert saved_usd("claude-haiku-4-5", read) == pytest.approx(0.153304 - 0.0168379, abs=1e-9)
    # A write costs a quarter more than reading without a cache.
    assert saved_usd("claude-haiku-4-5", Usage(written_5m=1_000_000)) == pytest.approx(-0.25)
    assert saved_usd("claude-haiku-4-5", Usage(written_1h=1_000_000)) == pytest.approx(-1.0)
    assert saved_usd("claude-haiku-4-5", Usage(uncached=CONTEXT, output=ANSWER)) == 0


unpriced = sorted(MODELS.keys() - set(priced))


@pytest.mark.parametrize("model", ["my-own-model", "", "CLAUDE-HAIKU-4-5", *unpriced])
def test_what_is_not_known_is_not_guessed(model: str) -> None:
    assert cost_usd(model, Usage(uncached=1000, output=1000)) is None
    assert saved_usd(model, Usage(uncached=1000, output=1000)) is None


@given(st.sampled_from(priced), usages)
def test_reading_is_never_dearer_than_not_having_cached(model: str, usage: Usage) -> None:
    cost, saved = cost_usd(model, usage), saved_usd(model, usage)
    assert cost is not None and saved is not None
    assert cost >= 0
    only_read = Usage(usage.uncached, usage.read, 0, 0, usage.output)
    assert (saved_usd(model, only_read) or 0) >= -1e-12
    only_written = Usage(usage.uncached, 0, usage.written_5m, usage.written_1h, usage.output)
    assert (saved_usd(model, only_written) or 0) <= 1e-12
