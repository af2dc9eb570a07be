"""Questions in, turns out: accepting them, tailing them, stopping them, and leaving them to others when this process ends.

Every process runs one of these. A turn is produced by the process that accepted it, as long as that lives.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from app.prompt.render import ask_tail
from app.store import keys
from app.store.listing import Place
from app.store.sessions import SessionRecord
from app.store.turns import Entry, Grown, TurnState, event_id
from app.turns.conversations import UnknownSession
from app.turns.frames import own_frame
from app.turns.journal import Journal, first_entry
from app.turns.producer import Producer, Told
from app.turns.running import Running
from app.turns.services import Services
from app.turns.tail import Tail
from app.turns.watch import VOUCHED_MS, Watch
from app.warm.expecting import Plan

MAX_REQUEST_BYTES = 32_000_000
# How often a session that grows while a question is on its way is looked at again. Each time another one was answered.
LOOKS = 3
# Leaving a turn takes a few round trips to Redis; clients wait no longer for one that is away.
LEAVE_WITHIN_S = 1.0


class TurnRunning(Exception):
    """The session has a turn that runs: `turn` is its id."""

    def __init__(self, turn: str) -> None:
        super().__init__(turn)
        self.turn = turn


class UnknownTurn(LookupError):
    """There is no such turn, or it is not the asker's."""


class OtherQuestion(ValueError):
    """Another question was asked under that key."""


class Draining(Exception):
    """This process is about to end, and accepts no turns any more; others do."""


