"""How much one owner may ask: sessions, questions and money, counted over all processes.

Rates are token buckets: a burst up to the whole allowance, and as much again over its period. Money is what the ledger
says an owner's calls have cost since midnight (UTC); nothing is set aside, so questions under way can go a little beyond it.
Whoever drops a cookie is another owner, so that the number of new owners per address is limited too. Open event streams are
what one process has to bear, so each counts its own.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from app.ledger.book import Ledger
from app.store.allowances import Allowances
from app.store.spending import Bucket

MINUTE_S = 60
HOUR_S = 60 * 60
DAY_S = 24 * 60 * 60
# So much more than one owner may all those do together who come from one address.
_OWNERS_AT_WORK = 10
# Of an IPv6 address, a network that is one customer's.
_NETWORK_BITS = 64
# Streams end with their turns, nobody knows when.
_STREAM_WAIT_S = 5


class _Rate(NamedTuple):
    """What is counted, over which period, and how that is said."""

    what: str
    period_s: int
    period: str
    several: str = ""

    def at_most(self, most: int) -> str:
        """That there are at most so many."""
        return f"At most {most:,} {self.what if most == 1 else self.several or self.what + 's'} {self.period}"


_QUESTIONS = _Rate("question", MINUTE_S, "a minute")
_CONVERSATIONS = _Rate("conversation", DAY_S, "a day")
_NEWCOMERS = _Rate("newcomer", DAY_S, "a day per address")


class Work(Enum):
    """What costs the server something each time, whatever comes of it."""

    ADDING = "contexts_per_hour"
    FETCHING = "urls_per_hour"
    SIFTING = "sifts_per_hour"
    SEARCHING = "searches_per_hour"


_WORK = {
    Work.ADDING: _Rate("try at adding a context", HOUR_S, "an hour", "tries at adding a context"),
    Work.FETCHING: _Rate("fetched URL", HOUR_S, "an hour"),
    Work.SIFTING: _Rate("look through a folder", HOUR_S, "an hour", "looks through folders"),
    Work.SEARCHING: _Rate("search", HOUR_S, "an hour", "searches"),
}


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one owner may: None is as much as they like."""

    sessions_per_day: int | None = None
    turns_per_minute: int | None = None
    usd_per_day: float | None = None
    open_streams: int | None = None
    per_hour: Mapping[Work, int] = field(default_factory=dict)


UNLIMITED = Allowance()


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks, what they may, and, if anyone could come as such a one, from which address."""

    owner: str
    allowance: Allowance
    address: str | None


class LimitReached(Exception):
    """An allowance is used up: which (`limit`), how much it is, and the seconds after which to come back."""

    def __init__(self, limit: str, most: float, retry_after_s: float, said: str) -> None:
        super().__init__(said)
        self.limit = limit
        self.most = most
        self.retry_after_s = retry_after_s


class OwnerLimits:
    """The limits of a deployment. `owners_per_address` and `usd_per_day` (of all owners together) None: no such limit."""

    def __init__(
        self,
        allowances: Allowances,
        ledger: Ledger,
        *,
        owners_per_address: int | None,
        usd_per_day: float | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._allowances = allowances
        self._ledger = ledger
        self._owners_per_address = owners_per_address
        self._usd_per_day = usd_per_day
        self._clock = clock
        self._open_streams: Counter[str] = Counter()

    @asynccontextmanager
    async def beginning(self, visitor: Visitor) -> AsyncIterator[None]:
        """Around what begins a session. Raises `LimitReached`; when something else does, nothing was taken."""
        most = visitor.allowance.sessions_per_day
        async with self.arriving(visitor), self._one_of("sessions_per_day", visitor.owner, most, _CONVERSATIONS):
            yield

    @asynccontextmanager
    async def asking(self, visitor: Visitor) -> AsyncIterator[None]:
        """Around what accepts a question. Raises `LimitReached`; when something else does, nothing was taken."""
        most_usd = visitor.allowance.usd_per_day
        if most_usd is not None and await self._ledger.spent_by(visitor.owner) >= most_usd:
            said = f"Your questions of today have cost what they may, ${most_usd:,.2f}"
            raise LimitReached("usd_per_day", most_usd, self._until_midnight(), said)
        if self._usd_per_day is not None and await self._ledger.spent_today() >= self._usd_per_day:
            said = "Today's questions have cost all that they may here (HEADSTART_USD_PER_DAY)"
            raise LimitReached("usd_per_day_of_all", self._usd_per_day, self._until_midnight(), said)
        async with self._one_of("turns_per_minute", visitor.owner, visitor.allowance.turns_per_minute, _QUESTIONS):
            yield

    @contextmanager
    def following(self, visitor: Visitor) -> Iterator[None]:
        """Around an event stream for as long as it is open. Raises `LimitReached`."""
        most = visitor.allowance.open_streams
        if most is not None and self._open_streams[visitor.owner] >= most:
            raise LimitReached("open_streams", most, _STREAM_WAIT_S, f"At most {most:,} event streams at once")
        self._open_streams[visitor.owner] += 1
        try:
            yield
        finally:
            self._open_streams[visitor.owner] -= 1
            if not self._open_streams[visitor.owner]:
                del self._open_streams[visitor.owner]

    @asynccontextmanager
    async def arriving(self, visitor: Visitor) -> AsyncIterator[None]:
        """Around what keeps something for an owner, who may be new. Raises `LimitReached`, as the others do."""
        most = self._owners_per_address
        if most is None or visitor.address is None or not await self._allowances.bring(visitor.owner, DAY_S):
            yield
            return
        try:
            async with self._one_of("owners_per_address", _network(visitor.address), most, _NEWCOMERS):
                yield
        except Exception:
            await self._allowances.send_away(visitor.owner)
            raise

    async def work(self, visitor: Visitor, work: Work, count: int = 1) -> None:
        """So much work is to be done, and counts even if it fails. Raises `LimitReached`."""
        most = visitor.allowance.per_hour.get(work)
        if most is None:
            return
        # Who may less in an hour than is asked for at once gets it after an hour without any.
        await self._take(work.value, visitor.owner, most, _WORK[work], min(count, most))
        if visitor.address is not None and work is not Work.SEARCHING:
            # Who drops a cookie is another owner, but has nothing to search.
            most *= _OWNERS_AT_WORK
            await self._take(f"{work.value}_per_address", _network(visitor.address), most, _WORK[work], count)

    async def has_money(self, visitor: Visitor) -> bool:
        """Whether anything may be spent for `visitor`."""
        most_usd = visitor.allowance.usd_per_day
        return most_usd is None or await self._ledger.spent_by(visitor.owner) < most_usd

    @asynccontextmanager
    async def _one_of(self, limit: str, whose: str, most: int | None, rate: _Rate) -> AsyncIterator[None]:
        """Around what `whose` may do `most` times in a period: taken before, given back when it fails."""
        if most is None:
            yield
            return
        bucket = await self._take(limit, whose, most, rate)
        try:
            yield
        except Exception:
            await self._allowances.give_back(bucket)
            raise

    async def _take(self, limit: str, whose: str, most: int, rate: _Rate, count: int = 1) -> Bucket:
        bucket = Bucket(f"{whose}:{limit}", most, most / rate.period_s)
        wait_s = await self._allowances.take(bucket, count)
        if wait_s > 0:
            raise LimitReached(limit, most, wait_s, rate.at_most(most))
        return bucket

    def _until_midnight(self) -> float:
        return DAY_S - self._clock() % DAY_S


def _network(address: str) -> str:
    """`address`, or the network of one customer that it lies in."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{int(parsed) >> (128 - _NETWORK_BITS):x}::"
