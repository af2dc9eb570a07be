"""The turns that this process produces: each in a task of its own, which can be told to stop, or to leave its turn."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator

from app.store.connection import relinquish
from app.turns.producer import Producer, Told

log = logging.getLogger("headstart.turn")

TELL_AGAIN_S = 0.2


class Running:
    """The producers of this process. `ended` is told of each that is over."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended
        self._producers: dict[str, tuple[Producer, asyncio.Task[None]]] = {}

    def __contains__(self, turn: str) -> bool:
        return turn in self._producers

    def __iter__(self) -> Iterator[Producer]:
        return iter([producer for producer, _ in self._producers.values()])

    def __len__(self) -> int:
        return len(self._producers)

    def start(self, producer: Producer) -> None:
        """Have `producer` work."""
        task = asyncio.create_task(producer.run(), name=f"turn {producer.turn}")
        self._producers[producer.turn] = (producer, task)
        task.add_done_callback(lambda done: self._forget(producer.turn, done))

    def tell(self, turn: str, told: Told) -> None:
        """Tell the producer of `turn`, if there is one, unless it was told before, or is ending."""
        producer, task = self._producers.get(turn, (None, None))
        if producer is not None and task is not None and producer.told is None and not producer.ending:
            producer.told = told
            self._interrupt(producer, task)

    async def over(self, within_s: float) -> bool:
        """Wait until no turn runs any more, those that begin meanwhile too, at most `within_s`; whether that is so."""
        until = time.monotonic() + within_s
        while self._producers and (left_s := until - time.monotonic()) > 0:
            await asyncio.wait([task for _, task in self._producers.values()], timeout=left_s)
            # What is done has its callbacks called in the next round.
            await asyncio.sleep(0)
        return not self._producers

    async def close(self) -> None:
        """Cut off what still runs."""
        await relinquish([task for _, task in self._producers.values()])

    def _interrupt(self, producer: Producer, task: asyncio.Task[None]) -> None:
        """Have `producer` hear what it was told. Again until it does: redis-py sends commands under `asyncio.wait_for`,
        which until Python 3.12 loses a cancellation that comes as the command has just been sent."""
        if not producer.ending and not task.done():
            task.cancel()
            asyncio.get_running_loop().call_later(TELL_AGAIN_S, self._interrupt, producer, task)

    def _forget(self, turn: str, task: asyncio.Task[None]) -> None:
        del self._producers[turn]
        self._ended(turn)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("turn %s was left without an end", turn, exc_info=error)
