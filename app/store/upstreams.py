"""What has been learned about an upstream, kept for every process and the next start."""

from app.store import keys
from app.store.connection import Store


class Capabilities:
    """What one `upstream` (its identity) was found not to do."""

    def __init__(self, store: Store, upstream: str) -> None:
        self._store = store
        self._key = keys.capabilities(upstream)

    async def refuses_zero_tokens(self) -> bool:
        """Whether it was seen to refuse `max_tokens: 0`."""
        return bool(await self._store.do("HEXISTS", self._key, "refuses_zero_tokens"))

    async def learn_that_it_refuses_zero_tokens(self) -> None:
        """It refused `max_tokens: 0`, and took 1."""
        await self._store.do("HSET", self._key, "refuses_zero_tokens", 1)
