"""Turns that somebody met running: whoever produces them should be heard of.

They are listed among those that run, or nobody would go on with them when their process dies. Redis can lose that, as any
last write, in a failover; who dies in the same moment does not say it again. So what is met is listed again.
"""

from app.store.turns import Turns


class Met:
    """Turns that this process met running, until they are listed in the store."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._met: set[str] = set()

    def note(self, turn: str) -> None:
        """`turn` is said to run."""
        self._met.add(turn)

    async def watch(self, within_ms: int) -> None:
        """Have them be taken over that are not heard of `within_ms`."""
        met = list(self._met)
        if met:
            await self._turns.watch(met, within_ms)
            self._met.difference_update(met)
