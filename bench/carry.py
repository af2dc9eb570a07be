"""What Headstart costs beside what a reader of a cookbook would write: FastAPI, the SDK and sse-starlette, with no journal.

    python -m bench.carry [--short] [--only PART] [--out carry.json]

Both carry the same streams, in turns and on the same core, from an upstream that stamps each delta with the time of its
writing; Headstart's own Redis, the upstream and the readers run elsewhere. CPU is what /proc says each process used.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import uvloop

from bench.callers import at_rate
from bench.readers import Request, Seen, percentile, read_all
from bench.rig import Rig, rig
from bench.stamping import Pattern
from bench.visitor import MODEL, Visitor

CONTEXT, SMALL, LARGE = "text", 40_000, 4_000_000
STREAMS, EVERY_S, TTFT_S = 200, 0.01, 0.02
BUSY, CALIBRATING = 0.70, 120


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: Headstart's, what it is held against, and whether that is met; None where nothing is promised."""

    what: str
    unit: str
    headstart: float
    baseline: float | None
    goal: str
    met: bool | None


@dataclass(frozen=True, slots=True)
class Lengths:
    """How much is measured: rounds of streams, deltas in each, single questions, seconds of tails and of warms."""

    rounds: int
    deltas: int
    singles: int
    tails_s: int
    warm_s: int


