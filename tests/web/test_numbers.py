"""Numbers on pages: short, honest about what is unknown, and never a number that says nothing."""

from collections.abc import Callable

import pytest

from app.web.numbers import compact, count, duration, money, seconds, several, share


@pytest.mark.parametrize(
    ("write", "number", "written"),
    [
        *[(count, 0, "0"), (count, 1234567, "1,234,567")],
        *[(compact, 0, "0"), (compact, 999, "999"), (compact, 5016, "5 k"), (compact, 12_345, "12 k")],
        *[(compact, 1_234_567, "1.2 M"), (compact, 2_500_000_000, "2.5 G"), (compact, 0.5, "0")],
        *[(money, 0, "$0.00"), (money, 0.0031, "$0.0031"), (money, 0.05, "$0.050"), (money, 0.5, "$0.50")],
        *[
            (money, 1234.5, "$1,234.50"),
            (money, -0.25, "−$0.25"),
            (money, -12, "−$12.00"),
            (money, 1e-9, "<$0.001"),
            (money, -1e-4, "−$0.00"),
        ],
        *[(seconds, 0, "0 s"), (seconds, 42, "0.04 s"), (seconds, 940, "0.94 s"), (seconds, 8230, "8.2 s")],
        *[
            (seconds, 21_400, "21 s"),
            (duration, 940, "0.94 s"),
            (duration, 59_000, "59 s"),
            (duration, 60_000, "1 min"),
        ],
        *[(duration, 750_000, "12 min 30 s"), (duration, 4_320_000, "1 h 12 min"), (duration, 3_600_000, "1 h")],
        *[(duration, 273_600_000, "3 d 4 h"), (duration, 59_700, "1 min")],
        *[
            (share, 0, "0 %"),
            (share, 0.004, "0.4 %"),
            (share, 0.87, "87 %"),
            (share, 0.996, "99.6 %"),
            (share, 1, "100 %"),
        ],
    ],
)
def test_a_number_is_written_as_people_read_it(write: Callable[[float], str], number: float, written: str) -> None:
    assert write(number) == written


@pytest.mark.parametrize("write", [count, compact, money, seconds, duration, share])
def test_what_is_unknown_is_a_dash(write: Callable[[float | None], str]) -> None:
    assert write(None) == "–"


def test_one_is_not_several() -> None:
    assert several(1, "call") == "1 call"
    assert several(2000, "call") == "2,000 calls"