class RequestTooLarge(ValueError):
    """The conversation has grown beyond what one request may hold: `size` and `limit` in bytes."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"the request would have {size:,} bytes; the Messages API takes {limit:,}")
        self.size = size
        self.limit = limit


@dataclass(frozen=True, slots=True)
class FirstEvent:
    """What the first event of a turn says about it."""

    session: str
    turn: str
    plan: Plan


class Asking:
    """The turns of this process. `first_event` renders the data of a turn's first event; a turn that nobody reads for
    `unread_s` seconds is stopped, unless that is 0."""

    def __init__(
        self,
        services: Services,
        find_session: Callable[[str, str], Awaitable[SessionRecord]],
        first_event: Callable[[FirstEvent], dict[str, Any]],
        *,
        unread_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._services = services
        self._find_session = find_session
        self._first_event = first_event
        self._clock = clock
        self._draining = False
        self._drained = False
        self._running = Running(self.journal.abandon)
        self._watch = Watch(services, self._running, unread_s=unread_s, clock=clock)

    @property
    def journal(self) -> Journal:
        return self._services.journal

    @property
    def draining(self) -> bool:
        """Whether this process is about to end."""
        return self._draining

    @property
    def running(self) -> int:
        """How many turns this process produces."""
        return len(self._running)

    def start(self) -> None:
        """Begin to write journals, and to watch over turns."""
        self.journal.start()
        self._watch.start()

    async def drain(self, within_s: float) -> None:
        """Accept no turns any more; let those that run, and warms, end within `within_s` seconds, and leave other turns to
        other processes. Clients that read what is produced elsewhere, or wait for a warm, are sent there."""
        until = time.monotonic() + within_s
        self._draining = True
        self._services.coordinator.leave()
        self._watch.stop_adopting()
        self.journal.send_readers_away(all_of_them=False)
        if not await self._running.over(within_s):
            for producer in self._running:
                self._running.tell(producer.turn, Told.LEAVE)
            await self._running.over(LEAVE_WITHIN_S)
            self.journal.send_readers_away(all_of_them=True)
        await self._services.coordinator.over(until - time.monotonic())
        self._drained = True

    async def close(self) -> None:
        """Leave every turn that still runs here, or have others find out by themselves."""
        if not self._drained:
            await self.drain(0)
        await self._watch.close()
        await self._running.close()
        await self.journal.close()

    async def asked(self, session: SessionRecord, question: str, key: str) -> str | None:
        """The turn that `question` is already, if it was accepted under this `key`. Raises `OtherQuestion`."""
        turn = keys.turn_of_key(session.id, key)
        return turn if await self._same(session, turn, question) else None

    async def _same(self, session: SessionRecord, turn: str, question: str) -> bool:
        """Whether `turn` is there, and `question` is what it answers. Raises `OtherQuestion`."""
        fields = await self._services.turns.get(session.id, turn)
        if fields is not None and fields["question"] != question:
            raise OtherQuestion(turn)
        return fields is not None

    async def ask(self, session: SessionRecord, question: str, key: str | None = None) -> str:
        """Accept `question` and begin to answer it; the turn's id. What comes twice under one `key` is one turn.

        Raises `TurnRunning`, `RequestTooLarge`, `Draining`, `OtherQuestion`, `UnknownSession` when the session was erased
        meanwhile, and `Grown` when it has grown again and again.
        """
        asked_at = time.monotonic()
        turn = keys.new_turn_id(session.id) if key is None else keys.turn_of_key(session.id, key)
        for _ in range(LOOKS):
            try:
                return await self._ask(session, turn, question, asked_at)
            except Grown:
                session = await self._find_session(session.id, session.owner)
        return await self._ask(session, turn, question, asked_at)

    async def _ask(self, session: SessionRecord, turn: str, question: str, asked_at: float) -> str:
        """As `ask`. Raises `Grown` when another question of the session was answered since it was looked at."""
        if self._draining:
            raise Draining
        if session.running not in (None, turn):
            raise TurnRunning(session.running)
        tail = ask_tail(question, first=len(session.digests) == 1, max_tokens=session.parameters["max_tokens"])
        if session.size + len(tail) > MAX_REQUEST_BYTES:
            raise RequestTooLarge(session.size + len(tail), MAX_REQUEST_BYTES)
        asked_ms = round(self._clock() * 1000)
        # The transcript is read ahead: nothing becomes a turn of a session that has grown since.
        plan, transcript, *announced = await asyncio.gather(
            self._services.coordinator.plan(session),
            self._services.prefixes.of(session),
            *self._announced(session, turn, asked_ms),
            return_exceptions=True,
        )
        if isinstance(plan, BaseException):
            raise plan
        try:
            for failed in announced:
                if failed is not None:
                    raise failed
            first = await self._accept(session, turn, question, asked_ms, plan)
        except BaseException:
            await self._services.coordinator.release(plan)
            raise
        if first is None or turn in self._running:
            # Redis said so late that it was accepted that it was found meanwhile, as one that nobody produces; or it was
            # asked somewhere else, under the same key.
            await self._services.coordinator.release(plan)
            await self._same(session, turn, question)
            return turn
        feed = self.journal.open(session.id, turn, first)
        producer = Producer(
            self._services,
            session,
            turn,
            question,
            feed,
            asked_at=asked_at,
            plan=plan,
            # Whatever is wrong with it is the turn's to find, and to say.
            transcript=None if isinstance(transcript, BaseException) else transcript,
        )
        self._running.start(producer)
        # Its call goes out first, and then its first event: that waits for nobody.
        await asyncio.sleep(0)
        return turn

    async def follow(self, session: SessionRecord, turn: str) -> Tail:
        """The frames of a turn that `ask` has told of, until its end."""
        return await self.journal.tail(session.id, turn, 0)

    async def tail(self, turn: str, owner: str, after: int) -> Tail:
        """The turn's frames after event `after`, until its end. Raises `UnknownTurn`, `JournalGone`, and `Draining`."""
        session = await self.session_of(turn, owner)
        if self._draining and turn not in self._running:
            raise Draining
        return await self.journal.tail(session.id, turn, after)

    async def stop(self, turn: str, owner: str) -> TurnState:
        """Have the turn end, wherever it is produced; its state as it stood. Raises `UnknownTurn`."""
        # Stored first: should the process that has the turn now not come to hear of it, the next one does.
        session = await self.session_of(turn, owner)
        state = await self._services.turns.ask_to_stop(session.id, turn)
        if state is None:
            raise UnknownTurn(turn)
        if state is TurnState.RUNNING:
            self._running.tell(turn, Told.STOP)
        return state

    def _announced(self, session: SessionRecord, turn: str, asked_ms: int) -> list[Coroutine[Any, Any, None]]:
        """What is said of a turn before it is there: so that it is watched over, and that what was asked is never missing in
        its owner's list."""
        said = [self._services.turns.vouch([turn], VOUCHED_MS)]
        if session.copy_of is None:
            said.append(self._services.listing.note(session.owner, Place(asked_ms, session.id)))
        return said

    async def _accept(
        self, session: SessionRecord, turn: str, question: str, asked_ms: int, plan: Plan
    ) -> Entry | None:
        """The turn's first event; None when it was accepted before."""
        number = event_id(0, 1)
        first = first_entry(own_frame(number, "turn", self._first_event(FirstEvent(session.id, turn, plan))))
        fields: dict[str, str | int] = {"session": session.id, "question": question, "asked_ms": asked_ms}
        try:
            running = await self._services.turns.accept(
                session.id, turn, fields, first.frame, complete=len(session.digests) - 1
            )
        except LookupError:
            await self._services.turns.forget_running(turn)
            await self._services.listing.drop(session.owner, [session.id])
            raise UnknownSession(session.id) from None
        except Grown:
            await self._services.turns.forget_running(turn)
            raise
        if running == turn:
            return None
        if running is not None:
            await self._services.turns.forget_running(turn)
            raise TurnRunning(running)
        return first

    async def session_of(self, turn: str, owner: str) -> SessionRecord:
        """The session of a turn of `owner`'s. Raises `UnknownTurn`."""
        session = keys.session_of_turn(turn)
        if session is None:
            raise UnknownTurn(turn)
        try:
            record = await self._find_session(session, owner)
        except UnknownSession:
            raise UnknownTurn(turn) from None
        if await self._services.turns.get(session, turn) is None:
            raise UnknownTurn(turn)
        return record
