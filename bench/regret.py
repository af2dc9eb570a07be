"""How much of the waiting that could be spared is not: TTFT over typing time against the clairvoyant, who knew at focus
when the question would come. The run's own cold and hit are the yardstick; the sandbox is the upstream, on scaled time.

    python -m bench.regret [--short] [--speed 8] [--runs 5]

Passes when the mean over the typing times of (TTFT − clairvoyant) / clairvoyant is under 3 %, and no typing time is more
than 2 % above cold. Medians over the runs, because the machine has other work, too.
"""

import argparse
import statistics
import sys
from contextlib import closing

from app.bench import report
from app.bench.client import Reader
from app.bench.server import own_server
from app.bench.ttft import QUESTION, TYPING_S, Measured, Plan, measure
from app.contexts.sample import SAMPLE_NAME
from app.settings import Settings

GOAL = 0.03
ABOVE_COLD = 0.02


def measured_at(speed: float, runs: int) -> Measured:
    environment = {"HEADSTART_SANDBOX": "on", "HEADSTART_SANDBOX_SPEED": f"{speed:g}"}
    with own_server(Settings(), None, **environment) as url, closing(Reader(url)) as reader:
        plan = Plan(SAMPLE_NAME, QUESTION, runs, TYPING_S)
        return measure(reader, plan, lambda line: print(line, file=sys.stderr))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="three runs, at speed 10")
    parser.add_argument("--speed", type=float, default=5.0, help="how much faster than the real API (default: 5)")
    parser.add_argument("--runs", type=int, default=5, help="how often each is measured (default: 5)")
    chosen = parser.parse_args()
    measured = measured_at(10.0, 3) if chosen.short else measured_at(chosen.speed, chosen.runs)
    print(report.text(measured))
    curve = measured.curve()
    regret = statistics.mean(point.regret for point in curve)
    print(f"\nregret: {regret:+.2%} on average (goal: under {GOAL:.0%}): {'PASS' if regret < GOAL else 'OVER'}")
    over = [point for point in curve if point.ttft_s > measured.cold_s * (1 + ABOVE_COLD)]
    for point in over:
        share = point.ttft_s / measured.cold_s - 1
        print(f"after {point.typing_s:g} s of typing: {share:+.1%} above cold (goal: at most {ABOVE_COLD:.0%}): OVER")
    if not over:
        print(f"never more than {ABOVE_COLD:.0%} above cold: PASS")
    sys.exit(1 if regret >= GOAL or over else 0)


if __name__ == "__main__":
    main()
