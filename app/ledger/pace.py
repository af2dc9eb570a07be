"""How long this deployment's upstream takes: seconds to the first byte over uncached tokens, a line learned online.

Each call adds a point; older points fade, so the line follows the upstream. Pure arithmetic over five sums that the store
keeps per upstream and model.
"""

from dataclasses import dataclass

FADE = 0.97
# What a hit takes is where the line meets zero tokens. That is known when there are three points (faded), and its variance
# (xx / spread, in units of a single call's) says that hits, or all but hits, are among them.
FEWEST_POINTS = 2.5
MOST_VARIANCE = 2.0
# How long many tokens take is not known from calls of a few, or of few differences: what one call varies by is multiplied by
# how much further the line reaches. By more than this it is nothing to be told, even with an "about". After a cold call,
# that is so from some two hundred hits on.
FARTHEST = 30.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds to the first byte = `base_s` + uncached tokens × `seconds_per_token`. `hit_s` is what a call takes that
    reads everything from the cache; None while too few were seen to tell."""

    base_s: float
    seconds_per_token: float
    hit_s: float | None = None

    def predict(self, uncached_tokens: int) -> float:
        """Seconds until the first byte of a call that has to read `uncached_tokens`."""
        return self.base_s + uncached_tokens * self.seconds_per_token


def fit(count: float, x: float, y: float, xx: float, xy: float, tokens: float = 0) -> Pace | None:
    """The line through faded sums of points (x tokens, y seconds); None while they do not tell a slope, or not one that
    reaches as far as `tokens`."""
    if count <= 0 or x <= 0:
        return None
    spread = count * xx - x * x
    sloping = spread > 1e-6 * xx * count
    slope = (count * xy - x * y) / spread if sloping else y / x
    seen = spread / count if sloping else xx
    if slope <= 0 or tokens**2 > FARTHEST**2 * seen:
        return None
    base = max(0.0, (y - slope * x) / count)
    known = count >= FEWEST_POINTS and xx <= MOST_VARIANCE * spread
    return Pace(base, slope, base if known else None)
