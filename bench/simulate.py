"""A day of readers under four ways of warming: never, blindly on every focus, every four minutes, and as Headstart decides.

    python -m bench.simulate [--short] [--seed 1] [--days 7] [--picture docs/simulation.svg]

Pure time: no sockets, no clock, the same numbers for the same seed; see `bench/habits.py` for the readers and
`bench/simulation.py` for the rest. Passes when Headstart is on or below the frontier of the others: no mixture of them
waits as little for less money, and none costs less when a second of waiting is worth what the settings say.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import mean

from bench.habits import DAY_S, PLACES, Place, day
from bench.simulation import VALUE_OF_SECOND_USD, WAYS, Simulation, Tally


def simulate(seed: int, places: tuple[Place, ...] = PLACES) -> dict[str, Tally]:
    """The same day under every way."""
    visits = day(seed, places)
    return {name: Simulation(way()).run(visits, DAY_S) for name, way in WAYS.items()}


def frontier(points: Sequence[tuple[float, float]], waiting: float) -> float:
    """The least USD that a mixture of `points` (USD, waiting) takes to wait at most this long; infinite if none does."""
    least = min((usd for usd, waits in points if waits <= waiting), default=float("inf"))
    for usd, waits in points:
        for other_usd, other_waits in points:
            if waits <= waiting < other_waits:
                share = (waiting - waits) / (other_waits - waits)
                least = min(least, usd + share * (other_usd - usd))
    return least


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way's days, in means."""

    usd: float
    warm_usd: float
    warms: float
    waiting_s: float
    median_s: float
    worst_s: float
    total_usd: float


def outcome(days: Sequence[Tally]) -> Outcome:
    waits = sorted(wait for tally in days for wait in tally.waits_s)
    return Outcome(
        mean(tally.usd for tally in days),
        mean(tally.warm_usd for tally in days),
        mean(tally.warms for tally in days),
        mean(tally.waiting_s for tally in days),
        waits[len(waits) // 2],
        waits[len(waits) * 9 // 10],
        mean(tally.total_usd for tally in days),
    )


def table(outcomes: dict[str, Outcome]) -> str:
    """Markdown, for the docs and the terminal alike."""
    rows = ["| way of warming | calls to warm | USD for warming | USD in all | waiting | p50 | p90 | USD + waiting |"]
    rows.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, one in outcomes.items():
        rows.append(
            f"| {name} | {one.warms:,.0f} | {one.warm_usd:.2f} | {one.usd:.2f} | {one.waiting_s / 60:.1f} min"
            f" | {one.median_s:.1f} s | {one.worst_s:.1f} s | {one.total_usd:.2f} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="the first day's seed (default: 1)")
    parser.add_argument("--days", type=int, default=7, help="how many days, each with a seed of its own (default: 7)")
    parser.add_argument("--short", action="store_true", help="the same: it takes seconds")
    parser.add_argument("--picture", type=Path, help="draw the figure into this file")
    chosen = parser.parse_args()
    days = [simulate(seed) for seed in range(chosen.seed, chosen.seed + chosen.days)]
    outcomes = {name: outcome([one[name] for one in days]) for name in WAYS}
    print(f"Means of {chosen.days} days; a second of waiting is worth ${VALUE_OF_SECOND_USD:g}\n\n{table(outcomes)}\n")
    mine = outcomes["Headstart"]
    others = [one for name, one in outcomes.items() if name != "Headstart"]
    least = frontier([(one.usd, one.waiting_s) for one in others], mine.waiting_s)
    cheapest = min(one.total_usd for one in others)
    below, cheaper = mine.usd <= least, mine.total_usd <= cheapest
    print(f"to wait as little, the others take ${least:.2f}; Headstart takes ${mine.usd:.2f}: {_said(below)}")
    print(f"money and waiting: the best other ${cheapest:.2f}; Headstart ${mine.total_usd:.2f}: {_said(cheaper)}")
    if chosen.picture is not None:
        draw(days, outcomes, chosen.picture)
    sys.exit(0 if below and cheaper else 1)


def _said(passed: bool) -> str:
    return "PASS" if passed else "OVER"


def draw(days: Sequence[dict[str, Tally]], outcomes: dict[str, Outcome], path: Path) -> None:
    """Money against waiting, a point for each way, its days around it, and the frontier of the others."""
    try:
        import_module("matplotlib").use("agg")
    except ImportError:
        sys.exit("the figure needs matplotlib: pip install -r requirements-bench.txt, or leave --picture out")
    pyplot = import_module("matplotlib.pyplot")
    pyplot.rcParams["svg.hashsalt"] = "headstart"
    figure, axes = pyplot.subplots(figsize=(7.5, 4.5), layout="constrained")
    others = [(one.usd, one.waiting_s) for name, one in outcomes.items() if name != "Headstart"]
    waits = [
        min(w for _, w in others) + step * (max(w for _, w in others) - min(w for _, w in others)) / 200
        for step in range(201)
    ]
    axes.plot(
        [frontier(others, wait) for wait in waits],
        [w / 60 for w in waits],
        color="#999",
        linestyle="--",
        label="frontier of the others",
    )
    for (name, one), color in zip(outcomes.items(), ("#a33a2a", "#b07a1e", "#6b4b8a", "#1b4b8a"), strict=True):
        axes.plot(
            [d[name].usd for d in days],
            [d[name].waiting_s / 60 for d in days],
            "o",
            color=color,
            alpha=0.25,
            markersize=4,
        )
        axes.plot(one.usd, one.waiting_s / 60, "o", color=color, markersize=9, label=name)
    axes.set(xlabel="USD a day for input", ylabel="minutes of waiting a day, all readers together")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
