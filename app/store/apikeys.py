"""Stored API keys: by the hash of the secret, which is never stored. `hs:keys` leads from an id to that hash."""

from collections.abc import Mapping

from app.store import keys
from app.store.connection import Store


class StoredKeys:
    """The API keys in `store`; each is a mapping of small facts, all of them text."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, id: str, hash: str, facts: Mapping[str, str]) -> None:
        """A new key."""
        pairs = [word for fact in facts.items() for word in fact]
        await self._store.do("HSET", keys.api_key(hash), *pairs)
        await self._store.do("HSET", keys.API_KEYS, id, hash)

    async def get(self, hash: str) -> dict[str, str] | None:
        """The facts of a key; None when there is no such key, or not any more."""
        answer = await self._store.do("HGETALL", keys.api_key(hash))
        return {name.decode(): value.decode() for name, value in answer.items()} or None

    async def all(self) -> dict[str, dict[str, str]]:
        """Every key's facts, by its hash."""
        hashes = [hash.decode() for hash in await self._store.do("HVALS", keys.API_KEYS)]
        found = {hash: await self.get(hash) for hash in hashes}
        return {hash: facts for hash, facts in found.items() if facts is not None}

    async def used(self, hash: str, at: int) -> None:
        """The key was used; not written for one that is gone."""
        await self._store.run("touch_key", [keys.api_key(hash)], [at])

    async def remove(self, id: str, hash: str) -> None:
        """The key counts no more, from the next request on."""
        await self._store.do("DEL", keys.api_key(hash))
        await self._store.do("HDEL", keys.API_KEYS, id)
