"""How long a question waits for a warm under way: not at all when it has only begun, and not for ever.

Both are told from what this deployment has seen of its upstream's speed. Where too little is known, questions wait.
"""

import time

from app.ledger.book import Ledger
from app.store.sessions import SessionRecord
from app.store.warms import WarmRecord, WarmState
from app.warm.prospects import Prospects

# A question gives up waiting for a call that takes this many times as long as it should, and never before the floor.
JOIN_MULTIPLE = 3.0
JOIN_FLOOR_S = 3.0
# It takes over from a young one when that gains more than this share of what a cold call takes.
WORTH_TAKING_OVER = 0.01


class Patience:
    """Bounds on waiting. `join_timeout_s` is the longest."""

    def __init__(self, ledger: Ledger, prospects: Prospects, join_timeout_s: float) -> None:
        self._ledger = ledger
        self._prospects = prospects
        self._join_timeout_s = join_timeout_s

    async def deadline(self, session: SessionRecord, record: WarmRecord) -> float:
        """When to stop waiting for a warm: a multiple of what it should take, by what was learned, and never longer than
        the setting. On `time.monotonic`."""
        pace = await self._ledger.pace(session.parameters["model"])
        if pace is None:
            return time.monotonic() + self._join_timeout_s
        prospect = await self._prospects.of(session, record)
        predicted = JOIN_FLOOR_S + JOIN_MULTIPLE * pace.predict(prospect.tokens)
        return time.monotonic() + min(self._join_timeout_s, predicted)

    async def predicted_ms(self, session: SessionRecord, record: WarmRecord) -> int | None:
        """What a warm under way should take from its start, for who waits; None when there is none, or too little known."""
        if record.state is not WarmState.WARMING:
            return None
        pace = await self._ledger.pace(session.parameters["model"])
        if pace is None:
            return None
        prospect = await self._prospects.of(session, record)
        return round(1000 * pace.predict(prospect.tokens))

    async def young_ms(self, session: SessionRecord, record: WarmRecord) -> int:
        """The age below which a warm of the current prefix is slower to wait for than to replace; 0 when not known.

        With W the duration of the call, warm or cold, and H that of a hit: W − age + H > W while age < H.
        """
        pace = await self._ledger.pace(session.parameters["model"])
        if pace is None or pace.hit_s is None:
            return 0
        prospect = await self._prospects.of(session, record)
        return max(0, round(1000 * (pace.hit_s - WORTH_TAKING_OVER * pace.predict(prospect.tokens))))
