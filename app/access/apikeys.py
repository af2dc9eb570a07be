"""API keys, for servers that ask on behalf of their own users: a secret of 160 random bits, shown once and stored as a hash.

Whoever has a key is the owner that its id names. It may carry limits of its own; without them nothing but the limits of the
whole deployment holds it. Revoking counts from the next request on, in every process.
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.store.apikeys import StoredKeys

PREFIX = "hs_"
# When a key was last used is kept to the hour: enough to find one that nobody uses, and cheap.
USED_WITHIN_S = 60 * 60
_SECRET_BYTES = 20


class UnknownKey(LookupError):
    """There is no such key, or it was revoked."""


class NameTaken(ValueError):
    """There is a key of that name."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key: times in seconds since the epoch, limits None where it has none of its own."""

    id: str
    name: str
    created_s: int
    used_s: int | None
    usd_per_day: float | None
    turns_per_minute: int | None


class ApiKeys:
    """The API keys of a deployment. `clock` gives seconds since the epoch."""

    def __init__(self, stored: StoredKeys, clock: Callable[[], float] = time.time) -> None:
        self._stored = stored
        self._clock = clock

    async def add(self, name: str, *, usd_per_day: float | None, turns_per_minute: int | None) -> tuple[ApiKey, str]:
        """A new key, and its secret, which nobody can find out again. Raises `NameTaken`."""
        if name in [key.name for key in await self.all()]:
            raise NameTaken(name)
        secret = PREFIX + base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode().lower()
        key = ApiKey(f"k_{secrets.token_hex(16)}", name, int(self._clock()), None, usd_per_day, turns_per_minute)
        limits = {"usd_per_day": usd_per_day, "turns_per_minute": turns_per_minute}
        facts = {"id": key.id, "name": name, "created_s": str(key.created_s)}
        facts |= {limit: str(most) for limit, most in limits.items() if most is not None}
        await self._stored.put(key.id, _hash(secret), facts)
        return key, secret

    async def all(self) -> list[ApiKey]:
        """Every key, oldest first."""
        return sorted(map(_parsed, (await self._stored.all()).values()), key=lambda key: (key.created_s, key.name))

    async def revoke(self, reference: str) -> ApiKey:
        """The key with this id or name counts no more. Raises `UnknownKey`."""
        for hash, facts in (await self._stored.all()).items():
            if reference in (facts["id"], facts["name"]):
                await self._stored.remove(facts["id"], hash)
                return _parsed(facts)
        raise UnknownKey(reference)

    async def find(self, secret: str) -> ApiKey:
        """The key with this secret. Raises `UnknownKey`."""
        hash = _hash(secret)
        facts = await self._stored.get(hash)
        if facts is None:
            raise UnknownKey
        key, now = _parsed(facts), int(self._clock())
        if now - (key.used_s or 0) >= USED_WITHIN_S:
            await self._stored.used(hash, now - now % USED_WITHIN_S)
        return key


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _parsed(facts: dict[str, str]) -> ApiKey:
    return ApiKey(
        id=facts["id"],
        name=facts["name"],
        created_s=int(facts["created_s"]),
        used_s=int(facts["used_s"]) if "used_s" in facts else None,
        usd_per_day=float(facts["usd_per_day"]) if "usd_per_day" in facts else None,
        turns_per_minute=int(facts["turns_per_minute"]) if "turns_per_minute" in facts else None,
    )
