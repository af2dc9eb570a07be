"""What people send is read apart from everything else."""

import asyncio
import threading

from app.contexts.readers import read_apart


async def test_nothing_else_waits_for_readers_that_are_busy() -> None:
    gate = threading.Event()
    reading = [asyncio.create_task(read_apart(gate.wait)) for _ in range(20)]
    # A question's own work is done in the loop's threads.
    assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), 30) == 7
    assert not any(one.done() for one in reading)
    gate.set()
    assert await asyncio.gather(*reading) == [True] * 20
