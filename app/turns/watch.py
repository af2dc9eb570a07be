"""What keeps turns going, and keeps them from going on for nobody.

Every process vouches in the store for the turns that it produces, and looks for those that nobody vouches for any more:
their process died, hangs, lost Redis, or left them on purpose. Whoever finds one goes on with it. Those that somebody
meets running are among those that are looked for, whatever Redis has lost. Turns that nobody reads are stopped, and so are
those that somebody wants stopped, in whichever process.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.store import keys
from app.store.connection import StoreUnavailable, relinquish
from app.store.turns import Entry, TurnState, event_id
from app.turns.frames import own_frame
from app.turns.problems import abandoned
from app.turns.producer import Producer, Told
from app.turns.replay import Replayed, replay
from app.turns.running import Running
from app.turns.services import Services
from app.upstream.errors import UpstreamError

log = logging.getLogger("headstart.turn")

# A process that is gone is noticed within VOUCHED_MS and LOOK_S; five seconds are promised.
VOUCH_S = 1.0
VOUCHED_MS = 3_000
LOOK_S = 0.5
# Longer than any process pauses between two looks, shorter than what is left of VOUCHED_MS when Redis goes away.
PATIENCE_MS = 1_500
# Whoever asked is gone by then: an answer would be paid for and not read.
STALE_MS = 10 * 60 * 1000
TAILED_S = 5.0
RETRY_S = 1.0

T = TypeVar("T")


class Watch:
    """Watches over turns. Stops those that nobody reads for `unread_s` seconds; 0 lets them run. `clock` is the time."""

    def __init__(self, services: Services, running: Running, *, unread_s: float, clock: Callable[[], float]) -> None:
        self._services = services
        self._running = running
        self._unread_s = unread_s
        self._clock = clock
        self._adopting = True
        self._marks_count_from = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to watch."""
        steps = [
            (self._vouch, VOUCH_S),
            (self._hear_how_they_stand, VOUCH_S),
            (self._watch_those_met, LOOK_S),
            (self._look, LOOK_S),
            (self._hear_stops, RETRY_S),
            (self._mark_tailed, TAILED_S),
        ]
        if self._unread_s:
            steps.append((self._stop_unread, VOUCH_S))
        self._tasks = [asyncio.create_task(self._repeat(step, pause_s)) for step, pause_s in steps]

    def stop_adopting(self) -> None:
        """Take no turns over any more."""
        self._adopting = False

    async def close(self) -> None:
        """Stop watching."""
        await relinquish(self._tasks)

    async def _repeat(self, step: Callable[[], Awaitable[None]], pause_s: float) -> None:
        """Take `step` for ever, whatever happens."""
        while True:
            try:
                await step()
            except StoreUnavailable:
                self._distrust_marks()
            except Exception:
                log.exception("a step of watching over turns failed")
            await asyncio.sleep(pause_s)

    def _distrust_marks(self) -> None:
        """Nobody could say that a turn is read, and it takes a while until everybody has said so again."""
        self._marks_count_from = time.monotonic() + 2 * TAILED_S

    async def _vouch(self) -> None:
        """Say that our turns are being produced. Apart from all that looks at them: in a cluster, the part that they are in
        may be away while the list of those that run is not, and others would take them."""
        kept = [producer.turn for producer in self._running if producer.told not in (Told.LOST, Told.LEAVE)]
        if kept:
            await self._services.turns.vouch(kept, VOUCHED_MS)

    async def _hear_how_they_stand(self) -> None:
        """Hear of our turns that we lost, or that somebody wants stopped."""
        ours = {producer.turn: producer for producer in self._running if not producer.ending}
        if not ours:
            return
        standing = await self._services.turns.stand([(producer.session.id, turn) for turn, producer in ours.items()])
        for stands in standing:
            if stands.epoch is None or stands.epoch > ours[stands.turn].epoch:
                self._running.tell(stands.turn, Told.LOST)
            elif stands.stop:
                self._running.tell(stands.turn, Told.STOP)
        if len(standing) < len(ours):
            self._distrust_marks()

    async def _watch_those_met(self) -> None:
        """See to it that those who produce what was met running are heard of."""
        await self._services.met.watch(VOUCHED_MS)

    async def _look(self) -> None:
        """Go on with turns whose process is gone: some at a time, as a process that is gone may have had hundreds."""
        away = None
        while self._adopting:
            ours_until = time.monotonic() + VOUCHED_MS / 1000
            orphans = await self._services.turns.adopt_orphans(VOUCHED_MS, PATIENCE_MS)
            if not orphans:
                break
            others = [turn for turn in orphans if turn not in self._running]
            adopted = await asyncio.gather(
                *(self._adopt(turn, orphans[turn], ours_until) for turn in others), return_exceptions=True
            )
            # The others are not to wait for one that nobody can take, or whose part of Redis is away.
            for turn, error in zip(others, adopted, strict=True):
                if isinstance(error, StoreUnavailable):
                    away = error
                elif error is not None:
                    log.error("turn %s could not be taken over", turn, exc_info=error)
        if away is not None:
            raise away

    async def _adopt(self, turn: str, late_ms: int, ours_until: float) -> None:
        services, session = self._services, keys.session_of_turn(turn)
        fields = await services.turns.get(session, turn) if session else None
        record = await services.sessions.get(session) if session else None
        if session is None or fields is None or record is None or fields["state"] != TurnState.RUNNING:
            await services.turns.forget_running(turn)
            return
        if time.monotonic() > ours_until:
            # We were away for so long that another process may have the turn in that very epoch.
            return
        taken = await services.turns.take(session, turn, int(fields["epoch"]))
        if taken is None:
            return
        epoch, attempts = taken
        await services.turns.vouch([turn], VOUCHED_MS)
        if attempts > services.max_attempts or late_ms > STALE_MS:
            await self._give_up(session, turn, epoch)
            return
        log.warning("turn %s of session %s lost its process: attempt %d is made here", turn, session, attempts)
        feed = await services.journal.adopt(session, turn)
        so_far = await asyncio.to_thread(_replayed, list(feed.frames))
        if not self._adopting or turn in self._running:
            # We are about to end; or it was accepted here, and has just been begun, under an epoch that is over.
            await services.turns.hand_over(session, turn, epoch)
            services.journal.end(feed, None)
            return
        producer = Producer(
            services,
            record,
            turn,
            fields["question"],
            feed,
            asked_at=time.monotonic() - (self._clock() - int(fields["asked_ms"]) / 1000),
            plan=None,
            epoch=epoch,
            attempts=attempts,
            so_far=so_far,
            told=Told.STOP if "stop" in fields else None,
        )
        self._running.start(producer)

    async def _give_up(self, session: str, turn: str, epoch: int) -> None:
        """End a turn that was begun too often, or too long ago."""
        log.warning("turn %s of session %s lost its process: ended as interrupted", turn, session)
        turns, problem, number = self._services.turns, abandoned(), event_id(epoch, 2)
        last = Entry(number, own_frame(number, "error", problem), last=True)
        so_far = await asyncio.to_thread(_replayed, [entry.frame for entry in await turns.read(session, turn, 0)])
        fields = {
            "state": TurnState.FAILED.value,
            "problem": json.dumps(problem),
            "answer": json.dumps(so_far.answer.blocks(partial=True)),
        }
        await turns.finish(session, turn, last, fields, appended=None, keep_journal_s=self._services.keep_journal_s)
        await turns.forget_running(turn)

    async def _hear_stops(self) -> None:
        async for turn in self._services.turns.stops():
            if turn is not None:
                self._running.tell(turn, Told.STOP)

    async def _mark_tailed(self) -> None:
        """Say which turns of other processes our clients read: their readers meet them all the time."""
        for turn in await self._services.journal.mark_tailed():
            self._services.met.note(turn)

    async def _stop_unread(self) -> None:
        if time.monotonic() < self._marks_count_from:
            return
        unread = [
            (producer.session.id, producer.turn)
            for producer in self._running
            if producer.told is None and producer.feed.unread_for() > self._unread_s
        ]
        for turn in await self._services.turns.untailed(unread) if unread else []:
            log.info("turn %s is read by nobody: stopped", turn)
            self._running.tell(turn, Told.STOP_UNREAD)


def _replayed(frames: list[bytes]) -> Replayed:
    try:
        return replay(frames)
    except UpstreamError:
        # It was understood when it was written, by another version of us: then all that counts is that text was there.
        return Replayed(shown=True)
