"""The warms that this process writes: each in a task of its own, which can be told to give up its call."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from app.store.connection import relinquish

CLOSE_WITHIN_S = 0.5

Task = asyncio.Task[None]


class Running:
    """The tasks that write prefixes here: all, also those that have lost their lease and are still about to end, and by
    digest the one that holds it."""

    def __init__(self) -> None:
        self._tasks: set[Task] = set()
        self._holding: dict[str, Task] = {}
        self._entering: set[asyncio.Task[Any] | None] = set()

    def start(self, digest: str, work: Coroutine[Any, Any, None]) -> None:
        """Have `work` done by a task that holds the lease on `digest`."""
        task = asyncio.create_task(work, name=f"warm {digest[:12]}")
        self._tasks.add(task)
        self._holding[digest] = task
        task.add_done_callback(lambda done: self._forget(digest, done))

    def of(self, digest: str) -> Task | None:
        """The task that holds the lease on `digest`, if it runs here."""
        return self._holding.get(digest)

    def enters(self) -> None:
        """The task that says so has ended its call, and is about to enter what that cost: nobody has it give up any more."""
        self._entering.add(asyncio.current_task())

    def give_up(self, task: Task) -> None:
        """Have `task` end its call: once, not before it has begun, so that it can close its books, and not while it does."""

        def cancel() -> None:
            if not task.cancelling() and task not in self._entering:
                task.cancel()

        # Its first step has its turn before.
        asyncio.get_running_loop().call_soon(cancel)

    async def over(self, within_s: float) -> None:
        """Wait until no warm runs here any more, at most `within_s`."""
        until = time.monotonic() + within_s
        while self._tasks and (left_s := until - time.monotonic()) > 0:
            await asyncio.wait(self._tasks, timeout=left_s)
            # What is done has its callbacks called in the next round.
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Give up the warms under way: their prefixes are free for others at once."""
        tasks = list(self._tasks)
        for task in tasks:
            self.give_up(task)
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_WITHIN_S)
        # Whoever still waits for Redis leaves its lease to run out.
        await relinquish(tasks)

    def _forget(self, digest: str, task: Task) -> None:
        self._tasks.discard(task)
        self._entering.discard(task)
        if self._holding.get(digest) is task:
            del self._holding[digest]
