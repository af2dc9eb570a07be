"""Links to what was said: whoever has one reads the turns that there were when it was made, nothing else of the session."""

import hmac
import time
from collections.abc import Callable

from app.store import keys
from app.store.sessions import Link as Link
from app.store.sessions import SessionRecord, Sessions
from app.store.turns import Turns, TurnState
from app.turns.conversations import TurnView, UnknownSession, view_turn


class CannotLink(Exception):
    """There is nothing to link to; the message says why."""


class UnknownLink(LookupError):
    """The link leads nowhere: it never did, its owner took it back, or the conversation is gone."""


class Linking:
    """Makes links, takes them back, and follows them."""

    def __init__(self, sessions: Sessions, turns: Turns, clock: Callable[[], float] = time.time) -> None:
        self._sessions = sessions
        self._turns = turns
        self._clock = clock

    async def link(self, record: SessionRecord) -> Link:
        """The session's one link, which from now on leads to all turns that have ended.

        Raises `CannotLink` when there are none, and `UnknownSession` when it was erased meanwhile.
        """
        turns = await self._turns.of_session(record.id)
        # Of several, the last one alone can be running.
        ended = sum(turn["state"] != TurnState.RUNNING for turn in turns)
        if not ended:
            raise CannotLink("nothing was answered in this conversation yet")
        link = await self._sessions.link(record.id, keys.new_link_secret(), ended, round(self._clock() * 1000))
        if link is None:
            raise UnknownSession(record.id)
        return link

    async def unlink(self, record: SessionRecord) -> None:
        """Have the session's link lead nowhere."""
        await self._sessions.unlink(record.id)

    async def follow(self, link: str) -> tuple[SessionRecord, list[TurnView]]:
        """The session that `link` leads to, and the turns that may be read. It is not used by that: who reads keeps nothing.

        Raises `UnknownLink`.
        """
        session = keys.session_of_link(link)
        record = await self._sessions.get(session) if session else None
        if record is None or record.link is None or not hmac.compare_digest(record.link.id, link):
            raise UnknownLink(link)
        turns = await self._turns.of_session(record.id)
        return record, [view_turn(turn) for turn in turns[: record.link.turns]]
