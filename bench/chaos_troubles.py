"""What goes wrong in the chaos: replicas and Redis die, hang and restart at random, and the upstream fails mid-answer.

The first replica hangs, but is never ended: what it would leak adds up.
"""

import asyncio
import signal
from collections import Counter
from random import Random
from typing import Any

from app.store import keys
from bench.chaos_deployment import Deployment
from tests.failover import ClusterProcess
from tests.running import RedisProcess

SETTLED_S = 2.0
CALLS = ("stream", "stream", "warm")
OUTAGE_AFTER, OUTAGE_S = 10, 10.0
# A primary that is away for longer than its cluster's node timeout, a second, has been replaced when it wakes up, and what
# it is still asked then is lost: so it sleeps for less, or until every command that it was sent has been given up.
NAPS_S, SLEEPS_S = (0.2, 0.7), (6.0, 8.0)


class Troubles:
    """Makes trouble for `deployment` until told to stop; `made` counts what it did, `waited_out` the streams that were open
    when Redis went away for ten seconds."""

    def __init__(self, deployment: Deployment, random: Random) -> None:
        self._deployment = deployment
        self._random = random
        self._over = asyncio.Event()
        self.made: Counter[str] = Counter()
        self.waited_out = 0

    def stop(self) -> None:
        self._over.set()

    async def make(self, *, outage: bool) -> None:
        """One after the other, with a pause between, and with `outage` one of ten seconds of Redis; everything is up again
        at the end."""
        deployment = self._deployment
        kinds = [self._kill, self._kill, self._freeze, self._deploy, self._upstream, self._upstream, self._upstream]
        single = isinstance(deployment.storage, RedisProcess)
        kinds += [self._redis, self._redis_hangs] if single else [self._failover, self._primary_hangs]
        while not await self._pause(0.4, 1.6):
            if outage and self.made.total() > OUTAGE_AFTER:
                await self._outage()
                outage = not self.waited_out
            await self._random.choice(kinds)()
        for replica in deployment.replicas:
            replica.signal(signal.SIGCONT)
            if replica.ended():
                replica.start()

    async def _kill(self) -> None:
        replica = self._random.choice(self._deployment.replicas[1:])
        self.made["replica killed"] += 1
        replica.signal(signal.SIGKILL)
        await self._pause(0.2, 2.0)
        if replica.ended():
            replica.start()

    async def _freeze(self) -> None:
        replica = self._random.choice(self._deployment.replicas)
        self.made["replica frozen"] += 1
        replica.signal(signal.SIGSTOP)
        await self._pause(0.5, 6.0)
        replica.signal(signal.SIGCONT)

    async def _deploy(self) -> None:
        replica = self._random.choice(self._deployment.replicas[1:])
        self.made["replica told to stop"] += 1
        replica.signal(signal.SIGTERM)
        for _ in range(100):
            if replica.ended():
                break
            await asyncio.sleep(0.1)
        else:
            said = "\n  ".join(replica.log.read_text().splitlines()[-10:])
            raise AssertionError(f"a replica that was told to stop went on for ten seconds:\n  {said}")
        replica.start()

    async def _redis(self) -> None:
        redis, gently = self._deployment.storage, self._random.random() < 0.5
        assert isinstance(redis, RedisProcess)
        self.made["Redis told to stop" if gently else "Redis killed"] += 1
        await asyncio.to_thread(redis.stop, gently=gently)
        await asyncio.sleep(self._random.uniform(0.1, 2.0))
        await asyncio.to_thread(redis.start)

    async def _outage(self) -> None:
        """Ten seconds without Redis, in which nobody who reads is to be cut off; not now, if nobody does."""
        deployment = self._deployment
        # What went wrong before has been noticed by then.
        await asyncio.sleep(SETTLED_S)
        self.waited_out = deployment.streams
        if not self.waited_out:
            return
        await asyncio.to_thread(deployment.storage.stop)
        deployment.outage = True
        self.made["Redis killed for ten seconds"] += 1
        await asyncio.sleep(OUTAGE_S)
        deployment.outage = False
        await asyncio.to_thread(deployment.storage.start)

    async def _redis_hangs(self) -> None:
        redis = self._deployment.storage
        assert isinstance(redis, RedisProcess)
        self.made["Redis frozen"] += 1
        redis.freeze()
        await self._pause(0.3, 6.0)
        redis.freeze(frozen=False)

    async def _primary_hangs(self) -> None:
        cluster = self._deployment.storage
        assert isinstance(cluster, ClusterProcess)
        asleep_s = self._random.uniform(*self._random.choice([NAPS_S, SLEEPS_S]))
        self.made["primary frozen"] += 1
        server = await asyncio.to_thread(cluster.primary_of, self._some_key())
        server.freeze()
        await asyncio.sleep(asleep_s)
        server.freeze(frozen=False)
        await asyncio.to_thread(cluster.wait_whole)

    async def _failover(self) -> None:
        cluster = self._deployment.storage
        assert isinstance(cluster, ClusterProcess)
        self.made["primary killed"] += 1
        server = await asyncio.to_thread(cluster.kill_primary, self._some_key())
        await asyncio.sleep(5.0)
        await asyncio.to_thread(cluster.restart, server)

    def _some_key(self) -> str:
        """Each primary has about as many of these."""
        return keys.used(self._random.choice(keys.SHARES))

    async def _upstream(self) -> None:
        after = self._random.randrange(60)
        fault: dict[str, Any] = self._random.choice(
            [
                {"then": "disconnect", "after_events": after},
                {"then": "malformed", "after_events": after},
                {"then": "error", "after_events": after, "error": "overloaded_error"},
                {"then": "stall", "after_events": after},
                {"status": 529},
                {"status": 500},
            ]
        )
        self.made["upstream fault"] += 1
        await asyncio.to_thread(self._deployment.fault, {**fault, "only": self._random.choice(CALLS)})

    async def _pause(self, least_s: float, most_s: float) -> bool:
        """Wait a while; whether it is over."""
        try:
            await asyncio.wait_for(self._over.wait(), self._random.uniform(least_s, most_s))
        except TimeoutError:
            return False
        return True
