"""Stored warms: for each prefix at one upstream, what is known of its cache entry, and who may write it.

States: cold → warming → warm | skipped | failed, and from any of these to warming again. `warming` is a lease: whoever
claims it holds a fencing number and renews it; when the lease runs out, or a question takes over, the former holder's
number no longer counts. All leases and starts are measured by Redis's own clock, the same for every process.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from secrets import token_hex
from typing import Any

from app.store import keys
from app.store.connection import Store, StoreUnavailable

# Longer than any cache entry lives, so that `expired` can still be told from `never warmed`.
KEEP_MS = 2 * 60 * 60 * 1000
NOTE_EVERY_MS = 10 * 60 * 1000


class WarmState(StrEnum):
    COLD = "cold"  # nothing is known to be cached, or it has expired
    WARMING = "warming"  # a call that writes the cache is under way
    WARM = "warm"  # cached until `expires_ms`
    SKIPPED = "skipped"  # not worth or not able to be cached: `reason` says why
    FAILED = "failed"  # the last call failed: `reason` says why


# What a call leaves, beside its state and when that ends.
_RESULT = (
    *("reason", "detail", "tokens_read", "tokens_written", "tokens_uncached", "cost_usd", "message_id", "duration_ms"),
)


@dataclass(frozen=True, slots=True)
class WarmRecord:
    """What is known of one prefix. Times are milliseconds of Redis's clock since the epoch. `tokens_uncached` is how long
    it turned out to be when it was too short to be cached."""

    state: WarmState
    reason: str | None = None
    detail: str | None = None
    session: str | None = None
    started_ms: int | None = None
    expires_ms: int | None = None
    tokens_read: int | None = None
    tokens_written: int | None = None
    tokens_uncached: int | None = None
    cost_usd: float | None = None
    message_id: str | None = None
    duration_ms: int | None = None

    @property
    def live(self) -> bool:
        """Whether the entry is cached now: also while it is being made to last longer."""
        return self.state is WarmState.WARM or (self.state is WarmState.WARMING and self.expires_ms is not None)

    @property
    def tokens(self) -> int | None:
        """How many tokens the entry holds, as the call that wrote it counted them."""
        if self.tokens_read is None or self.tokens_written is None:
            return None
        return self.tokens_read + self.tokens_written


COLD = WarmRecord(WarmState.COLD)


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to a claim: `fence` is the claimant's number, or None when `record` says why it got none."""

    fence: int | None
    record: WarmRecord
    now_ms: int


