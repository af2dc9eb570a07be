"""The stored ledger: a capped stream of entries, running totals that outlive them, and the sums of each model's pace."""

import json
from collections.abc import Mapping
from typing import Any

from app.store import keys
from app.store.connection import Store

KEPT_ENTRIES = 100_000


class LedgerStore:
    """The ledger in `store`, for one `upstream` where it is about speed."""

    def __init__(self, store: Store, upstream: str) -> None:
        self._store = store
        self._upstream = upstream

    async def enter(self, entry: Mapping[str, Any]) -> None:
        """Append `entry`."""
        await self._store.do("XADD", keys.LEDGER, "MAXLEN", "~", KEPT_ENTRIES, "*", "entry", json.dumps(entry))

    async def count(self, totals: Mapping[str, float]) -> None:
        """Add `totals` to the running ones."""
        added = [(name, float(value)) for name, value in totals.items() if value]
        if added:
            await self._store.together([("HINCRBYFLOAT", keys.LEDGER_TOTALS, name, value) for name, value in added])

    async def totals(self) -> dict[str, float]:
        """The running totals."""
        answer = await self._store.do("HGETALL", keys.LEDGER_TOTALS)
        return {name.decode(): float(value) for name, value in answer.items()}

    async def entries(self, most: int) -> list[dict[str, Any]]:
        """The latest entries, newest first."""
        answer = await self._store.do("XREVRANGE", keys.LEDGER, "+", "-", "COUNT", most)
        return [json.loads(fields[b"entry"]) for _, fields in answer]

    async def learn_pace(self, model: str, tokens: int, seconds: float, fade: float) -> None:
        """Add the point (tokens, seconds) to the sums for `model`, after fading them."""
        await self._store.run("learn_pace", [keys.pace(self._upstream, model)], [fade, tokens, seconds])

    async def pace_sums(self, model: str) -> tuple[float, float, float, float, float]:
        """The sums for `model`: count, x, y, xx, xy."""
        answer = await self._store.do("HMGET", keys.pace(self._upstream, model), "n", "x", "y", "xx", "xy")
        count, x, y, xx, xy = (float(value or 0) for value in answer)
        return count, x, y, xx, xy
