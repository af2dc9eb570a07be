"""What readers say of answers: kept with the turn, and counted for whoever runs this."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Literal

from app.store.connection import persistently
from app.store.sessions import SessionRecord
from app.store.turns import TurnState
from app.turns.asking import TurnRunning, UnknownTurn
from app.turns.services import Services

Rating = Literal["good", "bad"]


class Ratings:
    """Takes what the readers say."""

    def __init__(self, services: Services, session_of: Callable[[str, str], Awaitable[SessionRecord]]) -> None:
        """`session_of` finds the session of an owner's turn, and raises `UnknownTurn`."""
        self._services = services
        self._session_of = session_of

    async def rate(self, turn: str, owner: str, rating: Rating | None) -> None:
        """Have `owner` say so of the turn's answer, None: nothing any more. Raises `UnknownTurn`, `TurnRunning`."""
        record = await self._session_of(turn, owner)
        saying = secrets.token_hex(16)
        found = await self._services.turns.rate(record.id, turn, rating or "", saying)
        if found is None:
            raise UnknownTurn(turn)
        state, before = found
        if state is TurnState.RUNNING:
            raise TurnRunning(turn)
        if before != (rating or ""):
            ledger = self._services.ledger
            await persistently(lambda: ledger.count_rating(record.context, saying, before, rating or ""))
