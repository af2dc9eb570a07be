"""The producers of a process, and what they are told."""

import asyncio
from typing import Any

from app.turns.feed import Feed
from app.turns.producer import Producer, Told
from app.turns.running import Running


class Ending(Producer):
    """One that is about to end its turn, and takes its time."""

    def __init__(self) -> None:
        nothing: Any = None
        super().__init__(nothing, nothing, "t", "?", Feed("s", "t"), asked_at=0.0, plan=None)
        self.goes_on = asyncio.Event()

    async def run(self) -> None:
        self.ending = True
        await self.goes_on.wait()


async def test_a_producer_that_is_ending_is_told_nothing_any_more() -> None:
    over: list[str] = []
    running, producer = Running(over.append), Ending()
    running.start(producer)
    await asyncio.sleep(0)
    running.tell("t", Told.STOP_UNREAD)
    assert producer.told is None
    producer.goes_on.set()
    assert await running.over(30)
    assert over == ["t"]
