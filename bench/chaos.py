"""Chaos: every accepted turn ends, and every reader has every event, whoever dies on the way.

    python -m bench.chaos [--short] [--seed N] [--redis single|cluster|both]

Three server processes over a real Redis (or a cluster of six), with the sandbox answering. Readers warm, ask, are cut off at
random and come back to any server; meanwhile servers are killed, frozen, told to end and started again, and so is Redis
(once it is away for ten seconds, which cuts nobody off), or its primaries are frozen and killed and fail over, and the
upstream refuses, breaks off, stalls and talks nonsense. Passes when every accepted turn has ended, what every reader heard
equals the journal byte for byte, and each answer is what was streamed, when whoever waited for a warm was told what came of
it, when the ledger has every call that the sandbox saw, and when nothing is left behind: no turn, no reader, no task, no
connection, and no key that does not go by itself.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from pathlib import Path
from random import Random
from typing import Any

from bench.chaos_checks import check_books, check_owner
from bench.chaos_deployment import Deployment, cluster, single
from bench.chaos_leaks import check_no_key_left, check_nothing_runs
from bench.chaos_readers import Owner
from bench.chaos_troubles import Troubles
from tests.running import until

OWNERS = 12
REPLICAS = 3
# Errors that no failing upstream explains.
OURS = ("store_unavailable", "internal_error", "turn_abandoned")
SPEED = 8.0


async def play(deployment: Deployment, random: Random, turns: int, *, outage: bool) -> list[str]:
    """One run of `turns` turns; what was wrong, nothing if all is well."""
    began = time.monotonic()
    until(lambda: all(replica.ready() for replica in deployment.replicas), "the replicas")
    owners = [Owner(deployment, random, number) for number in range(OWNERS)]
    troubles = Troubles(deployment, random)
    making = asyncio.create_task(troubles.make(outage=outage))
    each = -(-turns // OWNERS)
    wrong = await _gather([owner.converse(each) for owner in owners])
    troubles.stop()
    await making
    until(lambda: all(replica.ready() for replica in deployment.replicas), "the replicas at the end")
    heard = [one for owner in owners for one in owner.heard]
    ends = Counter(one.ending for one in heard)
    turns, cuts, refused = (
        len({one.turn for one in heard}),
        sum(one.cuts for one in heard),
        sum(owner.refused for owner in owners),
    )
    print(f"{turns} turns and {len(heard)} readers in {time.monotonic() - began:.0f} s; {_counted(troubles.made)}")
    if outage:
        print(f"{troubles.waited_out} streams were open when Redis went away for ten seconds")
    print(f"readers were cut off {cuts} times, and turned away {refused} times until another server took them")
    print(f"ended with: {_counted(ends)}")
    print(f"who waited for a warm was told: {_counted(sum((owner.waited for owner in owners), Counter()))}")
    if outage and not troubles.waited_out:
        wrong.append("Redis was never away for ten seconds while somebody read")
    wrong += [f"{count} turns ended with {code}" for code, count in ends.items() if code in OURS]
    wrong += await _gather([check_owner(owner) for owner in owners])
    wrong += await _gather([check_books(deployment)])
    wrong += await _gather([owner.call("DELETE", f"/api/sessions/{owner.session}") for owner in owners])
    for owner in owners:
        await owner.close()
    wrong += await _gather([check_nothing_runs(deployment)])
    return wrong + await _gather([check_no_key_left(deployment)])


async def _gather(checks: list[Coroutine[Any, Any, None]]) -> list[str]:
    """Run `checks` together; what was broken."""
    results = await asyncio.gather(*checks, return_exceptions=True)
    return [f"{type(result).__name__}: {result}" for result in results if isinstance(result, BaseException)]


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in sorted(counts.items())) or "nothing"


def _crashes(folder: Path) -> Iterator[str]:
    """What the servers' logs have tracebacks of: where, and the exception."""
    for log in folder.glob("replica-*.log"):
        _, *traces = log.read_text().split("Traceback (most recent call last):\n")
        for trace in traces:
            lines = trace.splitlines()
            end = next((index for index, line in enumerate(lines) if not line.startswith(" ")), len(lines) - 1)
            places = [line.strip() for line in lines[:end] if "/app/" in line]
            yield f"{lines[end]} at {places[-1] if places else lines[max(0, end - 2)].strip()}"


def run(kind: str, turns: int, seed: int, *, outage: bool) -> bool:
    """One run over a `kind` of storage; whether every promise was kept."""
    with tempfile.TemporaryDirectory(prefix="headstart-chaos-") as name:
        folder = Path(name)
        storage = cluster(folder) if kind == "cluster" else single(folder)
        with Deployment(folder, storage, replicas=REPLICAS, speed=SPEED) as deployment:
            wrong = asyncio.run(play(deployment, Random(seed), turns, outage=outage))
            crashes = Counter(_crashes(folder))
        wrong += [f"logged {count} times: {crash}" for crash, count in crashes.most_common(5)]
    for one in wrong[:20]:
        print(f"  {one}")
    print(f"{kind} Redis, seed {seed}: {'OVER' if wrong else 'PASS'}", flush=True)
    return not wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="60 turns over a single Redis")
    parser.add_argument("--seed", type=int, default=1, help="what goes wrong when (1)")
    parser.add_argument("--turns", type=int, default=500, help="how many turns (500)")
    parser.add_argument("--redis", choices=["single", "cluster", "both"], default="both")
    given = parser.parse_args()
    if given.short:
        sys.exit(0 if run("single", 60, given.seed, outage=False) else 1)
    kinds = ["single", "cluster"] if given.redis == "both" else [given.redis]
    results = [run(kind, given.turns, given.seed, outage=kind == "single") for kind in kinds]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
