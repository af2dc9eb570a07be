"""How long conversations are kept that nobody uses: for ever, or for so many days; then they are erased, whole.

Whatever its owner does with a session is a use: a question, a warm, a look at it. Uses are noted once an hour, which is
nothing beside days. Every process looks for what is over; each such session is erased by one of them.
"""

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from app.store import keys
from app.store.connection import StoreUnavailable, relinquish
from app.store.sessions import Sessions
from app.turns.met import Met

log = logging.getLogger("headstart.retention")

DAY_S = 24 * 60 * 60
NOTED_FOR_S = 60 * 60
SWEEP_S = 10 * 60
# How many are erased before the next share's turn, and how long a process has for that before others try.
AT_A_TIME = 50
TAKEN_S = 60
KNOWN = 10_000


class Retention:
    """Notes when `sessions` are used, and erases those that nobody has used for `days`; None keeps them for ever. One whose
    turn runs is kept, and its turn `met`."""

    def __init__(
        self, sessions: Sessions, met: Met, days: int | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sessions = sessions
        self._met = met
        self._days = days
        self._clock = clock
        self._noted: OrderedDict[str, float] = OrderedDict()
        self._task: asyncio.Task[None] | None = None

    async def used(self, session: str) -> None:
        """Its owner uses `session`, which exists."""
        now = self._clock()
        if now - self._noted.get(session, float("-inf")) < NOTED_FOR_S:
            return
        await self._sessions.use(session)
        self._noted[session] = now
        self._noted.move_to_end(session)
        while len(self._noted) > KNOWN:
            self._noted.popitem(last=False)

    def start(self) -> None:
        """Begin to erase, if that is wanted."""
        if self._days is not None:
            self._task = asyncio.create_task(self._keep_sweeping(self._days))

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            await relinquish([self._task])

    async def _keep_sweeping(self, days: int) -> None:
        while True:
            try:
                if erased := await self.sweep(days):
                    log.info("erased %d conversations that nobody has used for %d days", erased, days)
            except StoreUnavailable:
                pass
            except Exception:
                log.exception("erasing unused conversations failed")
            await asyncio.sleep(SWEEP_S)

    async def sweep(self, days: int) -> int:
        """Erase what nobody has used for `days`; how many sessions that were."""
        erased = 0
        shares = list(keys.SHARES)
        # Each process in an order of its own, so that they do not look at the same ones at a time.
        secrets.SystemRandom().shuffle(shares)
        for share in shares:
            while unused := await self._sessions.unused(share, days * DAY_S, AT_A_TIME, TAKEN_S):
                for session in unused:
                    try:
                        erased += await self._erase(session)
                    except StoreUnavailable:
                        raise
                    except Exception:
                        # The others are not to be kept for one that cannot be erased.
                        log.exception("session %s could not be erased", session)
        return erased

    async def _erase(self, session: str) -> bool:
        record = await self._sessions.get(session)
        if record is None:
            # Erased already, but for its place among all sessions.
            await self._sessions.forget(session)
            return False
        if record.running is not None:
            self._met.note(record.running)
            await self._sessions.use(session)
            return False
        await self._sessions.erase(record)
        return True
