"""Those who wait for a Redis that is away, together: one of them tries for all, and when it is back all go on at once.

Hundreds of turns may wait at a time. If each tried for itself, often enough that nobody waits for long after Redis is
back, that would keep a processor busy. When they do all try, they do so in the same turn of the event loop: commands that
go out together, or fail together, cost a fraction of what they cost one by one.
"""

import asyncio
import logging
import secrets
from contextlib import suppress

SCOUT_S = 0.25
# Of a cluster, a part can be back while another is not, and who tries for all need not be of that part. Not the same for
# all processes, which would meet a Redis that has just started together.
ALL_S = (1.5, 2.0)

log = logging.getLogger("headstart.store")


class Outage:
    """Who waits for one Redis, in this process."""

    def __init__(self) -> None:
        self._back = asyncio.Event()
        self._scouting = False
        self._all_try_at = 0.0
        self._said = False

    async def pause(self) -> None:
        """Wait before trying again: for a moment if nobody else does, or else until Redis is back for another, or until
        it is time for all to try."""
        if not self._said:
            self._said = True
            log.warning("Redis is away: trying until it is back")
        now = asyncio.get_running_loop().time()
        if now >= self._all_try_at:
            self._all_try_at = now + secrets.SystemRandom().uniform(*ALL_S)
        if self._scouting:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._all_try_at):
                    await self._back.wait()
            return
        self._scouting = True
        try:
            await asyncio.sleep(SCOUT_S)
        finally:
            self._scouting = False

    def over(self) -> None:
        """Redis has taken what it did not take before."""
        back, self._back, self._said = self._back, asyncio.Event(), False
        back.set()
