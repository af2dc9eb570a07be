"""The curve as a picture. Drawn with matplotlib, which is an extra: without it, a sentence says what to install."""

from importlib import import_module
from pathlib import Path
from typing import Any

from app.bench import BenchFailed
from app.bench.ttft import Measured

FORMATS = (".svg", ".png")
INK, COLD, BEST = "#1b4b8a", "#a33a2a", "#4b7f52"


def check(path: Path) -> None:
    """Raise `BenchFailed` when no picture could be drawn to `path`: better before the measurement than after."""
    if path.suffix.lower() not in FORMATS:
        raise BenchFailed(f"{path.name} is not a picture that can be drawn: end it in {' or '.join(FORMATS)}")
    _pyplot()


def draw(measured: Measured, path: Path) -> None:
    """Draw TTFT over typing time between its two bounds into `path`."""
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    longest = max(*measured.plan.typing_s, measured.warm_s * 1.1)
    grid = sorted({*(longest * step / 200 for step in range(201)), measured.warm_s})
    axes.axhline(measured.cold_s, color=COLD, linestyle="--", label="cold: no warm")
    best = [measured.clairvoyant_s(typing_s) for typing_s in grid]
    axes.plot(grid, best, color=BEST, linestyle=":", label="best possible: max(0, W − typing) + H")
    typed = [sample for sample in measured.samples if sample.typing_s is not None]
    axes.plot([one.typing_s for one in typed], [one.ttft_s for one in typed], "o", color=INK, alpha=0.35, markersize=4)
    curve = sorted(measured.curve(), key=lambda point: point.typing_s)
    axes.plot([p.typing_s for p in curve], [p.ttft_s for p in curve], "-o", color=INK, label="Headstart, medians")
    axes.set(xlabel="seconds of typing between focus and question", ylabel="seconds to the first text")
    axes.set_ylim(bottom=0)
    axes.set_title(f"{measured.context['name']}, {measured.context['model']} ({measured.upstream})", fontsize=10)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
    pyplot.close(figure)


def _pyplot() -> Any:
    try:
        import_module("matplotlib").use("agg")
        return import_module("matplotlib.pyplot")
    except ImportError:
        raise BenchFailed(
            "a picture needs matplotlib: pip install -r requirements-bench.txt, or leave --picture out"
        ) from None
