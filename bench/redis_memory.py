"""What conversations take in Redis, as `MEMORY USAGE` counts it: while their journals are kept, and when those have expired;
and how many commands a turn takes, those of scripts included.

    python -m bench.redis_memory [--short]

Questions of 120 characters, answers of 2,000 in 130 deltas, over a context of 40 kB that all of them share; and, for what
grows by itself, the same conversation after 1, 5 and 20 turns.
"""

import argparse
import re
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from redis import Redis

from tests.client import Client
from tests.recorder import END, Exchange, answer, message_start, recording, sse, text_events
from tests.running import RedisProcess, serving
from tests.test_processes import owner_of

LENGTHS, FEW = (1, 5, 20), (1, 5)
QUESTION = "How does this part of the handbook say that the lamps are kept, and who has to be told? ".ljust(120, "?")
ANSWER = ("The lamps are trimmed at dusk and counted twice, says the keeper. " * 40)[:2_000]
DELTAS = 130
ROW = "{:>5} {:>12} {:>12} {:>14} {:>17} {:>15}"


async def at_length(exchange: Exchange) -> None:
    """An answer such as people get."""
    if exchange.is_warm:
        await answer(exchange)
        return
    await exchange.start_stream()
    events = (message_start(exchange.number), *text_events(ANSWER, pieces=DELTAS), *END)
    await exchange.chunk(b"".join(map(sse, events)))
    await exchange.end_stream()


def taken(redis: Redis, session: str) -> Counter[str]:
    """Bytes of a session's keys, by what they are."""
    found: Counter[str] = Counter()
    for key in redis.scan_iter(f"hs:{{{session}}}:*", count=10_000):
        kind = re.split("[}:]+", key.decode())[2]
        found[kind] += redis.memory_usage(key, samples=0) or 0
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="1 and 5 turns alone")
    lengths = FEW if parser.parse_args().short else LENGTHS
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headstart-bench-")))
        process = RedisProcess(folder)
        process.start()
        stack.callback(process.stop)
        upstream = stack.enter_context(recording())
        upstream.default = at_length
        client: Client = stack.enter_context(owner_of(stack.enter_context(serving(process.url, upstream.url))))
        redis = stack.enter_context(Redis.from_url(process.url))
        client.add_context(documents=[{"title": "handbook.md", "text": "The keeper trims the lamps. " * 1_430}])
        print(ROW.format("turns", "conversation", "each turn", "journals", "a journal's event", "commands a turn"))
        for length in lengths:
            session = client.start()["session"]
            before = redis.info("stats")["total_commands_processed"]
            for _ in range(length):
                last = client.ask(session, QUESTION)
                assert last[-1].name == "verdict", last[-1]
            commands = (redis.info("stats")["total_commands_processed"] - before) / length
            kinds = taken(redis, session)
            journals = kinds.pop("journal")
            kept, empty = sum(kinds.values()), kinds["session"]
            each, event = (kept - empty) / length, journals / length / len(last)
            print(
                ROW.format(
                    length, f"{kept:,} B", f"{each:,.0f} B", f"{journals:,} B", f"{event:,.0f} B", f"{commands:,.0f}"
                )
            )
        print(f"one conversation of {lengths[-1]} turns by key: {dict(kinds)}")
        info = redis.info("memory")
        print(f"Redis {redis.info('server')['redis_version']}, used_memory {info['used_memory']:,} B in all")


if __name__ == "__main__":
    main()
