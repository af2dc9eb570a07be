"""Whether a warm is worth its money: pure arithmetic over what is known when a trigger comes.

A warm pays the price of a write now. If a question follows within the cache's lifetime, the reader waits less, and the
question pays for a read instead of a write; if none follows, the write was for nothing. So a warm is worth

    P × (seconds saved × value of a second − read) − (1 − P) × write

per token that is not cached yet, with P the share of such triggers that a question followed, learned per context and trigger
from a stated prior. What is read of an earlier prefix is left out: it renews the lifetime that the question will need. What
is not known (prices, mostly) cannot refuse a warm, and neither is one refused that somebody asked for through the API.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from app.ledger.pace import Pace
from app.models import Model, Prices
from app.prompt.context import Ttl

Trigger = Literal["focus", "keystroke", "visible", "api"]


class Skip(StrEnum):
    BELOW_MINIMUM = "below_minimum"  # the model caches nothing this short
    DISABLED = "disabled"  # HEADSTART_WARM=off
    RATE_LIMITED = "rate_limited"  # this session, address or deployment warms too often
    BUDGET_SPENT = "budget_spent"  # what may be spent on speculation this hour or day is spent
    UPSTREAM_REFUSING = "upstream_refusing"  # the upstream refuses calls now; a question still gets its try
    ALREADY_WARM = "already_warm"  # there was nothing to do; counted, while the state that is shown stays `warm`
    NOT_WORTH_IT = "not_worth_it"  # too few such triggers are followed by a question


# How often a question follows, before anything is known here: (asked, not asked), in imagined triggers. Typing means a
# question almost for sure, a visible page alone rather not; who calls the API by hand knows why.
PRIORS: Mapping[Trigger, tuple[float, float]] = {
    "focus": (30.0, 20.0),
    "keystroke": (45.0, 5.0),
    "visible": (10.0, 40.0),
    "api": (45.0, 5.0),
}

# The cookbook's measurement: 7,440 uncached tokens a second. An upstream that was seen to read faster is weighed as if it
# did not: its prices are Claude's, so it is a sandbox, a test, or Claude on a lucky day.
LEAST_SECONDS_PER_TOKEN = 1 / 7_440

# For prefixes that nobody has counted yet. Few bytes a token make many tokens: a reservation that is too large is given
# back, one that is too small would overspend.
FEWEST_BYTES_PER_TOKEN = 2.0
USUAL_BYTES_PER_TOKEN = 3.3
# A page of a PDF comes as its text, 1,500 to 3,000 tokens, and as a picture, up to about 1,600; three pages usually make
# some 7,000 (platform.claude.com/docs/en/build-with-claude/pdf-support, 2026-11-21).
MOST_TOKENS_PER_PAGE = 4_600
USUAL_TOKENS_PER_PAGE = 2_333


@dataclass(frozen=True, slots=True)
class Odds:
    """What became of earlier triggers of this kind over this context: faded counts."""

    asked: float = 0.0
    not_asked: float = 0.0

    def probability(self, trigger: Trigger) -> float:
        """P(a question follows within the lifetime), from the prior and these counts."""
        asked, not_asked = PRIORS[trigger]
        return (asked + self.asked) / (asked + self.asked + not_asked + self.not_asked)


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a warm would write: `tokens` new ones after `cached` that should be there, and `most` in all, if the worst comes
    to the worst. `counted` says that the upstream counted them; else they are estimated from the size; `bounded` that it
    counted an earlier prefix of the session as too short, and `most` is that and what came since. `live` says that all of
    them are cached still, so that the warm only reads them, to make them last."""

    tokens: int
    cached: int
    most: int
    counted: bool
    live: bool = False
    bounded: bool = False


@dataclass(frozen=True, slots=True)
class Worth:
    """The arithmetic, in USD and seconds; None where a price is unknown."""

    probability: float
    seconds_saved: float
    write_usd: float | None
    read_usd: float | None
    value_usd: float | None


def most_usd(model: Model, prospect: Prospect, ttl: Ttl) -> float | None:
    """What the warm can cost at the most: every token written, none read."""
    prices = model.prices_for(prospect.most)
    return None if prices is None else prospect.most * _write_price(prices, ttl) / 1e6


def _write_price(prices: Prices, ttl: Ttl) -> float:
    return prices.write_1h if ttl == "1h" else prices.write_5m


def weigh(
    model: Model,
    prospect: Prospect,
    ttl: Ttl,
    odds: Odds,
    trigger: Trigger,
    pace: Pace | None,
    value_of_second_usd: float,
) -> Worth:
    """What the warm is worth: positive when it should be made."""
    probability = odds.probability(trigger)
    learned = pace.seconds_per_token if pace else 0.0
    seconds = prospect.tokens * max(learned, LEAST_SECONDS_PER_TOKEN)
    prices = model.prices_for(prospect.tokens + prospect.cached)
    if prices is None:
        return Worth(probability, seconds, None, None, None)
    read = prospect.tokens * prices.read / 1e6
    write = read if prospect.live else prospect.tokens * _write_price(prices, ttl) / 1e6
    value = probability * (seconds * value_of_second_usd - read) - (1 - probability) * write
    return Worth(probability, seconds, write, read, value)


def too_short(model: Model, prospect: Prospect) -> bool:
    """Whether the model is known to cache nothing of this size, and the size was counted, not estimated: of this prefix, or
    of an earlier one, of which this is a little more."""
    if model.min_cacheable is None:
        return False
    if prospect.counted:
        return prospect.tokens + prospect.cached < model.min_cacheable
    return prospect.bounded and prospect.most < model.min_cacheable


def foresee(
    size: int,
    counted: int | None,
    base_size: int,
    base_tokens: int,
    *,
    live: bool,
    short: tuple[int, int] | None = None,
    pdf_bytes: int = 0,
    pages: int = 0,
) -> Prospect:
    """What a warm of `size` bytes would write after a cached base of `base_size` bytes and `base_tokens` tokens.

    `counted` is the whole prefix in tokens, if the upstream has counted it before; `live` whether it is cached still.
    `short` has the bytes and tokens of the longest earlier prefix that was too short to be cached. Of the bytes, `pdf_bytes`
    are PDFs with `pages` in all: they count by the page.
    """
    if counted is not None:
        return Prospect(max(0, counted - base_tokens), base_tokens, counted, counted=True, live=live)
    if short is not None and not base_tokens:
        short_size, short_tokens = short
        added = max(0, size - short_size)
        most = short_tokens + round(added / FEWEST_BYTES_PER_TOKEN)
        return Prospect(short_tokens + round(added / USUAL_BYTES_PER_TOKEN), 0, most, counted=False, bounded=True)
    if base_size:
        pages = 0
    new = max(0, size - (base_size or pdf_bytes))
    most = base_tokens + round(new / FEWEST_BYTES_PER_TOKEN) + pages * MOST_TOKENS_PER_PAGE
    tokens = round(new / USUAL_BYTES_PER_TOKEN) + pages * USUAL_TOKENS_PER_PAGE
    return Prospect(tokens, base_tokens, most, counted=False)
