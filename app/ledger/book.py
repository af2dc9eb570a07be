"""The ledger itself: one entry for every call to the upstream, whatever came of it, and the figures they add up to.

Entries are kept for the last hundred thousand calls; what they add up to is kept for all time, and for each hour, day and
context, whatever becomes of the entries. An entry has marks in place of the ids of session and turn. A call or verdict is
entered in one round trip, and once, however often that is tried. Before a call is made it is opened, and its process
vouches for it; one that nobody vouches for any more is entered as abandoned, by whichever process notices, with its usage
unknown. Should its process have been asleep or cut off only, what that enters takes its place. What the ledger does not
know: the SDK's own retries, which used nothing, and calls that were opened while Redis was away and whose process was
killed before it came back.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from secrets import token_hex
from typing import Any

from app.ledger.counters import (
    ASK,
    CATEGORIES,
    NANOS,
    WARM,
    Answered,
    call_counters,
    rating_counters,
    skip_counters,
    used_counters,
    verdict_counters,
)
from app.ledger.pace import FADE, Pace, fit
from app.ledger.price import cost_usd
from app.ledger.usage import Usage
from app.ledger.verdict import classify
from app.logs import fields
from app.store.connection import StoreUnavailable, persistently
from app.store.ledger import Counters, LedgerStore, Point, Posting, Sheet, Unused, day_of, hour_of

log = logging.getLogger("headstart.call")

HOURS = 24
DAYS = 30
HOUR_S = 60 * 60
DAY_S = 24 * HOUR_S

ABANDONED = "abandoned"
# A process says this often that its calls are under way, and is believed for as long.
VOUCH_S = 2.0
VOUCHED_MS = 8_000
# A Redis that does not answer keeps no call waiting for longer.
OPEN_WITHIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call to the upstream. `kind` is "warm" or "ask"; `outcome` "ok", "stopped", an error's code, or "abandoned", which
    is what every call is until more is known.

    `first_byte_s` is None when no answer began, `duration_s` while nobody saw its end; `usage` is what was reported until
    then. `lives_s` is how long what a warm wrote or read lives from the start of its request. `owner` is who spends. `id`
    makes the call one: a call is entered once.
    """

    kind: str
    model: str
    digest: str
    session: str
    usage: Usage = field(default_factory=Usage)
    first_byte_s: float | None = None
    duration_s: float | None = None
    outcome: str = ABANDONED
    message_id: str | None = None
    turn: str | None = None
    trigger: str | None = None
    lives_s: float = 0.0
    context: str = field(kw_only=True)
    owner: str | None = field(default=None, kw_only=True)
    id: str = field(default_factory=lambda: token_hex(16))


@dataclass(frozen=True, slots=True)
class Sheets:
    """The ledger's counters as of `at`: of all time, of the last hours and days, oldest first, and of some contexts."""

    at: float
    total: Sheet
    hours: dict[str, Sheet]
    days: dict[str, Sheet]
    contexts: dict[str, Sheet]


