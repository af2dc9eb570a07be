"""Owner cookies: a value that stands for an anonymous owner, and is replaced by another from time to time.

A newcomer's value is random and stands for itself: the owner is its hash, and nothing is stored, so that whoever only
looks leaves nothing behind. It carries the time it was made, and no other: who changes that has another value, and is
another owner. After `ROTATE_S` the owner is handed a new value. Once that has come back, the old one counts for
`OVERLAP_S` more, for requests under way. So a value that was copied does not live for ever, and an answer that gets lost
loses nobody a conversation.
"""

import hashlib
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from app.store.cookies import Cookies

MAX_AGE_S = 400 * 24 * 60 * 60
ROTATE_S = 7 * 24 * 60 * 60
OVERLAP_S = 10 * 60
OFFER_AGAIN_S = 60
# A value from the future would never be replaced; clocks differ by less.
AHEAD_S = 60 * 60
KEPT = 10_000

_VALUE = re.compile(r"([nr])([0-9a-f]{8})([A-Za-z0-9_-]{43})")
_OWNER_DIGITS = 40
NEW, REPLACED = "n", "r"


@dataclass(frozen=True, slots=True)
class Visit:
    """Whose a cookie is, and the value to set instead; None to leave it."""

    owner: str
    value: str | None


class OwnerCookies:
    """The owner cookies of a deployment. `clock` gives seconds since the epoch."""

    def __init__(self, cookies: Cookies, clock: Callable[[], float] = time.time) -> None:
        self._cookies = cookies
        self._clock = clock
        # What a value stands for does not change while it is young, so it is looked up once.
        self._known: OrderedDict[str, str] = OrderedDict()

    async def visit(self, value: str | None) -> Visit:
        """Whose `value` is: a newcomer's, if it is none of ours, too old, or was replaced."""
        found = _VALUE.fullmatch(value or "")
        age_s = self._clock() - int(found[2], 16) if found else 0.0
        if value is None or found is None or not -AHEAD_S <= age_s <= MAX_AGE_S:
            return self._newcomer()
        hashed = _hash(value)
        itself = hashed[:_OWNER_DIGITS] if found[1] == NEW else self._known.get(hashed)
        if itself is not None and age_s < ROTATE_S:
            return Visit(itself, None)
        return await self._looked_up(hashed, itself, age_s)

    async def _looked_up(self, hashed: str, itself: str | None, age_s: float) -> Visit:
        stored = await self._cookies.get(hashed)
        owner = itself or stored.owner
        if owner is None or self._is_over(stored.until_s):
            return self._newcomer()
        if stored.replaces is not None:
            first = await self._cookies.seen(hashed, stored.replaces, self._clock() + OVERLAP_S)
            if not first:
                # Another value took the same one's place before: this one dies with that.
                replaced = await self._cookies.get(stored.replaces)
                return self._newcomer() if self._is_over(replaced.until_s) else Visit(owner, None)
        if age_s < ROTATE_S:
            self._remember(hashed, owner)
        elif stored.until_s is None and await self._cookies.may_replace(hashed, OFFER_AGAIN_S):
            value = self._made(REPLACED)
            await self._cookies.put(_hash(value), owner, hashed)
            return Visit(owner, value)
        return Visit(owner, None)

    def _newcomer(self) -> Visit:
        value = self._made(NEW)
        return Visit(_hash(value)[:_OWNER_DIGITS], value)

    def _made(self, kind: str) -> str:
        return f"{kind}{int(self._clock()):08x}{secrets.token_urlsafe(32)}"

    def _is_over(self, until_s: float | None) -> bool:
        return until_s is not None and until_s <= self._clock()

    def _remember(self, hashed: str, owner: str) -> None:
        self._known[hashed] = owner
        while len(self._known) > KEPT:
            self._known.popitem(last=False)


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
