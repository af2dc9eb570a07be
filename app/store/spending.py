"""What may be spent on speculation, over all processes: token buckets, a budget, a circuit breaker, and learned odds.

Everything is measured by Redis's clock. Money is kept in whole micro-dollars, so that sums are exact.
"""

from dataclasses import dataclass
from secrets import token_hex

from app.store import keys
from app.store.connection import Store

MICROS = 1_000_000
# However long an upstream wants to be left alone, it is tried again after a day.
LONGEST_REST_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket: whose it is, how much it holds, and how many tokens come back a second."""

    name: str
    capacity: int
    per_second: float


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money set aside in one hour and one day, until the call says what it cost: once, however often that is tried."""

    id: str
    micros: int
    hour: int
    day: int


class Spending:
    """The limits of one `upstream` (its identity) in `store`."""

    def __init__(self, store: Store, upstream: str) -> None:
        self._store = store
        self._upstream = upstream

    async def take(self, bucket: Bucket) -> bool:
        """Take a token from `bucket`; False when it is empty."""
        wait_ms = await self._store.run("take_token", [keys.bucket(bucket.name)], [bucket.capacity, bucket.per_second])
        return int(wait_ms) == 0

    async def reserve(self, usd: float, *, per_hour_usd: float, per_day_usd: float) -> Reservation | None:
        """Set `usd` aside, unless that would exceed what this hour or this day (UTC) may cost."""
        # Rounded up, so that what is reserved is never less than what was asked for.
        micros = -int(-usd * MICROS // 1)
        limits = [int(per_hour_usd * MICROS), int(per_day_usd * MICROS)]
        id = token_hex(16)
        granted, hour, day = await self._store.run("reserve_budget", self._reservation(id), [micros, *limits])
        return Reservation(id, micros, int(hour), int(day)) if granted else None

    async def settle(self, reservation: Reservation, usd: float) -> None:
        """The call cost `usd`: what was set aside beyond that can be spent again."""
        difference = round(usd * MICROS) - reservation.micros
        args = [difference, reservation.hour, reservation.day]
        await self._store.run("settle_budget", self._reservation(reservation.id), args)

    async def spent(self) -> tuple[float, float]:
        """USD spent or set aside in the current hour and day."""
        hour, day = await self._store.run("read_budget", [keys.budget()], [])
        return int(hour) / MICROS, int(day) / MICROS

    async def refusal(self) -> str | None:
        """Why the upstream refuses calls now, as its code; None while it does not."""
        answer: bytes | None = await self._store.run("read_breaker", [keys.breaker(self._upstream)], [])
        return answer.decode() if answer else None

    async def refused(self, reason: str, pause_ms: int | None) -> None:
        """The upstream refused a call: rest for `pause_ms`, or, if it named no time, longer with each refusal."""
        pause = -1 if pause_ms is None else min(pause_ms, LONGEST_REST_MS)
        await self._store.run("open_breaker", [keys.breaker(self._upstream)], [reason, pause])

    async def answered(self) -> None:
        """The upstream answered a call: it refuses no more."""
        await self._store.do("DEL", keys.breaker(self._upstream))

    async def odds(self, context: str, trigger: str) -> tuple[float, float]:
        """Faded counts of the warms over `context` by `trigger` that a question used, and that none did."""
        asked, unused = await self._store.run("odds", [keys.odds(context)], [trigger, "read"])
        return float(asked), float(unused)

    async def learn(self, context: str, trigger: str, *, used: bool) -> None:
        """A warm by `trigger` was made, and counts as unused; or one that counted so was used after all."""
        await self._store.run("odds", [keys.odds(context)], [trigger, "used" if used else "made"])

    def _reservation(self, id: str) -> list[str]:
        return [keys.budget(), keys.reservation(id)]
