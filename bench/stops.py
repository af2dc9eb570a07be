"""How long a stop takes that is said at one server of a turn that another one produces: from sending it until the reader at
the first has `stopped`. Two servers, one Redis, an upstream that never comes to its end.

    python -m bench.stops [--short]

Passes when the 99th percentile is under 200 ms.
"""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.readers import percentile
from bench.single_flight import server
from tests.client import Client
from tests.recorder import Recorder, recording
from tests.running import RedisProcess
from tests.test_processes import owner_of
from tests.turns import half_answered, stop

TRIES, FEW, GOAL_S = 200, 50, 0.2


def tried(here: Client, there: Client, upstream: Recorder) -> float:
    """One turn, read here and stopped there: seconds."""
    with half_answered(here, upstream) as (_, turn, stream):
        began = time.perf_counter()
        stop(there, turn)
        last = [event.name for event in stream if event.name != "ping"][-1]
        took = time.perf_counter() - began
    assert last == "stopped", last
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help=f"{FEW} stops instead of {TRIES}")
    count = FEW if parser.parse_args().short else TRIES
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headstart-bench-")))
        redis = RedisProcess(folder)
        redis.start()
        stack.callback(redis.stop)
        upstream = stack.enter_context(recording())
        servers = [stack.enter_context(server(redis, upstream, folder)) for _ in range(2)]
        for one in servers:
            one.wait_ready()
        here = stack.enter_context(owner_of(servers[0].url))
        here.add_context()
        there = stack.enter_context(owner_of(servers[1].url, here.http.cookies))
        took = sorted(tried(here, there, upstream) for _ in range(count))
    p99 = percentile(took, 0.99)
    print(
        f"{count} stops, said at one server and heard at the other: median {median(took) * 1000:.0f} ms,"
        f" p99 {p99 * 1000:.0f} ms, longest {took[-1] * 1000:.0f} ms (goal: p99 under {GOAL_S * 1000:.0f} ms):"
        f" {'PASS' if p99 < GOAL_S else 'OVER'}"
    )
    sys.exit(0 if p99 < GOAL_S else 1)


if __name__ == "__main__":
    main()