class Warms:
    """The warms of one `upstream` (its identity, since a cache is never shared across two) in `store`."""

    def __init__(self, store: Store, upstream: str) -> None:
        self._store = store
        self._upstream = upstream
        self._noted_ms = 0

    async def claim(
        self,
        digest: str,
        session: str,
        *,
        trigger: str = "",
        lease_ms: int,
        margin_ms: int,
        rest_ms: int,
        young_ms: int = 0,
        again: bool = False,
    ) -> Claim:
        """Become the one who writes `digest`'s entry, unless someone is at it, or it is warm for `margin_ms` more, or
        the last attempt failed less than `rest_ms` ago. A question, which writes it too, claims without a `trigger`; it
        takes over from a warm that began less than `young_ms` ago, and, when it is asked `again`, from itself."""
        granted, now, fields = await self._run(
            "claim_warm",
            digest,
            [session, lease_ms, margin_ms, KEEP_MS, rest_ms, trigger, young_ms, int(again), token_hex(8)],
        )
        if int(granted):
            await self._note(int(now))
        return Claim(int(granted) or None, _parse(_pairs(fields), int(now)), int(now))

    async def renew(self, digest: str, fence: int, *, lease_ms: int) -> bool:
        """Hold the lease for `lease_ms` more; False when it is no longer ours."""
        return bool(await self._run("renew_warm", digest, [fence, lease_ms]))

    async def settle(self, digest: str, fence: int, record: WarmRecord) -> bool:
        """End our warming with what came of it; False when the lease went to another meanwhile, who decides then."""
        fields = {"state": record.state.value, "result": _result(record), "expires_ms": record.expires_ms or ""}
        return bool(
            await self._run("settle_warm", digest, [fence, *(part for field in fields.items() for part in field)])
        )

    async def withdraw(self, digest: str, fence: int) -> bool:
        """End our warming before there was a call: all is as it was before our claim. False as for `settle`."""
        return bool(await self._run("withdraw_warm", digest, [fence]))

    async def use(self, digest: str, found: WarmRecord) -> str | None:
        """A question that held no claim found the prefix cached, as `found` says: by what it read, or wrote itself.

        Answers the trigger of the warm that wrote it, if this is the first question to use that warm.
        """
        trigger: bytes | None = await self._run("use_warm", digest, [found.expires_ms, _result(found), KEEP_MS])
        return trigger.decode() if trigger else None

    async def get(self, digest: str) -> tuple[WarmRecord, int]:
        """What is known of `digest` as of now, and now in milliseconds of Redis's clock."""
        return (await self.get_all([digest]))[0]

    async def get_all(self, digests: list[str]) -> list[tuple[WarmRecord, int]]:
        """What is known of each of `digests`, in one round trip."""
        answers = await self._store.batch([("TIME",), *(("HGETALL", self._key(digest)) for digest in digests)])
        seconds, micros = answers[0]
        now = int(seconds) * 1000 + int(micros) // 1000
        return [(_parse(fields, now), now) for fields in answers[1:]]

    async def _note(self, now_ms: int) -> None:
        """Keep that this upstream has warms, for as long as it may have."""
        if now_ms - self._noted_ms < NOTE_EVERY_MS:
            return
        self._noted_ms = now_ms
        long_ago = now_ms - KEEP_MS - NOTE_EVERY_MS
        with suppress(StoreUnavailable):
            await self._store.together(
                [
                    ("ZADD", keys.UPSTREAMS, now_ms, self._upstream),
                    ("ZREMRANGEBYSCORE", keys.UPSTREAMS, "-inf", long_ago),
                ]
            )

    def _key(self, digest: str) -> str:
        return keys.warm(self._upstream, digest)

    async def _run(self, script: str, digest: str, args: list[Any]) -> Any:
        return await self._store.run(script, [self._key(digest)], args)


async def known_anywhere(store: Store, digest: str) -> list[tuple[WarmRecord, int]]:
    """What is known of `digest` at each upstream where something was claimed of late, each with the time."""
    upstreams = await store.do("ZRANGE", keys.UPSTREAMS, 0, -1)
    return [await Warms(store, upstream.decode()).get(digest) for upstream in upstreams]


def _result(record: WarmRecord) -> str:
    return json.dumps({name: value for name in _RESULT if (value := getattr(record, name)) is not None})


def _pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _parse(fields: dict[bytes, bytes], now_ms: int) -> WarmRecord:
    if b"state" not in fields:
        return COLD
    state = WarmState(fields[b"state"].decode())
    result = json.loads(fields.get(b"result") or b"{}")
    expires = int(fields[b"expires_ms"]) if fields.get(b"expires_ms") else None
    if state is WarmState.WARM and (expires or 0) <= now_ms:
        state, result = WarmState.COLD, result | {"reason": "expired"}
    if state is WarmState.WARMING:
        lives, abandoned = (expires or 0) > now_ms, int(fields[b"lease_ms"]) <= now_ms
        if not lives:
            result, expires = {"reason": "warm_abandoned"} if abandoned else {}, None
        if abandoned:
            state = WarmState.WARM if lives else WarmState.COLD
    return WarmRecord(
        state=state,
        session=fields[b"session"].decode() or None,
        started_ms=int(fields[b"started_ms"]),
        expires_ms=expires,
        **result,
    )
