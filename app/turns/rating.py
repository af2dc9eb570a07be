"""What readers say of answers: kept with the turn, and counted for whoever runs this."""

import secrets
from typing import Literal

from app.store import keys
from app.store.connection import persistently
from app.store.turns import TurnState
from app.turns.asking import TurnRunning, UnknownTurn
from app.turns.conversations import Conversations, UnknownSession
from app.turns.services import Services

Rating = Literal["good", "bad"]


class Ratings:
    """Takes what the readers say."""

    def __init__(self, services: Services, conversations: Conversations) -> None:
        self._services = services
        self._conversations = conversations

    async def rate(self, turn: str, owner: str, rating: Rating | None) -> None:
        """Have `owner` say so of the turn's answer, None: nothing any more. Raises `UnknownTurn`, `TurnRunning`."""
        session = keys.session_of_turn(turn)
        try:
            record = await self._conversations.get(session or "", owner)
        except UnknownSession:
            raise UnknownTurn(turn) from None
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
