"""The sandbox's time: when it is, and waiting for it. A clock runs with the machine ("real"), stands still until it is
advanced ("frozen"), or jumps to the next moment that anybody waits for ("leap"), so that tests never sleep. It can be
turned from any thread; it never goes backwards. It knows nothing of profiles: callers say how long they wait."""

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import Literal

_TURNS = 3
"""Turns of the event loop that a leaping clock waits before it leaps."""
Mode = Literal["real", "frozen", "leap"]


@dataclass(eq=False, slots=True)
class _Sleeper:
    deadline: float
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]
    timer: asyncio.TimerHandle | None = None


class Clock:
    """Seconds since the Unix epoch, as the sandbox sees them."""

    def __init__(self, mode: Mode = "real", start: float | None = None) -> None:
        self._lock = threading.RLock()
        self._mode: Mode = mode
        self._base = time.time() if start is None else start
        self._since = time.monotonic()
        self._sleepers: dict[_Sleeper, None] = {}
        self._leaping = False

    @property
    def mode(self) -> Mode:
        return self._mode

    @property
    def waiting(self) -> int:
        """How many callers wait for a later moment."""
        return len(self._sleepers)

    def now(self) -> float:
        if self._mode == "real":
            return self._base + time.monotonic() - self._since
        return self._base

    def set_mode(self, mode: Mode) -> None:
        with self._lock:
            self._base, self._since = self.now(), time.monotonic()
            self._mode = mode
            self._reschedule()

    def advance(self, seconds: float) -> float:
        """Move on by `seconds` (not negative) and wake everybody whose moment has come."""
        if not 0 <= seconds < float("inf"):
            raise ValueError("a clock only moves forward, by a finite number of seconds")
        with self._lock:
            self._base += seconds
            self._reschedule()
            return self.now()

    async def sleep(self, seconds: float) -> None:
        await self.sleep_until(self.now() + seconds)

    async def sleep_until(self, deadline: float) -> None:
        if deadline <= self.now():
            return
        loop = asyncio.get_running_loop()
        sleeper = _Sleeper(deadline, loop, loop.create_future())
        with self._lock:
            self._sleepers[sleeper] = None
            self._schedule(sleeper)
        try:
            await sleeper.future
        finally:
            with self._lock:
                self._sleepers.pop(sleeper, None)
            if sleeper.timer is not None:
                sleeper.timer.cancel()

    def _reschedule(self) -> None:
        for sleeper in list(self._sleepers):
            sleeper.loop.call_soon_threadsafe(self._schedule, sleeper)

    def _schedule(self, sleeper: _Sleeper) -> None:
        if sleeper.timer is not None:
            sleeper.timer.cancel()
            sleeper.timer = None
        wait = sleeper.deadline - self.now()
        if wait <= 0:
            _wake(sleeper)
        elif self._mode == "real":
            sleeper.timer = sleeper.loop.call_later(wait, self._schedule, sleeper)
        elif self._mode == "leap" and not self._leaping:
            self._leaping = True
            sleeper.loop.call_soon(self._leap, sleeper.loop, _TURNS)

    def _leap(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        """Go to the nearest moment, once whoever was woken last has had its turn."""
        if turns:
            loop.call_soon(self._leap, loop, turns - 1)
            return
        with self._lock:
            self._leaping = False
            if self._mode != "leap" or not self._sleepers:
                return
            nearest = min(self._sleepers, key=lambda s: s.deadline)
            self._base = max(self._base, nearest.deadline)
            del self._sleepers[nearest]
            nearest.loop.call_soon_threadsafe(_wake, nearest)
            for other in self._sleepers:
                other.loop.call_soon_threadsafe(self._schedule, other)
                break


def _wake(sleeper: _Sleeper) -> None:
    if not sleeper.future.done():
        sleeper.future.set_result(None)
