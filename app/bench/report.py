"""What was measured, in words and numbers: the cookbook's comparison, the curve over typing time, and JSON.

Pure: it formats and writes no file.
"""

import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import median
from typing import Any

from app.bench.ttft import Measured, Sample


def text(measured: Measured) -> str:
    """The tables that are printed."""
    parts = [_heading(measured), _comparison(measured), _curve(measured), _notes(measured)]
    return "\n\n".join(part for part in parts if part)


def as_json(measured: Measured, now: datetime) -> str:
    """Everything that was measured, and with what."""
    about = {
        "headstart": version("headstart"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "measured_at": now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
    return json.dumps(about | measured.as_json(), ensure_ascii=False, indent=2) + "\n"


def _heading(measured: Measured) -> str:
    about, plan = measured.context, measured.plan
    size = f"{about['tokens']:,} tokens" if about["tokens"] else f"{about['bytes']:,} bytes"
    lines = [f"“{about['name']}” ({size}) with {about['model']}, {plan.runs} run(s) each, medians"]
    said = measured.upstream
    if measured.speed != 1:
        said += f": waits were {measured.speed:g}× shorter; times are shown ×{measured.speed:g}, as on the real API"
    return "\n".join([*lines, said])


def _comparison(measured: Measured) -> str:
    typing_s = max(measured.plan.typing_s)
    cold, warmed = measured.of("cold"), (measured.of("typed", typing_s), measured.of("yardstick"))
    rows: list[tuple[str, ...]] = [("", "no warm", f"warmed, {typing_s:g} s typed", "", "warm had ended", "")]
    for name, field in (
        ("first byte", "first_byte_s"),
        ("first thinking", "first_thinking_s"),
        ("first text (TTFT)", "ttft_s"),
        ("whole answer", "total_s"),
    ):
        slow, fast = _median(cold, field), [_median(kind, field) for kind in warmed]
        cells = [cell for value in fast for cell in (_seconds(value), _change(slow, value))]
        rows.append((name, _seconds(slow), *cells))
    for name, field in (
        ("read from the cache", "read"),
        ("written to the cache", "written"),
        ("uncached input", "uncached"),
        ("output", "output"),
    ):
        counts = [f"{_median(kind, field) or 0:,.0f}" for kind in (cold, *warmed)]
        rows.append((f"{name}, tokens", counts[0], counts[1], "", counts[2], ""))
    costs = [_usd(_median(kind, "cost_usd")) for kind in (cold, *warmed)]
    rows.append(("the question, USD", costs[0], costs[1], "", costs[2], ""))
    return _table(rows)


def _curve(measured: Measured) -> str:
    rows = [("typing", "TTFT", "best possible", "regret", "cold")]
    for point in measured.curve():
        regret = f"{point.regret:+.1%}"
        rows.append(
            (
                *(f"{point.typing_s:g} s", _seconds(point.ttft_s), _seconds(point.clairvoyant_s)),
                *(regret, _seconds(measured.cold_s)),
            )
        )
    said = f"Best possible: max(0, W − typing) + H, with a warm of W = {measured.warm_s:.2f} s"
    return _table(rows) + f"\n{said} and a hit of H = {measured.hit_s:.2f} s"


def _notes(measured: Measured) -> str:
    notes = []
    if measured.skipped:
        notes.append(f"Warms were skipped or failed ({measured.skipped}): those questions were asked cold.")
    if measured.spent_usd is None:
        notes.append("What it cost is not known: the model has no price here.")
    else:
        pretended = " (pretended: the sandbox costs nothing)" if measured.upstream.startswith("Sandbox") else ""
        notes.append(f"All of it cost ${measured.spent_usd:.2f}{pretended}.")
    return "\n".join(notes)


def _median(samples: Sequence[Sample], field: str) -> float | None:
    values: list[Any] = [getattr(sample, field) for sample in samples]
    known = [value for value in values if value is not None]
    return float(median(known)) if known else None


def _seconds(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f} s"


def _change(slow: float | None, fast: float | None) -> str:
    return "" if slow is None or fast is None else f"{(fast - slow) / slow:+.1%}".replace("-", "−")


def _usd(value: float | None) -> str:
    return "unknown" if value is None else f"${value:.4f}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells[1:]]).rstrip())
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(lines)
