"""What goes wrong in the chaos: replicas and Redis die, hang and restart at random, and the upstream fails mid-answer."""

import asyncio
import signal
from collections import Counter
from random import Random
from typing import Any

from bench.chaos_deployment import Deployment
from tests.failover import ClusterProcess
from tests.running import RedisProcess

LEDGER = "hs:{ledger}:total"
RUNNING = "hs:{running}"
OUTAGE_AFTER, OUTAGE_S = 10, 10.0


class Troubles:
    """Makes trouble for `deployment` until told to stop; `made` counts what it did."""

    def __init__(self, deployment: Deployment, random: Random) -> None:
        self._deployment = deployment
        self._random = random
        self._over = asyncio.Event()
        self.made: Counter[str] = Counter()

    def stop(self) -> None:
        self._over.set()

    async def make(self, *, outage: bool) -> None:
        """One after the other, with a pause between, and with `outage` one of ten seconds of Redis; everything is up again
        at the end."""
        deployment = self._deployment
        kinds = [self._kill, self._kill, self._freeze, self._deploy, self._upstream, self._upstream, self._upstream]
        kinds += [self._redis] if isinstance(deployment.storage, RedisProcess) else [self._failover]
        while not await self._pause(0.4, 1.6):
            if outage and self.made.total() > OUTAGE_AFTER:
                outage = False
                await self._redis(OUTAGE_S)
            await self._random.choice(kinds)()
        for replica in deployment.replicas:
            replica.signal(signal.SIGCONT)
            if replica.ended():
                replica.start()

    async def _kill(self) -> None:
        replica = self._random.choice(self._deployment.replicas)
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
        replica = self._random.choice(self._deployment.replicas)
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

    async def _redis(self, away_s: float | None = None) -> None:
        redis = self._deployment.storage
        self.made["Redis killed"] += 1
        await asyncio.to_thread(redis.stop)
        await asyncio.sleep(self._random.uniform(0.1, 2.0) if away_s is None else away_s)
        await asyncio.to_thread(redis.start)

    async def _failover(self) -> None:
        cluster = self._deployment.storage
        assert isinstance(cluster, ClusterProcess)
        self.made["primary killed"] += 1
        key = self._random.choice([LEDGER, RUNNING, "hs:{sample}"])
        server = await asyncio.to_thread(cluster.kill_primary, key)
        await asyncio.sleep(5.0)
        await asyncio.to_thread(cluster.restart, server)

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
        await asyncio.to_thread(self._deployment.fault, {**fault, "only": "stream"})

    async def _pause(self, least_s: float, most_s: float) -> bool:
        """Wait a while; whether it is over."""
        try:
            await asyncio.wait_for(self._over.wait(), self._random.uniform(least_s, most_s))
        except TimeoutError:
            return False
        return True
