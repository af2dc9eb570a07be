"""Questions in, turns out: accepting them, tailing them, stopping them, and ending those whose process is gone.

Every process runs one of these. A turn is produced by the process that accepted it, which vouches for it in the store
again and again; a turn that nobody vouches for is ended by whichever process notices first.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from app.prompt.render import ask_tail
from app.store import keys
from app.store.connection import StoreUnavailable, relinquish
from app.store.sessions import SessionRecord
from app.store.turns import Entry, EventId, TurnState
from app.turns.conversations import UnknownSession
from app.turns.frames import own_frame
from app.turns.journal import Journal, first_entry
from app.turns.problems import abandoned
from app.turns.producer import Producer, Services
from app.warm.coordinator import Plan

log = logging.getLogger("headstart.turn")

MAX_REQUEST_BYTES = 32_000_000
VOUCH_S = 2.0
VOUCHED_MS = 8_000
RETRY_S = 1.0
INTERRUPT_AGAIN_S = 0.2

T = TypeVar("T")


class TurnRunning(Exception):
    """The session has a turn that runs: `turn` is its id."""

    def __init__(self, turn: str) -> None:
        super().__init__(turn)
        self.turn = turn


class UnknownTurn(LookupError):
    """There is no such turn, or it is not the asker's."""


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
    """The turns of this process. `first_event` renders the data of a turn's first event."""

    def __init__(
        self,
        services: Services,
        find_session: Callable[[str, str], Awaitable[SessionRecord]],
        first_event: Callable[[FirstEvent], dict[str, Any]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._services = services
        self._find_session = find_session
        self._first_event = first_event
        self._clock = clock
        self._producers: dict[str, tuple[Producer, asyncio.Task[None]]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def journal(self) -> Journal:
        return self._services.journal

    def start(self) -> None:
        """Begin to vouch for our turns, to end orphans, and to hear of stops."""
        self.journal.start()
        loops = (self._vouch(), self._end_orphans(), self._hear_stops())
        self._tasks = [asyncio.create_task(loop) for loop in loops]

    async def close(self, within_s: float) -> None:
        """End every turn that runs here, as interrupted; within `within_s` seconds, or leave it to other processes."""
        running = list(self._producers.values())
        for producer, task in running:
            self._interrupt(producer, task)
        if running:
            await asyncio.wait([task for _, task in running], timeout=within_s)
        await relinquish([*self._tasks, *(task for _, task in self._producers.values())])
        await self.journal.close()

    async def ask(self, session: SessionRecord, question: str) -> str:
        """Accept `question` and begin to answer it; the turn's id.

        Raises `TurnRunning`, `RequestTooLarge`, and `UnknownSession` when the session was erased meanwhile.
        """
        started = time.monotonic()
        if session.running is not None:
            raise TurnRunning(session.running)
        tail = ask_tail(question, first=len(session.digests) == 1, max_tokens=session.parameters["max_tokens"])
        if session.size + len(tail) > MAX_REQUEST_BYTES:
            raise RequestTooLarge(session.size + len(tail), MAX_REQUEST_BYTES)
        turn = keys.new_turn_id(session.id)
        plan = await self._services.coordinator.plan(session)
        try:
            first = await self._accept(session, turn, question, plan)
        except BaseException:
            await self._services.coordinator.release(plan)
            raise
        feed = self.journal.open(session.id, turn, first)
        producer = Producer(self._services, session, turn, question, plan, feed, started)
        task = asyncio.create_task(producer.run(), name=f"turn {turn}")
        self._producers[turn] = (producer, task)
        task.add_done_callback(lambda done: self._forget(producer, done))
        return turn

    async def follow(self, session: SessionRecord, turn: str) -> AsyncIterator[bytes]:
        """The frames of a turn that `ask` has just accepted, until its end."""
        return await self.journal.tail(session.id, turn, 0)

    async def tail(self, turn: str, owner: str, after: int) -> AsyncIterator[bytes]:
        """The turn's frames after event `after`, until its end. Raises `UnknownTurn` and `JournalGone`."""
        return await self.journal.tail(await self._session_of(turn, owner), turn, after)

    async def stop(self, turn: str, owner: str) -> TurnState:
        """Have the turn end, wherever it is produced; its state as it stood. Raises `UnknownTurn`."""
        session = await self._session_of(turn, owner)
        fields = await self._services.turns.get(session, turn)
        if fields is None:
            raise UnknownTurn(turn)
        state = TurnState(fields["state"])
        if state is TurnState.RUNNING and not self._stop_here(turn):
            await self._services.turns.ask_to_stop(session, turn)
        return state

    async def _accept(self, session: SessionRecord, turn: str, question: str, plan: Plan) -> Entry:
        await self._services.turns.vouch([turn], VOUCHED_MS)
        number = EventId(0, 1)
        first = first_entry(own_frame(number, "turn", self._first_event(FirstEvent(session.id, turn, plan))))
        asked_ms = round(self._clock() * 1000)
        fields: dict[str, str | int] = {"session": session.id, "question": question, "asked_ms": asked_ms}
        try:
            running = await self._services.turns.accept(session.id, turn, fields, first.frame)
        except LookupError:
            await self._services.turns.forget_running(turn)
            raise UnknownSession(session.id) from None
        if running is not None:
            await self._services.turns.forget_running(turn)
            raise TurnRunning(running)
        return first

    async def _session_of(self, turn: str, owner: str) -> str:
        session = keys.session_of_turn(turn)
        if session is None:
            raise UnknownTurn(turn)
        try:
            await self._find_session(session, owner)
        except UnknownSession:
            raise UnknownTurn(turn) from None
        if await self._services.turns.get(session, turn) is None:
            raise UnknownTurn(turn)
        return session

    def _forget(self, producer: Producer, task: asyncio.Task[None]) -> None:
        self._producers.pop(producer.turn, None)
        self.journal.abandon(producer.turn)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("turn %s was left without an end", producer.turn, exc_info=error)

    def _stop_here(self, turn: str) -> bool:
        producer, task = self._producers.get(turn, (None, None))
        if producer is None or task is None:
            return False
        if not producer.stopping and not producer.ending:
            producer.stopping = True
            self._interrupt(producer, task)
        return True

    def _interrupt(self, producer: Producer, task: asyncio.Task[None]) -> None:
        """Have `producer` turn to its end. Again until it does: redis-py sends commands under `asyncio.wait_for`, which
        until Python 3.12 loses a cancellation that comes as the command has just been sent."""
        if not producer.ending and not task.done():
            task.cancel()
            asyncio.get_running_loop().call_later(INTERRUPT_AGAIN_S, self._interrupt, producer, task)

    async def _vouch(self) -> None:
        while True:
            await asyncio.sleep(VOUCH_S)
            if self._producers:
                await self._reaching_redis(self._services.turns.vouch(list(self._producers), VOUCHED_MS))

    async def _end_orphans(self) -> None:
        while True:
            orphans = await self._reaching_redis(self._services.turns.adopt_orphans(VOUCHED_MS))
            for turn in orphans or []:
                await self._reaching_redis(self._end_orphan(turn))
            await asyncio.sleep(VOUCH_S)

    async def _end_orphan(self, turn: str) -> None:
        session = keys.session_of_turn(turn)
        fields = await self._services.turns.get(session, turn) if session else None
        if session and fields and fields["state"] == TurnState.RUNNING and turn not in self._producers:
            log.warning("turn %s of session %s lost its process: ended as interrupted", turn, session)
            problem = abandoned()
            number = EventId(await self._services.turns.raise_epoch(session, turn), 1)
            last = Entry(number, own_frame(number, "error", problem), last=True)
            ending = {"state": TurnState.FAILED.value, "problem": json.dumps(problem)}
            await self._services.turns.finish(
                session, turn, last, ending, appended=None, keep_journal_s=self._services.keep_journal_s
            )
        if turn not in self._producers:
            await self._services.turns.forget_running(turn)

    async def _hear_stops(self) -> None:
        while True:
            await self._reaching_redis(self._hear_stops_once())
            await asyncio.sleep(RETRY_S)

    async def _hear_stops_once(self) -> None:
        async for turn in self._services.turns.stops():
            if turn is not None:
                self._stop_here(turn)
                continue
            # Listening from here on: what was asked before has to be looked up.
            running = [(producer.session.id, turn) for turn, (producer, _) in self._producers.items()]
            for missed in await self._services.turns.asked_to_stop(running):
                self._stop_here(missed)

    async def _reaching_redis(self, work: Awaitable[T]) -> T | None:
        """What `work` gives, None when it failed: these loops go on, whatever happens."""
        try:
            return await work
        except StoreUnavailable:
            return None
        except Exception:
            log.exception("a step of keeping turns failed")
            return None
