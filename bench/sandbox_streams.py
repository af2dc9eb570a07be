"""Many concurrent streams from one sandbox process on one core: errors, CPU per delta, memory. Starts the sandbox as a
child on a loopback socket, reads every stream to its end with a bare reader of its own, and stops. Bounded in time and
in count.

    python -m bench.sandbox_streams [--streams 1000] [--seconds 60]
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import suppress

import psutil

from app.sandbox.serve import listen

LIMIT = 2_000
DOCUMENT = "".join(f"def step_{i}(state):\n    return state + {i}\n\n" for i in range(400))
BODY = json.dumps(
    {
        "model": "claude-sonnet-5-5",
        "max_tokens": 400,
        "stream": True,
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "title": "steps.py",
                        "source": {"type": "text", "media_type": "text/plain", "data": DOCUMENT},
                        "cache_control": {"type": "ephemeral"},
                    },
                    {"type": "text", "text": "What does step_200 return for a state?"},
                ],
            }
        ],
    }
).encode()
HEAD = (
    b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: bench\r\nanthropic-version: 2023-06-01\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(BODY)
)
SERVE = (
    "import sys\n"
    "from app.sandbox.options import Options\n"
    "from app.sandbox.serve import serve\n"
    "serve(Options(speed=float(sys.argv[2])), fd=int(sys.argv[1]), watch_stdin=True)\n"
)


async def read_one(port: int, first: asyncio.Event) -> int:
    """Deltas of one stream; raises when it does not end as it should."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(HEAD + BODY)
    deltas, tail = 0, b""
    while chunk := await reader.read(65_536):
        first.set()
        deltas += (tail[-25:] + chunk).count(b"event: content_block_delta") - tail[-25:].count(
            b"event: content_block_delta"
        )
        tail = (tail + chunk)[-200:]
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    if b'{"type":"message_stop"}' not in tail:
        raise ConnectionError("the stream did not end with message_stop")
    return deltas


async def run(port: int, streams: int, seconds: float) -> tuple[int, list[str], float]:
    begun = time.perf_counter()
    first = asyncio.Event()
    async with asyncio.timeout(seconds):
        done = await asyncio.gather(*(read_one(port, first) for _ in range(streams)), return_exceptions=True)
    errors = [f"{type(one).__name__}: {one}" for one in done if isinstance(one, BaseException)]
    return sum(one for one in done if isinstance(one, int)), errors, time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=1000, help=f"at once, at most {LIMIT}")
    parser.add_argument("--seconds", type=float, default=60, help="give up after so many seconds")
    parser.add_argument("--speed", type=float, default=1.0, help="the sandbox's speed")
    chosen = parser.parse_args()
    streams = max(1, min(chosen.streams, LIMIT))
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        command = [sys.executable, "-c", SERVE, str(listening.fileno()), str(chosen.speed)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(listening.fileno(),))
    with child:
        os.sched_setaffinity(child.pid, {min(os.sched_getaffinity(0))})
        process = psutil.Process(child.pid)
        try:
            asyncio.run(run(port, 1, 20))
            before, idle = process.cpu_times(), process.memory_info().rss
            deltas, errors, wall = asyncio.run(run(port, streams, chosen.seconds))
            after = process.cpu_times()
            cpu = after.user + after.system - before.user - before.system
            rss = process.memory_info().rss
        finally:
            child.terminate()
    print(f"{streams} concurrent streams on one core: {len(errors)} errors, {deltas} deltas in {wall:.1f} s")
    print(f"CPU {cpu:.1f} s = {cpu / max(deltas, 1) * 1e6:.0f} µs per delta, requests included")
    print(
        f"memory {idle / 1e6:.0f} MB before, {rss / 1e6:.0f} MB after: {(rss - idle) / streams / 1e3:.0f} kB a stream"
    )
    for error in sorted(set(errors))[:5]:
        print(error)
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
