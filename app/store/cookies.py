"""Stored owner cookies: only those that replaced another, or were replaced; by their hashes, never the values.

`hs:cookie:{hash}` is a hash of `owner` and `replaces` (the hash of the value before it, until this one is first seen), and,
once it was replaced itself, of `successor` and `until_s` (when it stops to count). Each is kept as long as a browser keeps
a cookie.
"""

from dataclasses import dataclass

from app.store import keys
from app.store.connection import Store


@dataclass(frozen=True, slots=True)
class StoredCookie:
    """What is known of a value; `owner` is None for one that stands for itself."""

    owner: str | None
    replaces: str | None
    until_s: float | None


class Cookies:
    """The cookies in `store`, kept for `keep_s` seconds. Values are named by their `hash`."""

    def __init__(self, store: Store, keep_s: int) -> None:
        self._store = store
        self._keep_s = keep_s

    async def get(self, hash: str) -> StoredCookie:
        """What is known of a value."""
        owner, replaces, until = await self._store.do("HMGET", keys.cookie(hash), "owner", "replaces", "until_s")
        return StoredCookie(
            owner.decode() if owner else None, replaces.decode() if replaces else None, float(until) if until else None
        )

    async def may_replace(self, hash: str, again_after_s: int) -> bool:
        """Whether the caller is to hand out a value in place of this one: one answer does, then none for a while."""
        return bool(await self._store.do("SET", keys.cookie_offered(hash), "", "NX", "EX", again_after_s))

    async def put(self, hash: str, owner: str, replaces: str) -> None:
        """A value for `owner`, in place of another that counts until this one is seen."""
        key = keys.cookie(hash)
        await self._store.together([("HSET", key, "owner", owner, "replaces", replaces), ("EXPIRE", key, self._keep_s)])

    async def seen(self, hash: str, replaces: str, until_s: float) -> bool:
        """A value is in use: the one that it replaces counts only `until_s`. False when another took its place before."""
        key = keys.cookie(replaces)
        _, successor, _ = await self._store.together(
            [("HSETNX", key, "successor", hash), ("HGET", key, "successor"), ("EXPIRE", key, self._keep_s)]
        )
        if successor.decode() != hash:
            return False
        # In this order: whoever is interrupted does the rest at the next visit.
        await self._store.do("HSETNX", key, "until_s", until_s)
        await self._store.do("HDEL", keys.cookie(hash), "replaces")
        return True
