"""How long readers wait when a server is killed that answers many questions: from SIGKILL until the first delta that another
server has asked for. Two servers, one Redis, an upstream that never comes to its end; turns are read at the other server.

    python -m bench.takeover [--short]

Passes when nobody waits for five seconds.
"""

import argparse
import asyncio
import math
import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from bench.readers import Reader, Request, percentile
from bench.rig import Target, headstart, stamping
from bench.stamping import Pattern
from bench.visitor import AT_ONCE, Visitor
from tests.running import RedisProcess

TURNS, FEW, GOAL_S, GIVEN_UP_S = 850, 300, 5.0, 15.0
# Longer than all of it takes.
ANSWER = Pattern(ttft_s=0.0, every_s=1.0, count=600)


class Tail(Reader):
    """A reader who can wait for what is written after a time."""

    def __init__(self, request: bytes) -> None:
        super().__init__(request, lambda: None, lambda: None)
        self._since = 0
        self._came: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def after(self, since: int) -> int:
        """When the first delta came that was written after `since`."""
        self._since, self._came = since, asyncio.get_running_loop().create_future()
        self._look()
        return await self._came

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def _look(self) -> None:
        if self.stamps and self.stamps[-1] > self._since and not self._came.done():
            self._came.set_result(self.arrivals[-1])


async def taken_over(doomed: Target, other: Target, count: int) -> list[float]:
    """`count` turns of the doomed one, killed while the other one's readers read them: the seconds that each waited."""
    async with Visitor(doomed.url) as here, Visitor(other.url) as there:
        await here.add_context("short", "The gearbox has five gears.")
        there.http.cookies.update(here.http.cookies)
        sessions = await here.start("short", count)
        limit = asyncio.Semaphore(AT_ONCE)

        async def ask(session: str) -> str:
            request = here.ask(session, ANSWER)
            kind = {"content-type": "application/json"}
            async with limit, here.http.stream("POST", request.url, content=request.body, headers=kind) as asked:
                turn: str = asked.raise_for_status().headers["turn-id"]
                return turn

        tails = [await tail(there.tail(turn)) for turn in await asyncio.gather(*map(ask, sessions))]
        await asyncio.gather(*(one.after(0) for one in tails))
        killed = time.monotonic_ns()
        os.kill(doomed.pid, signal.SIGKILL)
        return await asyncio.gather(*(waited(one, killed) for one in tails))


async def tail(request: Request) -> Tail:
    """Somebody who sends `request`."""
    parts = urlsplit(request.url)
    _, made = await asyncio.get_running_loop().create_connection(
        lambda: Tail(request.encoded()), parts.hostname or "", parts.port or 80
    )
    return made


async def waited(tail: Tail, killed: int) -> float:
    """The seconds from `killed` to what came next; infinite when nothing did."""
    try:
        async with asyncio.timeout(GIVEN_UP_S):
            return (await tail.after(killed) - killed) / 1e9
    except TimeoutError:
        return math.inf


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help=f"{FEW} turns instead of {TURNS}")
    count = FEW if parser.parse_args().short else TURNS
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headstart-bench-")))
        redis = RedisProcess(folder)
        redis.start()
        stack.callback(redis.stop)
        upstream = stack.enter_context(stamping(folder))
        doomed, other = (
            stack.enter_context(headstart(folder / f"{name}.log", upstream.url, redis.url))
            for name in ("doomed", "other")
        )
        # Its turns never end, and it would wait for them.
        stack.callback(os.kill, other.pid, signal.SIGKILL)
        waited = sorted(asyncio.run(taken_over(doomed, other, count)))
    print(
        f"{count} turns whose server was killed, until the other server's first delta: median {median(waited):.2f} s,"
        f" p99 {percentile(waited, 0.99):.2f} s, longest {waited[-1]:.2f} s (goal: under {GOAL_S:g} s):"
        f" {'PASS' if waited[-1] < GOAL_S else 'OVER'}"
    )
    sys.exit(0 if waited[-1] < GOAL_S else 1)


if __name__ == "__main__":
    main()
