"""A day of readers: when they come, what they look at, and what they do there. Seeded; knows nothing of caches or money.

Habits are mixed on purpose: readers who put the cursor somewhere and leave, quick and slow typists, one question or many,
and people who come back to a tab after an idle while. Everything is drawn in advance, so that every way of warming meets
the same day.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

DAY_S = 86_400
# Share of a day's visits in each hour: an office with a lunch break, a few people at night.
HOURS = (1, 1, 1, 1, 1, 2, 4, 8, 14, 16, 16, 14, 9, 12, 15, 16, 14, 10, 6, 4, 3, 3, 2, 1)


@dataclass(frozen=True, slots=True)
class Place:
    """A context, the model it is asked with, and how many visits it has a day."""

    name: str
    model: str
    tokens: int
    visits: int


# From what everybody asks all day to what somebody looks up now and then.
PLACES = (
    Place("faq", "claude-haiku-5-5", 20_000, 300),
    Place("handbook", "claude-sonnet-5-5", 150_000, 120),
    Place("codebase", "claude-opus-5-5", 300_000, 50),
    Place("contract", "claude-sonnet-5", 60_000, 20),
    Place("standard", "claude-opus-5", 100_000, 8),
    Place("archive", "claude-sonnet-5-5", 500_000, 4),
)


@dataclass(frozen=True, slots=True)
class Round:
    """From one focus to the next: seconds away since the last answer, then of thought, then of typing. Without typing
    nothing is asked; `comes_back` says that they left the page meanwhile, the cursor where it was."""

    away_s: float
    think_s: float
    typing_s: float | None
    asks: bool
    comes_back: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """One reader's conversation, from when they come."""

    at_s: float
    place: Place
    rounds: tuple[Round, ...]


@dataclass(frozen=True, slots=True)
class Habit:
    """A kind of reader: medians in seconds, and chances. `share` of all readers are of this kind."""

    share: float
    think_s: float
    typing_s: float
    reading_s: float
    asks: float
    goes_on: float
    wanders: float


HABITS = (
    Habit(share=0.25, think_s=3, typing_s=6, reading_s=40, asks=0.08, goes_on=0.2, wanders=0.1),  # look and leave
    Habit(share=0.30, think_s=2, typing_s=5, reading_s=30, asks=0.92, goes_on=0.5, wanders=0.05),  # quick
    Habit(share=0.25, think_s=8, typing_s=28, reading_s=90, asks=0.85, goes_on=0.6, wanders=0.15),  # slow
    Habit(share=0.20, think_s=4, typing_s=12, reading_s=120, asks=0.75, goes_on=0.75, wanders=0.5),  # come and go
)
IDLE_S = 900.0
MOST_ROUNDS = 12


def day(seed: int, places: tuple[Place, ...] = PLACES) -> list[Visit]:
    """All visits of a day, in order."""
    dice = random.Random(seed)
    visits = [_visit(dice, place) for place in places for _ in range(_about(dice, place.visits))]
    return sorted(visits, key=lambda visit: visit.at_s)


def _visit(dice: random.Random, place: Place) -> Visit:
    hour = dice.choices(range(24), HOURS)[0]
    habit = dice.choices(HABITS, [habit.share for habit in HABITS])[0]
    return Visit((hour + dice.random()) * 3600, place, tuple(_rounds(dice, habit)))


def _rounds(dice: random.Random, habit: Habit) -> Iterator[Round]:
    away_s, comes_back = 0.0, False
    for _ in range(MOST_ROUNDS):
        asks = dice.random() < habit.asks
        # Some of those who ask nothing have begun to type.
        types = asks or dice.random() < 0.2
        typing_s = _spread(dice, habit.typing_s) if types else None
        yield Round(away_s, _spread(dice, habit.think_s), typing_s, asks, comes_back)
        comes_back = dice.random() < habit.wanders
        away_s = _spread(dice, IDLE_S if comes_back else habit.reading_s)
        if not comes_back and dice.random() > (habit.goes_on if asks else 0.1):
            return


def _spread(dice: random.Random, median: float) -> float:
    return dice.lognormvariate(0, 0.7) * median


def _about(dice: random.Random, visits: int) -> int:
    return max(1, round(dice.gauss(visits, visits**0.5)))
