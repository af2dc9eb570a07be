"""The gate before every warm: whether it may be made, from limits that all processes share, and whether it is worth it.

It asks first, and takes nothing until somebody is sure to make the call. What it grants then is a reservation of money that
has to be settled when the call has ended. It never stands before a question: only speculation is refused.
"""

from dataclasses import dataclass

from app.ledger.book import Ledger
from app.models import find_model
from app.prompt.context import Ttl
from app.store.sessions import SessionRecord
from app.store.spending import Bucket, Reservation, Spending
from app.upstream.errors import UpstreamCode, UpstreamError
from app.warm.policy import Odds, Prospect, Skip, Trigger, most_usd, too_short, weigh

# After these, the upstream would refuse the next call too.
REFUSALS = {UpstreamCode.AUTH, UpstreamCode.REFUSED, UpstreamCode.RATE_LIMITED, UpstreamCode.OVERLOADED}


@dataclass(frozen=True, slots=True)
class Limits:
    """What speculation may cost, and what waiting is worth. `limited` False lifts budgets and rate limits."""

    enabled: bool
    limited: bool
    per_hour_usd: float
    per_day_usd: float
    value_of_second_usd: float


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to make one warm: the money set aside for it, None when nothing was."""

    reservation: Reservation | None


class Speculation:
    """Decides on warms for one upstream."""

    def __init__(self, spending: Spending, ledger: Ledger, limits: Limits) -> None:
        self._spending = spending
        self._ledger = ledger
        self._limits = limits

    async def consider(self, session: SessionRecord, trigger: Trigger, prospect: Prospect) -> Skip | None:
        """Why `prospect` should not be warmed for `session`, if so. Takes nothing."""
        model = find_model(session.parameters["model"])
        ttl: Ttl = session.parameters["ttl"]
        if not self._limits.enabled:
            return Skip.DISABLED
        if too_short(model, prospect):
            return Skip.BELOW_MINIMUM
        if await self._spending.refusal() is not None:
            return Skip.UPSTREAM_REFUSING
        odds = Odds(*await self._spending.odds(session.context, trigger))
        pace = await self._ledger.pace(model.id)
        worth = weigh(model, prospect, ttl, odds, trigger, pace, self._limits.value_of_second_usd)
        if trigger != "api" and worth.value_usd is not None and worth.value_usd <= 0:
            return Skip.NOT_WORTH_IT
        return None

    async def grant(self, session: SessionRecord, address: str, prospect: Prospect) -> Grant | Skip:
        """Leave for the one call that warms `prospect` for `session`, taken from buckets and budget; or why not."""
        if not self._limits.limited:
            return Grant(None)
        for bucket in _buckets(session.id, address):
            if not await self._spending.take(bucket):
                return Skip.RATE_LIMITED
        usd = most_usd(find_model(session.parameters["model"]), prospect, session.parameters["ttl"])
        if usd is None:
            # Without prices there is no money to count; the buckets still hold.
            return Grant(None)
        reservation = await self._spending.reserve(
            usd, per_hour_usd=self._limits.per_hour_usd, per_day_usd=self._limits.per_day_usd
        )
        return Skip.BUDGET_SPENT if reservation is None else Grant(reservation)

    async def settle(self, grant: Grant, cost_usd: float | None) -> None:
        """The warm has ended, and cost this much; None when no call was made or its cost is unknown."""
        if grant.reservation is not None:
            await self._spending.settle(grant.reservation, cost_usd or 0.0)

    async def heard(self, error: UpstreamError | None) -> None:
        """Any call to the upstream has ended, well or with `error`: rest from speculation while it refuses."""
        if error is None:
            await self._spending.answered()
        elif error.code in REFUSALS:
            pause = None if error.retry_after_s is None else round(error.retry_after_s * 1000)
            await self._spending.refused(error.code, pause)

    async def learn(self, session: SessionRecord, trigger: str, *, used: bool) -> None:
        """A warm by `trigger` was made, or, with `used`, a question has made use of it."""
        await self._spending.learn(session.context, trigger, used=used)


def _buckets(session: str, address: str) -> tuple[Bucket, Bucket, Bucket]:
    """Calls, not triggers, are counted: what is warm already takes no token."""
    return (
        Bucket(f"session:{session}", capacity=20, per_second=1 / 15),
        Bucket(f"address:{address}", capacity=120, per_second=1.0),
        Bucket("all", capacity=1_000, per_second=20.0),
    )