SHORT = Lengths(rounds=2, deltas=300, singles=15, tails_s=12, warm_s=3)
LONG = Lengths(rounds=5, deltas=300, singles=60, tails_s=20, warm_s=15)


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a part of the measurement takes place."""

    rig: Rig
    visitor: Visitor
    lengths: Lengths

    async def crowd(self, who: str, pattern: Pattern, streams: int) -> Seen:
        """`streams` questions at once to `who`, read to their ends."""
        target = {"baseline": self.rig.baseline, "headstart": self.rig.headstart, "direct": self.rig.upstream}[who]
        requests = await self.requests(who, pattern, streams)
        seen = await read_all(requests, pattern.count, cpu=target.cpu_s, redis_cpu=self.rig.redis.cpu_s)
        complain(who, seen)
        return seen

    async def requests(self, who: str, pattern: Pattern, streams: int, context: str = CONTEXT) -> list[Request]:
        if who == "headstart":
            return [self.visitor.ask(one, pattern) for one in await self.visitor.start(context, streams)]
        if who == "baseline":
            body = json.dumps({"question": pattern.question}).encode()
            return [Request(f"{self.rig.baseline.url}/ask", body)] * streams
        return [Request(f"{self.rig.upstream.url}/v1/messages", bare_body(pattern, SMALL))] * streams


def complain(who: str, seen: Seen) -> None:
    """Say on standard error which streams failed, and how the first did."""
    if seen.failed:
        print(f"{who}: {seen.failed} of {len(seen.readers)} streams failed; the first: {seen.said}", file=sys.stderr)


def bare_body(pattern: Pattern, size: int) -> bytes:
    """A question straight to the upstream, after about `size` bytes of context."""
    content = [{"type": "text", "text": text_of(size)}, {"type": "text", "text": pattern.question}]
    request = {"model": MODEL, "max_tokens": 4096, "messages": [{"role": "user", "content": content}], "stream": True}
    return json.dumps(request).encode()


def text_of(size: int) -> str:
    """A text of about `size` bytes."""
    line = "The gearbox of model seven has five gears, and reverse is engaged by lifting the lever.\n"
    return line * (size // len(line))


async def streams(scene: Scene) -> list[Line]:
    """CPU per delta, and the first delta of a burst: baseline and Headstart by turns."""
    pattern = Pattern(TTFT_S, EVERY_S, scene.lengths.deltas)
    seen: dict[str, list[Seen]] = {"direct": [], "baseline": [], "headstart": []}
    for _ in range(scene.lengths.rounds):
        seen["direct"].append(await scene.crowd("direct", replace(pattern, count=20), STREAMS))
        for who in ("baseline", "headstart"):
            seen[who].append(await scene.crowd(who, pattern, STREAMS))
    ours, theirs = seen["headstart"], seen["baseline"]
    cpu = [statistics.median(one.us_per_delta for one in rounds) for rounds in (ours, theirs)]
    redis = statistics.median(one.redis_us_per_delta for one in ours)
    direct, burst, burst_theirs = (
        statistics.median(one.ttft_ms for one in seen[who]) for who in ("direct", "headstart", "baseline")
    )
    added, added_theirs = burst - direct, burst_theirs - direct
    failed = [sum(one.failed for one in rounds) for rounds in (ours, theirs)]
    return [
        Line("CPU per delta", "µs", cpu[0], cpu[1], "≤ ⅓", cpu[0] <= cpu[1] / 3),
        Line("… of its Redis", "µs", redis, None, "", None),
        Line("… with its Redis", "µs", cpu[0] + redis, cpu[1], "", None),
        Line("failed streams", "", float(failed[0]), float(failed[1]), "0", failed[0] == 0),
        Line(f"TTFT added, burst of {STREAMS}, p50", "ms", added, added_theirs, "≤ ½", added <= added_theirs / 2),
    ]


async def single(scene: Scene) -> list[Line]:
    """What is added to the first delta of one stream, nothing else running."""
    pattern = Pattern(TTFT_S, 0.001, 3)
    taken: dict[str, list[float]] = {"direct": [], "baseline": [], "headstart": []}
    for _ in range(scene.lengths.singles):
        for who, ttfts in taken.items():
            ttfts.append((await scene.crowd(who, pattern, 1)).ttft_ms)
    direct, theirs, ours = (statistics.median(taken[who]) for who in ("direct", "baseline", "headstart"))
    added = ours - direct
    return [Line("TTFT added, one stream, p50", "ms", added, theirs - direct, "< 5 ms", added < 5)]


async def lag(scene: Scene) -> list[Line]:
    """The lag that is added when as many streams are carried as take 70 % of a core."""
    pattern, count = Pattern(TTFT_S, EVERY_S, scene.lengths.deltas), CALIBRATING
    # By CPU, not by how busy the core was: others may use it, too. A delta costs less the more there are at once.
    for _ in range(2):
        one = await scene.crowd("headstart", pattern, count)
        count = max(10, min(STREAMS * 2, round(BUSY * EVERY_S * 1e6 / one.steady_us_per_delta)))
    rounds = [
        (await scene.crowd("direct", pattern, count), await scene.crowd("headstart", pattern, count))
        for _ in range(scene.lengths.rounds)
    ]
    ours = [one for _, one in rounds]
    busy = statistics.median(one.steady_us_per_delta for one in ours) * count / EVERY_S / 1e6
    added, middle = (
        statistics.median(
            percentile(one.steady_lags_ms(), share) - percentile(direct.steady_lags_ms(), share)
            for direct, one in rounds
        )
        for share in (0.99, 0.5)
    )
    failed = sum(one.failed for one in ours)
    at = f"at {busy:.0%} of a core ({count} streams)"
    return [
        Line(f"lag added {at}, p99", "ms", added, None, "< 20 ms", added < 20 and not failed),
        Line("… p50", "ms", middle, None, "", None),
        Line("CPU per delta there, without the asks", "µs", busy * EVERY_S / count * 1e6, None, "", None),
    ]


async def asks(scene: Scene) -> list[Line]:
    """CPU of a whole short turn over a small and a large context."""
    pattern, count = Pattern(0.0, 0.001, 3), scene.lengths.singles * 2
    used, bare = [], []
    for size in (SMALL, LARGE):
        context = f"text of {size}"
        await scene.visitor.add_context(context, text_of(size))
        first, *requests = await scene.requests("headstart", pattern, count + 1, context)
        await read_all([first], pattern.count)
        before = scene.rig.headstart.cpu_s()
        for request in requests:
            assert not (await read_all([request], pattern.count)).failed
        used.append((scene.rig.headstart.cpu_s() - before) / count * 1000)
        direct = [Request(f"{scene.rig.upstream.url}/v1/messages", bare_body(pattern, size))] * count
        before = time.process_time()
        for request in direct:
            await read_all([request], pattern.count)
        bare.append((time.process_time() - before) / count * 1000)
    copied = bare[1] - bare[0]
    ratio = (used[1] - copied) / used[0]
    return [
        Line("CPU per ask, 40 kB", "ms", used[0], None, "", None),
        Line("CPU per ask, 4 MB", "ms", used[1], None, "", None),
        Line("… to copy and send 4 MB, bare", "ms", copied, None, "", None),
        Line("CPU per ask, 4 MB less that / 40 kB", "×", ratio, None, "≤ 2", ratio <= 2),
    ]


async def tails(scene: Scene) -> list[Line]:
    """2,000 readers who come back to 100 turns that say one thing a second."""
    turns, readers_each = 100, 20
    pattern = Pattern(TTFT_S, 1.0, scene.lengths.tails_s)
    requests = await scene.requests("headstart", pattern, turns)
    sessions = [request.url.split("/")[-2] for request in requests]
    asking = asyncio.create_task(read_all(requests, pattern.count))
    await asyncio.sleep(0.5)
    tailing = [scene.visitor.tail(await scene.visitor.turn(session)) for session in sessions] * readers_each
    headstart = scene.rig.headstart
    memory = headstart.memory()
    reading = asyncio.create_task(read_all(tailing, pattern.count, cpu=headstart.cpu_s, per_s=500))
    await asyncio.sleep(pattern.count * 0.75)
    memory = headstart.memory() - memory
    seen = await reading
    complain("tails", seen)
    failed = seen.failed + (await asking).failed
    busy = seen.busy
    late = percentile(seen.steady_lags_ms(), 0.99)
    return [
        Line(
            f"{turns * readers_each:,} tails at 1/s: of a core",
            "%",
            busy * 100,
            None,
            "< 100 %",
            busy < 1 and not failed,
        ),
        Line("… lag p99", "ms", late, None, "", None),
        Line("… failed", "", float(failed), None, "0", failed == 0),
        Line("… memory per tail", "kB", memory / len(tailing) / 1000, None, "", None),
        Line(
            "… CPU to take them up, each", "ms", (seen.cpu_s - seen.steady_cpu_s) / len(tailing) * 1000, None, "", None
        ),
    ]


async def warm(scene: Scene) -> list[Line]:
    """300 triggers a second: most find their prefix warm, one in ten has to write its own."""
    per_s = 300
    count = per_s * scene.lengths.warm_s
    shared = await scene.visitor.start(CONTEXT, 50)
    alone = iter(await scene.visitor.start(CONTEXT, count // 10, isolated=True))
    sessions = (next(alone) if number % 10 == 0 else shared[number % len(shared)] for number in range(count))
    requests = [scene.visitor.trigger(session) for session in sessions]
    before = scene.rig.headstart.cpu_s()
    took, failed = await at_rate(per_s, requests)
    cpu_ms = (scene.rig.headstart.cpu_s() - before) / count * 1000
    p50, p99 = percentile(took, 0.5), percentile(took, 0.99)
    return [
        Line(f"warm at {per_s}/s, p50", "ms", p50, None, "< 5 ms", p50 < 5 and not failed),
        Line("… p99", "ms", p99, None, "< 25 ms", p99 < 25),
        Line("… CPU each", "ms", cpu_ms, None, "", None),
    ]


PARTS = {part.__name__: part for part in (streams, single, lag, asks, tails, warm)}


async def measure(running: Rig, lengths: Lengths, parts: list[str]) -> list[Line]:
    lines: list[Line] = []
    async with Visitor(running.headstart.url) as visitor:
        scene = Scene(running, visitor, lengths)
        await visitor.add_context(CONTEXT, text_of(SMALL))
        # What happens once is not what is measured.
        for who in ("baseline", "headstart"):
            await scene.crowd(who, Pattern(TTFT_S, 0.001, 20), 20)
        for part in parts:
            found = await PARTS[part](scene)
            for line in found:
                print(row(line), flush=True)
            lines += found
    return lines


def row(line: Line) -> str:
    """One line of the table."""
    ratio = f"×{line.headstart / line.baseline:.2f}" if line.baseline else ""
    theirs = "" if line.baseline is None else _figure(line.baseline)
    said = "" if line.met is None else "PASS" if line.met else "OVER"
    return f"{line.what:<44} {_figure(line.headstart):>9} {theirs:>9} {ratio:>6} {line.unit:<3} {line.goal:>8}  {said}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value.is_integer() else f"{value:,.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="within a minute")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part alone (may be repeated)")
    parser.add_argument(
        "--out", type=Path, default=Path("carry.json"), help="where the figures go (default: carry.json)"
    )
    chosen = parser.parse_args()
    load = os.getloadavg()
    print(f"{os.cpu_count()} cores, load before {load[0]:.1f}; times are this machine's, ratios are what counts\n")
    print(f"{'':<44} {'Headstart':>9} {'baseline':>9} {'':>6} {'':<3} {'goal':>8}")
    with tempfile.TemporaryDirectory(prefix="headstart-bench-") as folder, rig(Path(folder), text_of(SMALL)) as running:
        lines = uvloop.run(measure(running, SHORT if chosen.short else LONG, chosen.only or list(PARTS)))
    figures = {"load": load, "cores": os.cpu_count(), "lines": [asdict(line) for line in lines]}
    chosen.out.write_text(json.dumps(figures, ensure_ascii=False, indent=2) + "\n")
    sys.exit(0 if all(line.met is not False for line in lines) else 1)


if __name__ == "__main__":
    main()
