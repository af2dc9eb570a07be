"""Numbers as people read them, on pages that are rendered here; `static/js/numbers.js` does the same for the others.

What is unknown is a dash, never a zero. Pure.
"""

from math import floor, log10

UNKNOWN = "–"


def count(number: float | None) -> str:
    """A whole number: 12,345."""
    return UNKNOWN if number is None else f"{number:,.0f}"


def compact(number: float | None) -> str:
    """A large number in little room: 12,345 is 12 k, 1,234,567 is 1.2 M."""
    if number is None:
        return UNKNOWN
    for unit, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(number) >= unit:
            return f"{number / unit:.{1 if abs(number) < 10 * unit else 0}f}".removesuffix(".0") + name
    return f"{number:,.0f}"


def money(usd: float | None) -> str:
    """Dollars and cents; small amounts keep two digits that say something: $0.031."""
    if usd is None:
        return UNKNOWN
    size, sign = abs(usd), "−" if usd < 0 else ""
    if size == 0 or size >= 1:
        return f"{sign}${size:,.2f}"
    if size < 0.001:
        return "−$0.00" if usd < 0 else "<$0.001"
    return f"{sign}${size:.{max(2, 1 - floor(log10(size)))}f}"


def seconds(ms: float | None) -> str:
    """A short time: 0.94 s, 8.2 s, 21 s."""
    if ms is None:
        return UNKNOWN
    digits = 0 if ms == 0 else 2 if ms < 1000 else 1 if ms < 10_000 else 0
    return f"{ms / 1000:.{digits}f} s"


def duration(ms: float | None) -> str:
    """A long time in its two largest units: 41 s, 12 min 30 s, 1 h 12 min, 3 d 4 h."""
    if ms is None:
        return UNKNOWN
    whole = round(ms / 1000)
    if whole < 60:
        return seconds(ms)
    for large, small, names in ((86_400, 3600, ("d", "h")), (3600, 60, ("h", "min")), (60, 1, ("min", "s"))):
        if whole >= large:
            rest = whole % large // small
            return f"{whole // large} {names[0]}" + (f" {rest} {names[1]}" if rest else "")
    return UNKNOWN


def share(part: float | None) -> str:
    """A share of one, in percent."""
    if part is None:
        return UNKNOWN
    percent = part * 100
    return f"{percent:.1f} %" if 0 < percent < 1 or 99 < percent < 100 else f"{percent:.0f} %"


def several(number: int, noun: str) -> str:
    """`number` of `noun`s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
