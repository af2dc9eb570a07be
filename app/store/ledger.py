"""The stored ledger: open calls, a capped stream of entries, sheets of counters that outlive them, and the sums of each
model's pace.

A sheet is a hash of whole numbers, so sums are exact in any order: one for all time, one for each hour, day and context.
Everything that is entered goes through `enter_ledger.lua`, in one round trip. Days and hours are UTC.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.store import keys
from app.store.connection import Store

KEPT_ENTRIES = 100_000
HOURS_KEPT_S = 3 * 24 * 60 * 60
OWNERS_KEPT_S = 2 * 24 * 60 * 60
DAYS_KEPT_S = 400 * 24 * 60 * 60
# An attempt whose answer got lost is tried again until Redis is back; after this long it would count twice.
REMEMBER_MS = 60 * 60 * 1000
# A question that began before a warm's end may be entered after it, by as long as answers take.
FORGET_AFTER_MS = 60 * 60 * 1000

Counters = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Unused:
    """A warm that no question has used yet: it can be until `ends_s`, and what is counted then."""

    ends_s: float
    adds: Counters


@dataclass(frozen=True, slots=True)
class Point:
    """One observation of a model's pace, and what earlier ones keep of their weight."""

    model: str
    tokens: int
    seconds: float
    fade: float


@dataclass(frozen=True, slots=True)
class Posting:
    """What is entered in one step, at `at` seconds since the epoch, under `context`. What has an `id` counts once.

    `abandoned` says that its process is gone: should it come back after all, what it enters under this `id` takes the place
    of this. `used_since_s` says that a question which began then read `prefix`: its unused warms were worth their money.
    `owner` is who spends.
    """

    at: float
    context: str
    adds: Counters
    id: str | None = None
    entry: Mapping[str, Any] | None = None
    prefix: str = ""
    unused: Unused | None = None
    used_since_s: float | None = None
    point: Point | None = None
    abandoned: bool = False
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """The counters of one sheet, and what its unused warms would count if they were used now."""

    counters: Counters
    unused: Counters


