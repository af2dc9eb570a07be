"""What ends a server that was told to end and does not: the log says where everything is, and then the process is gone.
Who started it would kill it not much later, without a word, and its children would stay.
"""

import asyncio
import faulthandler
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from types import FrameType

log = logging.getLogger("headstart.process")

# Longer than an end in good order takes, after the drain; shorter than what whoever starts servers is to give them.
END_WITHIN_S = 7
SAY_WITHIN_S = 2


class LastResort:
    """Ends this process when `begin` was called and the time is over; `first` ends what would outlive it."""

    def __init__(self, first: Callable[[], None]) -> None:
        self._first = first
        self._begun: SimpleQueue[tuple[float, asyncio.AbstractEventLoop]] = SimpleQueue()
        threading.Thread(target=self._wait, name="last resort", daemon=True).start()

    def begin(self, drain_s: float, loop: asyncio.AbstractEventLoop) -> None:
        """From now on there are `drain_s` for what runs, and `END_WITHIN_S` for the end. For signal handlers, too."""
        self._begun.put((drain_s + END_WITHIN_S, loop))

    def _wait(self) -> None:
        within_s, loop = self._begun.get()
        time.sleep(within_s)
        # What follows can be held up too: by a lock, or by who does not read what we say.
        faulthandler.dump_traceback_later(SAY_WITHIN_S, exit=True)
        self._first()
        log.critical("told to end, and still here after %g s. What there is:\n%s", within_s, _what_there_is(loop))
        os._exit(1)


def _what_there_is(loop: asyncio.AbstractEventLoop) -> str:
    """Every thread and where it is, every task and where it waits."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    there = [
        (f"thread {names.get(ident, ident)}", [caller for caller, _ in traceback.walk_stack(frame)])
        for ident, frame in sys._current_frames().items()
    ]
    there += [(f"task {task.get_name()}", task.get_stack()) for task in asyncio.all_tasks(loop)]
    return "\n".join(f"{name}:\n{_places(frames)}" for name, frames in there)


def _places(frames: Iterable[FrameType]) -> str:
    # Without the lines themselves: `traceback` stumbles over files that were compiled to C.
    return "\n".join(
        f'  File "{frame.f_code.co_filename}", line {frame.f_lineno}, in {frame.f_code.co_name}' for frame in frames
    )
