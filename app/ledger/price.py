"""Tokens to money. A model without known prices costs None: unknown, never a guess."""

from app.ledger.usage import Usage
from app.models import find_model

_PER = 1_000_000
# A token costs no less than 1e-8 USD: what lies below that is the noise of binary fractions.
_DIGITS = 9


def cost_usd(model: str, usage: Usage) -> float | None:
    """What a call with this usage costs, in USD."""
    prices = find_model(model).prices_for(usage.input)
    if prices is None:
        return None
    total = (
        usage.uncached * prices.input
        + usage.written_5m * prices.write_5m
        + usage.written_1h * prices.write_1h
        + usage.read * prices.read
        + usage.output * prices.output
    )
    return round(total / _PER, _DIGITS)


def saved_usd(model: str, usage: Usage) -> float | None:
    """What the same call would have cost without any cache, less what it cost. Negative when it wrote and read nothing."""
    paid = cost_usd(model, usage)
    without = cost_usd(model, Usage(uncached=usage.input, output=usage.output))
    return None if paid is None or without is None else round(without - paid, _DIGITS)
