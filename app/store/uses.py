"""How each context is used: faded counts of the gaps between one use and the next, by Redis's clock, and with which
parameters its first prefix was written.
"""

import json
from typing import Any

from app.store import keys
from app.store.connection import Store


class Uses:
    """The uses of contexts in `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def note(self, context: str) -> None:
        """`context` is used now: a warm or a question."""
        await self._store.run("note_use", [keys.uses(context)], [])

    async def remember(self, context: str, digest: str, parameters: dict[str, Any]) -> None:
        """`digest` is what `context` alone comes to with `parameters`, and was written."""
        await self._store.run("remember_prefix", [keys.prefixes(context)], [digest, json.dumps(parameters)])

    async def prefixes(self, context: str) -> dict[str, dict[str, Any]]:
        """The first prefixes of `context` that were written: digests, and their parameters."""
        found = await self._store.do("HGETALL", keys.prefixes(context))
        return {digest.decode(): json.loads(parameters) for digest, parameters in found.items()}

    async def gaps(self, context: str) -> tuple[float, float, float]:
        """Faded counts of the gaps up to 5 minutes, up to an hour, and longer ones."""
        short, middle, long = await self._store.do("HMGET", keys.uses(context), "short", "middle", "long")
        return float(short or 0), float(middle or 0), float(long or 0)