class Ledger:
    """Writes calls and verdicts, reads figures. `clock` gives seconds since the epoch."""

    def __init__(self, store: LedgerStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._open: set[str] = set()
        self._opening: set[asyncio.Task[None]] = set()

    async def open(self, call: Call) -> None:
        """`call` is about to be made, and will be entered: by `record`, or, if that never comes, as it is now.

        Never fails: without Redis a call is made all the same, and known once it is entered.
        """
        self._open.add(call.id)
        opening = self._in_background(self._store.open(call.id, json.dumps(asdict(call)), VOUCHED_MS))
        try:
            await asyncio.wait([opening], timeout=OPEN_WITHIN_S)
        except asyncio.CancelledError:
            self._open.discard(call.id)
            self._in_background(self._withdraw(call.id, opening))
            raise

    async def vouch(self) -> None:
        """Say that what is open here is still ours."""
        if self._open:
            await self._store.vouch(list(self._open), VOUCHED_MS)

    async def record_abandoned(self) -> None:
        """Enter the calls that nobody vouches for any more."""
        for known in await self._store.adopt(VOUCHED_MS):
            try:
                call = _call_of(json.loads(known))
            except (ValueError, TypeError, KeyError):
                # Of another version of us: it is entered by one of those.
                log.warning("an open call of the ledger cannot be read")
                continue
            if call.id not in self._open:
                await self.record(call)

    async def record(self, call: Call) -> None:
        """Enter `call`, which has just ended."""
        now = self._clock()
        started = now - (call.duration_s or 0.0)
        answered = call.first_byte_s is not None
        await self._store.enter(
            Posting(
                at=now,
                context=call.context,
                owner=call.owner,
                id=call.id,
                entry=_entry(call, now),
                adds=call_counters(call.kind, call.model, call.outcome, call.usage),
                prefix=call.digest,
                unused=_unused(call, started) if call.kind == WARM and answered and was_cached(call.usage) else None,
                used_since_s=started if call.kind == ASK and answered and call.usage.read else None,
                point=_point(call),
                abandoned=call.outcome == ABANDONED,
            )
        )
        self._open.discard(call.id)
        _say(call)

    async def record_verdict(self, answered: Answered) -> None:
        """Count a turn's verdict."""
        adds = verdict_counters(answered)
        await self._store.enter(Posting(self._clock(), answered.context, adds, id=f"verdict:{answered.turn}"))

    async def count_skip(self, context: str, reason: str) -> None:
        """A warm over `context` was skipped for `reason`."""
        await self._store.enter(Posting(self._clock(), context, skip_counters(reason)))

    async def count_rating(self, context: str, saying: str, before: str, now: str) -> None:
        """An answer about `context` is rated `now`, and was `before`; "" is not at all. The same `saying` counts once."""
        await self._store.enter(Posting(self._clock(), context, rating_counters(before, now), id=f"rating:{saying}"))

    async def spent_by(self, owner: str) -> float:
        """USD that `owner`'s calls have cost since midnight (UTC), as far as prices are known."""
        return _usd(await self._store.owner(owner, self._clock()))

    async def spent_today(self) -> float:
        """The same for everyone's calls."""
        return _usd(await self._store.day(self._clock()))

    async def pace(self, model: str, tokens: int = 0) -> Pace | None:
        """What has been learned of `model`'s speed; None while too little is known, or too little to tell anybody how long
        `tokens` take."""
        return fit(*await self._store.pace_sums(model), tokens)

    async def entries(self, most: int) -> list[dict[str, Any]]:
        """The latest entries, newest first."""
        return await self._store.entries(most)

    async def sheets(self, contexts: Sequence[str] = (), *, periods: bool = True) -> Sheets:
        """Everything counted; with `periods`, hour by hour for a day and day by day for a month."""
        now = self._clock()
        hours = [hour_of(now - ago * HOUR_S) for ago in reversed(range(HOURS))] if periods else []
        days = [day_of(now - ago * DAY_S) for ago in reversed(range(DAYS))] if periods else []
        total, *found = await self._store.sheets(now, hours=hours, days=days, contexts=contexts)
        named = dict(zip([*hours, *days, *contexts], found, strict=True))
        by_hour, by_day, by_context = ({name: named[name] for name in names} for names in (hours, days, contexts))
        return Sheets(now, total, by_hour, by_day, by_context)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        async def without_redis() -> None:
            with suppress(StoreUnavailable):
                await work

        task = asyncio.create_task(without_redis())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return task

    async def _withdraw(self, call: str, opening: asyncio.Task[None]) -> None:
        """It was not made after all."""
        await asyncio.wait([opening])
        await persistently(lambda: self._store.withdraw(call))


def was_cached(usage: Usage) -> bool:
    """Whether the upstream's counters say that the prefix is in its cache now."""
    return classify(usage).value != "uncacheable"


def _say(call: Call) -> None:
    """One line for `call`, with everything but texts."""
    named = ("kind", "model", "session", "turn", "trigger", "outcome", "message_id")
    said = fields(
        **{name: getattr(call, name) for name in named},
        **{category: getattr(call.usage, category) for category in CATEGORIES},
        ms=None if call.duration_s is None else round(call.duration_s * 1000),
        cost_usd=cost_usd(call.model, call.usage),
    )
    log.info("%s call to %s: %s", call.kind, call.model, call.outcome, extra=said)


def _usd(counters: Counters) -> float:
    return sum(value for counter, value in counters.items() if counter.startswith("cost|")) / NANOS


def _entry(call: Call, now: float) -> dict[str, Any]:
    named = ("kind", "model", "digest", "context", "trigger", "outcome", "message_id")
    return {
        "id": call.id,
        "at": now,
        **{name: getattr(call, name) for name in named},
        "session": _mark(call.session),
        "turn": call.turn and _mark(call.turn),
        **{category: getattr(call.usage, category) for category in CATEGORIES},
        "cost_usd": cost_usd(call.model, call.usage),
        "first_byte_s": call.first_byte_s,
        "duration_s": call.duration_s,
    }


def _mark(id: str) -> str:
    """What leads from `id` to its entries, and never back: entries stay when a conversation is erased."""
    return hashlib.sha256(id.encode()).hexdigest()[:32]


def _unused(call: Call, started: float) -> Unused:
    return Unused(started + call.lives_s, used_counters(call.model, call.usage))


def _point(call: Call) -> Point | None:
    if call.first_byte_s is None or not call.usage.input:
        return None
    return Point(call.model, call.usage.uncached + call.usage.written, call.first_byte_s, FADE)


def _call_of(known: dict[str, Any]) -> Call:
    """A call as it was stored, without what only another version of us knows. Raises `KeyError` or `TypeError`."""
    ours = {name: value for name, value in known.items() if name in Call.__dataclass_fields__}
    usage = {name: value for name, value in known["usage"].items() if name in Usage.__dataclass_fields__}
    return Call(**(ours | {"usage": Usage(**usage)}))
