"""Time to the first text: cold, warmed, and for every typing time between the two, on one server.

Every measurement has a session of its own that shares no cache with any other, so each one starts from nothing. The
yardsticks come from the same run: cold is a question that nothing preceded, `W` how long a warm takes, `H` a question after
a warm that has ended. Who knew at focus when the question would come could do no better than max(0, W − t) + H.
Against the sandbox, time runs faster than in reality: waits are shortened by its speed, and what was measured is
multiplied by it.
"""

import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from app.bench import BenchFailed
from app.bench.client import Answered, Reader

QUESTION = "How does a TaskGroup cancel the tasks that are still running when one of them fails?"
TYPING_S = (0.0, 1.0, 3.0, 10.0, 25.0)

Kind = Literal["cold", "yardstick", "typed"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure: `runs` of each, over `context`, asking `question`, after each of `typing_s`."""

    context: str
    question: str
    runs: int
    typing_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One question. Seconds are those of the real API: measured × speed. `typing_s` is None when none was imitated;
    `warm_s` is how long the warm took, where the question waited for its end; `skipped` why there was no warm."""

    kind: Kind
    typing_s: float | None
    warm_s: float | None
    skipped: str | None
    plan: str
    first_byte_s: float
    first_thinking_s: float | None
    ttft_s: float
    total_s: float
    read: int
    written: int
    uncached: int
    output: int
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """The curve at one typing time, in medians: what was measured, and the best that anybody could do."""

    typing_s: float
    ttft_s: float
    total_s: float
    clairvoyant_s: float

    @property
    def regret(self) -> float:
        """How far above the clairvoyant, as a share."""
        return (self.ttft_s - self.clairvoyant_s) / self.clairvoyant_s


@dataclass(frozen=True, slots=True)
class Measured:
    """All samples of a run, and what they were taken from. `spent_usd` is everything it cost, None where unknown."""

    plan: Plan
    upstream: str
    speed: float
    context: dict[str, Any]
    spent_usd: float | None
    samples: list[Sample] = field(default_factory=list)

    def of(self, kind: Kind, typing_s: float | None = None) -> list[Sample]:
        """The samples of one kind, and of one typing time."""
        return [one for one in self.samples if one.kind == kind and one.typing_s == typing_s]

    @property
    def cold_s(self) -> float:
        return statistics.median(one.ttft_s for one in self.of("cold"))

    @property
    def hit_s(self) -> float:
        return statistics.median(one.ttft_s for one in self.of("yardstick"))

    @property
    def warm_s(self) -> float:
        return statistics.median(one.warm_s or 0.0 for one in self.of("yardstick"))

    @property
    def skipped(self) -> str | None:
        """Why warms were skipped, if any was."""
        return next((one.skipped for one in self.samples if one.skipped), None)

    def clairvoyant_s(self, typing_s: float) -> float:
        """The time to the first text for who knew everything."""
        return max(0.0, self.warm_s - typing_s) + self.hit_s

    def curve(self) -> list[Point]:
        """One point for every typing time."""
        points = []
        for typing_s in self.plan.typing_s:
            typed = self.of("typed", typing_s)
            ttft, total = (statistics.median(getattr(one, name) for one in typed) for name in ("ttft_s", "total_s"))
            points.append(Point(typing_s, ttft, total, self.clairvoyant_s(typing_s)))
        return points

    def as_json(self) -> dict[str, Any]:
        """Everything, raw and summed up."""
        return {
            "upstream": self.upstream,
            "speed": self.speed,
            "seconds": "as on the real API: measured × speed",
            "context": self.context,
            "question": self.plan.question,
            "runs": self.plan.runs,
            "typing_s": self.plan.typing_s,
            "spent_usd": self.spent_usd,
            "summary": {
                "cold_ttft_s": self.cold_s,
                "warm_s": self.warm_s,
                "hit_ttft_s": self.hit_s,
                "curve": [asdict(point) | {"regret": point.regret} for point in self.curve()],
            },
            "samples": [asdict(sample) for sample in self.samples],
        }


def measure(reader: Reader, plan: Plan, say: Callable[[str], None]) -> Measured:
    """Make every measurement of `plan` in turn, saying after each one how it went. Raises `BenchFailed`."""
    context = reader.context(plan.context)
    before = reader.stats()
    label = str(before["upstream"]["label"])
    bench = _Bench(reader, context["context"], plan.question, _speed(label))
    steps: Sequence[tuple[str, Callable[[], Sample]]] = [
        ("cold", bench.cold),
        ("warm, waited for", bench.yardstick),
        *((f"warm, {typing_s:g} s of typing", _typed(bench, typing_s)) for typing_s in plan.typing_s),
    ]
    samples: list[Sample] = []
    # Run by run, not kind by kind: what drifts in the meantime drifts under all of them alike.
    for run in range(plan.runs):
        for name, step in steps:
            samples.append(step())
            done = f"[{len(samples)}/{plan.runs * len(steps)}]"
            say(f"{done} run {run + 1}, {name}: {samples[-1].ttft_s:.2f} s to the first text")
            if len(samples) == 2 and (so_far := _spent(before, reader.stats())):
                say(f"these two cost ${so_far:.2f}; all of it will be about ${so_far / 2 * plan.runs * len(steps):.2f}")
    spent = _spent(before, reader.stats())
    about = {name: reader.context(plan.context)[name] for name in ("name", "model", "bytes", "tokens", "documents")}
    return Measured(plan, label, bench.speed, about, spent, samples)


class _Bench:
    def __init__(self, reader: Reader, context: str, question: str, speed: float) -> None:
        self._reader = reader
        self._context = context
        self._question = question
        self.speed = speed

    def cold(self) -> Sample:
        session = self._reader.session(self._context)
        return self._sample("cold", session, None, None, None)

    def yardstick(self) -> Sample:
        session = self._reader.session(self._context)
        warm, took = self._reader.warm(session, wait=True)
        if warm["state"] not in ("warm", "skipped"):
            raise BenchFailed(f"the warm is {warm['state']} ({warm['reason']})")
        return self._sample("yardstick", session, None, warm, took * self.speed)

    def typed(self, typing_s: float) -> Sample:
        session = self._reader.session(self._context)
        focused = time.perf_counter()
        warm, _ = self._reader.warm(session)
        time.sleep(max(0.0, focused + typing_s / self.speed - time.perf_counter()))
        return self._sample("typed", session, typing_s, warm, None)

    def _sample(
        self, kind: Kind, session: str, typing_s: float | None, warm: dict[str, Any] | None, warm_s: float | None
    ) -> Sample:
        answered = self._reader.ask(session, self._question)
        self._reader.erase(session)
        skipped = warm["reason"] if warm and warm["state"] in ("skipped", "failed") else None
        return _scaled(answered, self.speed, kind, typing_s, warm_s, skipped)


def _typed(bench: _Bench, typing_s: float) -> Callable[[], Sample]:
    return lambda: bench.typed(typing_s)


def _scaled(
    answered: Answered, speed: float, kind: Kind, typing_s: float | None, warm_s: float | None, skipped: str | None
) -> Sample:
    thinking, verdict = answered.first_thinking_s, answered.verdict
    return Sample(
        kind=kind,
        typing_s=typing_s,
        warm_s=warm_s,
        skipped=skipped,
        plan=answered.plan,
        first_byte_s=answered.first_byte_s * speed,
        first_thinking_s=None if thinking is None else thinking * speed,
        ttft_s=answered.ttft_s * speed,
        total_s=answered.total_s * speed,
        **{name: verdict[name] for name in ("read", "written", "uncached", "output", "cost_usd")},
    )


def _speed(label: str) -> float:
    """How much faster than the real API the server's upstream is, from what it says of it."""
    found = re.fullmatch(r"Sandbox, ([\d.]+)× real speed", label)
    return float(found[1]) if found else 1.0


def _spent(before: dict[str, Any], after: dict[str, Any]) -> float | None:
    """What the ledger grew by, in USD; None when a call had no known price."""
    kinds = ("warm", "ask")

    def grown(name: str) -> float:
        return float(after["totals"].get(name, 0) - before["totals"].get(name, 0))

    if any(grown(f"{kind}_unpriced") for kind in kinds):
        return None
    return sum(grown(f"{kind}_cost_usd") for kind in kinds)
