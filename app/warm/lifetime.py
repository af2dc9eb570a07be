"""Five minutes or an hour: which cache lifetime costs less for a context that is used as often as this one.

After a gap of up to five minutes both lifetimes still read. After a longer one, up to an hour, the short one writes again
while the long one reads. After more than an hour both write, and the long one pays more for it. So with the shares p₁, p₂
and p₃ of such gaps, and prices per token of input,

    5m:  p₁ read + (p₂ + p₃) write_5m          1h:  (p₁ + p₂) read + p₃ write_1h
"""

from dataclasses import dataclass

from app.models import Prices
from app.prompt.context import Ttl

# Imagined gaps, before any was seen: most questions follow one another, some come much later.
PRIOR = (6.0, 1.0, 3.0)


@dataclass(frozen=True, slots=True)
class Gaps:
    """Faded counts of the gaps between uses: up to 5 minutes, up to an hour, longer."""

    short: float
    middle: float
    long: float


def cost_per_use(gaps: Gaps, prices: Prices) -> dict[Ttl, float]:
    """What the next use of a prefix is expected to cost under each lifetime, in USD per million tokens of it."""
    counts = [seen + imagined for seen, imagined in zip((gaps.short, gaps.middle, gaps.long), PRIOR, strict=True)]
    short, middle, long = (count / sum(counts) for count in counts)
    return {
        "5m": short * prices.read + (middle + long) * prices.write_5m,
        "1h": (short + middle) * prices.read + long * prices.write_1h,
    }


def choose_ttl(gaps: Gaps, prices: Prices | None) -> Ttl:
    """The cheaper lifetime; 5m when they cost the same or the prices are unknown."""
    if prices is None:
        return "5m"
    costs = cost_per_use(gaps, prices)
    return "1h" if costs["1h"] < costs["5m"] else "5m"
