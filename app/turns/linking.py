"""Links to what was said: whoever has one reads the turns that there were when it was made, nothing else of the session."""

import hmac
import time
from collections.abc import Callable

from app.store import keys
from app.store.sessions import Link as Link
from app.store.sessions import SessionRecord, Sessions
from app.store.turns import Turns, TurnState
from app.turns.conversations import UnknownSession, view_turn
from app.turns.finding import automatic_title


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

        Raises `CannotLink` when none of them has an answer, and `UnknownSession` when it was erased meanwhile.
        """
        turns = [view_turn(turn) for turn in await self._turns.of_session(record.id)]
        # Of several, the last one alone can be running.
        ended = [turn for turn in turns if turn.state is not TurnState.RUNNING]
        if all(turn.came_to_nothing for turn in ended):
            raise CannotLink("nothing was answered in this conversation yet")
        title = record.title or automatic_title(turns[0].question)
        link = await self._sessions.link(record.id, len(ended), round(self._clock() * 1000), title)
        if link is None:
            raise UnknownSession(record.id)
        return link

    async def unlink(self, record: SessionRecord) -> None:
        """Have the session's link lead nowhere."""
        await self._sessions.unlink(record.id)

    async def follow(self, id: str) -> tuple[SessionRecord, Link]:
        """The link of that id, and the session that it leads to. That is not used by it: who reads keeps nothing.

        Raises `UnknownLink`.
        """
        session = keys.session_of_link(id)
        record = await self._sessions.get(session) if session else None
        if record is None or record.link is None or not hmac.compare_digest(record.link.id, id):
            raise UnknownLink(id)
        return record, record.link
