"""What every process does for the ledger while it runs: it vouches for its own open calls, and enters those of processes
that are gone.
"""

import asyncio
import logging

from app.ledger.book import VOUCH_S, Ledger
from app.store.connection import StoreUnavailable, relinquish

log = logging.getLogger("headstart.ledger")


class Vouching:
    """Keeps the open calls of `ledger`, from `start` to `close`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Stop. What is still open is entered by others as abandoned, unless it is recorded before they notice."""
        if self._task is not None:
            await relinquish([self._task])

    async def _keep(self) -> None:
        while True:
            try:
                # In this order: after a time without Redis, our own calls look as abandoned as others'.
                await self._ledger.vouch()
                await self._ledger.record_abandoned()
            except StoreUnavailable:
                pass
            except Exception:
                log.exception("a step of keeping open calls failed")
            await asyncio.sleep(VOUCH_S)
