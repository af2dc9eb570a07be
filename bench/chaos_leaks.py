"""What must not be left after the chaos, when every conversation is erased: keys, turns, tasks, connections, open files."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx2

from app.store.keys import RUNNING
from bench.chaos_deployment import Deployment
from bench.chaos_keys import leaked
from bench.chaos_readers import Broken

SETTLES_WITHIN_S = 20.0
# What a process has while nobody asks it anything. Tasks: its loops, its server, and the request that counts them.
# Connections to the upstream are kept for the next question, as many as there were calls at a time. The others are files,
# pipes, what it listens at, and its connections to Redis.
MOST = {
    **{"turns": 0, "turns said to run": 0, "readers": 0, "tasks": 30},
    **{"connections from readers": 0, "half closed connections": 0, "connections to the upstream": 40, "others": 30},
}
LISTEN, CLOSE_WAIT = "0A", "08"


async def check_no_key_left(deployment: Deployment) -> None:
    """Every key is one that may stay, or goes by itself in time."""
    found: dict[str, float | None] = {}
    for redis in deployment.redis_servers():
        with redis:
            if redis.info("replication")["role"] == "master":
                for name in redis.scan_iter(count=1000):
                    ttl_ms = redis.pttl(name)
                    found[name] = None if ttl_ms == -1 else ttl_ms / 1000
    wrong = [said for name, ttl_s in found.items() if (said := leaked(name, ttl_s)) is not None]
    if wrong:
        raise Broken(f"{len(wrong)} of {len(found)} keys were leaked: {'; '.join(sorted(wrong)[:5])}")
    stay = sum(ttl_s is None for ttl_s in found.values())
    print(f"keys: {stay} that may stay, {len(found) - stay} that expire")


async def check_nothing_runs(deployment: Deployment) -> None:
    """No process has a turn, a reader, or more tasks, connections and open files than one that has just been started; and no
    turn is said to run: one that was announced, and not accepted because Redis was away, is until somebody has looked."""
    await _settle(partial(_said_to_run, deployment))
    for replica in deployment.replicas:
        await _settle(partial(_gauges, replica.url))
        left = await _settle(partial(_descriptors, replica.pid, replica.port, deployment.sandbox_port))
        print(f"a replica has {', '.join(f'{count} {name}' for name, count in sorted(left.items()))}")


async def _settle(count: Callable[[], Mapping[str, int]]) -> Mapping[str, int]:
    """What there is, once it is no more than may be."""
    for _ in range(round(SETTLES_WITHIN_S * 5)):
        counts = await asyncio.to_thread(count)
        beyond = {name: number for name, number in counts.items() if number > MOST[name]}
        if not beyond:
            return counts
        await asyncio.sleep(0.2)
    raise Broken(f"a replica still has {beyond}")


def _said_to_run(deployment: Deployment) -> Mapping[str, int]:
    said = 0
    for redis in deployment.redis_servers():
        with redis:
            if redis.info("replication")["role"] == "master":
                said += sum(redis.zcard(name) for name in redis.scan_iter(match=RUNNING, count=1000))
    return {"turns said to run": said}


def _gauges(url: str) -> Mapping[str, int]:
    """What a replica says of itself."""
    lines = httpx2.get(f"{url}/metrics", timeout=10).text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if line.startswith("headstart_process_"))
    return {name: int(float(values[f"headstart_process_{name}"])) for name in ("turns", "readers", "tasks")}


def _descriptors(pid: int, port: int, upstream_port: int) -> Mapping[str, int]:
    """What a process that serves at `port` has open, as /proc has it."""
    sockets = {inode: said for inode, *said in _tcp_sockets(pid)}
    counts: Counter[str] = Counter()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            local, remote, state = sockets.get(str(descriptor.readlink()), (0, 0, ""))
            if state == CLOSE_WAIT:
                counts["half closed connections"] += 1
            elif remote == upstream_port:
                counts["connections to the upstream"] += 1
            elif local == port and state != LISTEN:
                counts["connections from readers"] += 1
            else:
                counts["others"] += 1
    return counts


def _tcp_sockets(pid: int) -> Iterator[tuple[str, int, int, str]]:
    """Each as a descriptor names it, with its local and its remote port, and its state."""
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *rest = line.split()
        yield f"socket:[{rest[5]}]", int(local.split(":")[1], 16), int(remote.split(":")[1], 16), state