class LedgerStore:
    """The ledger in `store`, for one `upstream` where it is about speed or what is cached."""

    def __init__(self, store: Store, upstream: str) -> None:
        self._store = store
        self._upstream = upstream

    async def open(self, call: str, known: str, vouched_ms: int) -> None:
        """The call with the id `call` is about to be made: what is `known` of it, and for how long it is vouched for."""
        await self._store.run("open_call", [keys.LEDGER_OPEN, keys.LEDGER_VOUCHED], [call, known, vouched_ms])

    async def withdraw(self, call: str) -> None:
        """An open call was not made after all."""
        await self._store.together([("HDEL", keys.LEDGER_OPEN, call), ("ZREM", keys.LEDGER_VOUCHED, call)])

    async def vouch(self, calls: Sequence[str], vouched_ms: int) -> None:
        """The open `calls` are still ours."""
        await self._store.run("vouch_calls", [keys.LEDGER_VOUCHED], [vouched_ms, *calls])

    async def adopt(self, vouched_ms: int) -> list[str]:
        """What is known of open calls that nobody vouches for any more; to be entered within `vouched_ms`."""
        answer = await self._store.run("adopt_calls", [keys.LEDGER_OPEN, keys.LEDGER_VOUCHED], [vouched_ms])
        return [known.decode() for known in answer]

    async def enter(self, posting: Posting) -> bool:
        """Enter `posting`; False when it was entered before."""
        sheets = {
            keys.ledger_total(): 0,
            keys.ledger_hour(hour_of(posting.at)): HOURS_KEPT_S,
            keys.ledger_day(day_of(posting.at)): DAYS_KEPT_S,
            keys.ledger_context(posting.context): DAYS_KEPT_S,
        }
        # What a warm counts once it is used is nothing that its owner spends.
        counted = dict(sheets)
        if posting.owner is not None:
            counted[keys.ledger_owner(posting.owner, day_of(posting.at))] = OWNERS_KEPT_S
        point = posting.point
        given: dict[str, Any] = {
            "adds": _pairs(posting.adds),
            "lives_s": list(counted.values()),
            "keep": KEPT_ENTRIES,
            "prefix": f"{self._upstream}:{posting.prefix}",
            "now_ms": round(posting.at * 1000),
            "forget_ms": round(posting.at * 1000) - FORGET_AFTER_MS,
        }
        if posting.id is not None:
            given |= {"id": posting.id, "remember_ms": REMEMBER_MS}
        if posting.abandoned:
            given["undo"] = _pairs({field: -amount for field, amount in posting.adds.items()})
        if posting.used_since_s is not None:
            given["used_since_ms"] = round(posting.used_since_s * 1000)
        if posting.unused is not None:
            warm = {"sheets": list(sheets), "adds": _pairs(posting.unused.adds)}
            given["unused"] = {"ends_ms": round(posting.unused.ends_s * 1000), "warm": warm}
        if point is not None:
            given["pace"] = {"tokens": point.tokens, "seconds": point.seconds, "fade": point.fade}
        named = [keys.ledger_seen(posting.id or ""), keys.LEDGER, keys.LEDGER_UNUSED, keys.LEDGER_ENDS]
        named += [keys.pace(self._upstream, point.model if point else ""), keys.LEDGER_OPEN, keys.LEDGER_VOUCHED]
        entry = "" if posting.entry is None else json.dumps(posting.entry)
        answer = await self._store.run("enter_ledger", [*named, *counted], [entry, json.dumps(given)])
        return bool(answer)

    async def sheets(
        self, now: float, *, hours: Sequence[str] = (), days: Sequence[str] = (), contexts: Sequence[str] = ()
    ) -> list[Sheet]:
        """The sheet of all time, then those of `hours`, `days` and `contexts`, as of one moment."""
        named = [
            keys.ledger_total(),
            *map(keys.ledger_hour, hours),
            *map(keys.ledger_day, days),
            *map(keys.ledger_context, contexts),
        ]
        unused, alive, *answers = await self._store.together(
            [
                ("HGETALL", keys.LEDGER_UNUSED),
                ("ZRANGEBYSCORE", keys.LEDGER_ENDS, f"({round(now * 1000)}", "+inf"),
                *(("HGETALL", name) for name in named),
            ]
        )
        waiting: dict[str, dict[str, int]] = {name: {} for name in named}
        for sheet, field, amount in _waiting(unused, alive):
            if sheet in waiting:
                waiting[sheet][field] = waiting[sheet].get(field, 0) + amount
        counted = [{field.decode(): int(value) for field, value in answer.items()} for answer in answers]
        return [Sheet(counters, waiting[name]) for name, counters in zip(named, counted, strict=True)]

    async def owner(self, owner: str, now: float) -> Counters:
        """What the calls of `owner` have counted on the day of `now`."""
        return await self._counters(keys.ledger_owner(owner, day_of(now)))

    async def day(self, now: float) -> Counters:
        """What all calls have counted on the day of `now`."""
        return await self._counters(keys.ledger_day(day_of(now)))

    async def entries(self, most: int) -> list[dict[str, Any]]:
        """The latest entries, newest first."""
        answer = await self._store.do("XREVRANGE", keys.LEDGER, "+", "-", "COUNT", most)
        return [json.loads(fields[b"entry"]) for _, fields in answer]

    async def _counters(self, sheet: str) -> Counters:
        answer = await self._store.do("HGETALL", sheet)
        return {field.decode(): int(value) for field, value in answer.items()}

    async def pace_sums(self, model: str) -> tuple[float, float, float, float, float]:
        """The sums for `model`: count, x, y, xx, xy."""
        answer = await self._store.do("HMGET", keys.pace(self._upstream, model), "n", "x", "y", "xx", "xy")
        count, x, y, xx, xy = (float(value or 0) for value in answer)
        return count, x, y, xx, xy


def hour_of(at: float) -> str:
    """The hour (UTC) that `at` seconds since the epoch falls in, as its sheet is named."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H")


def day_of(at: float) -> str:
    """The day (UTC) that `at` seconds since the epoch falls in, as its sheet is named."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _pairs(adds: Counters) -> list[tuple[str, str]]:
    # As text: Lua's numbers are not exact beyond 2⁵³.
    return [(field, str(amount)) for field, amount in adds.items() if amount]


def _waiting(unused: Mapping[bytes, bytes], alive: Sequence[bytes]) -> Iterator[tuple[str, str, int]]:
    for prefix in alive:
        for warm in json.loads(unused[prefix]):
            for sheet in warm["sheets"]:
                for field, amount in warm["adds"]:
                    yield sheet, field, int(amount)
