"""One turn from acceptance, or from where another process left it, to its end: wait for the warm if there is one, ask,
write every event, close the books.

A call that breaks off in the middle is made again, within bounds, under a new epoch of the turn: before the reader saw any
text nobody notices; after, `restart` says that the text begins anew. A producer ends its turn exactly once, as done,
stopped or failed, together with what that adds to the transcript. When the journal refuses it (erased, or taken over), it
stops spending and writes nothing more.
"""

import asyncio
import json
import logging
import time
from enum import Enum, auto
from typing import Any

from app import tracing
from app.ledger.book import Call
from app.ledger.counters import Answered
from app.ledger.usage import Usage
from app.ledger.verdict import Verdict
from app.prompt.prefix import Transcript
from app.prompt.render import ask_tail
from app.store.connection import persistently
from app.store.sessions import SessionRecord
from app.store.turns import Entry, TurnState, event_id
from app.turns.answer import Answer
from app.turns.appending import append
from app.turns.attempt import Attempt
from app.turns.feed import Feed
from app.turns.frames import own_frame, upstream_frame
from app.turns.judging import judge_answer
from app.turns.problems import Problem, abandoned, internal_error, problem_of
from app.turns.replay import Replayed
from app.turns.services import Services
from app.upstream.errors import UpstreamError
from app.upstream.events import Event
from app.warm.expecting import Plan
from app.warm.prefixes import ContextGone

log = logging.getLogger("headstart.turn")

# Between attempts, doubled with each: long enough for an upstream that is overloaded, short enough for who waits.
PAUSE_S = 0.5

UNREAD = "unread"
_OUTCOMES = {TurnState.DONE: "ok", TurnState.STOPPED: "stopped"}


class Superseded(Exception):
    """The journal takes no more from us: the turn was erased, or has another producer."""


class Told(Enum):
    """What a producer was told while it worked; it is cancelled to hear it."""

    STOP = auto()  # end the turn: its reader wants no more
    STOP_UNREAD = auto()  # end the turn: nobody reads it
    LEAVE = auto()  # leave the turn to another process: this one ends
    LOST = auto()  # another process has the turn


class Producer:
    """Produces one accepted turn, whose journal is `feed`, under `epoch`. `so_far` is what readers have of it; `attempts`
    counts this one and those before it; `transcript` is the session's, if it was read already. Once it is `ending`, it must
    be left to end."""

    def __init__(
        self,
        services: Services,
        session: SessionRecord,
        turn: str,
        question: str,
        feed: Feed,
        *,
        asked_at: float,
        plan: Plan | None,
        transcript: Transcript | None = None,
        epoch: int = 0,
        attempts: int = 1,
        so_far: Replayed | None = None,
        told: Told | None = None,
    ) -> None:
        self.session = session
        self.turn = turn
        self.feed = feed
        self.epoch = epoch
        self.told = told
        self.ending = False
        self._services = services
        self._question = question
        self._asked_at = asked_at
        self._attempts = attempts
        self._attempt = Attempt(plan)
        self._last = event_id(epoch, 1)
        so_far = so_far or Replayed()
        self._answer: Answer = so_far.answer
        self._shown = so_far.shown
        self._transcript = transcript
        self._waited_s = 0.0

    async def run(self) -> None:
        """Produce until the turn has ended, or is another's."""
        try:
            with tracing.span("turn", self.session.id, self.session.digests[-1], turn=self.turn):
                await self._produce()
        except Exception:
            # A bug while ending it: the least that is owed is an end.
            log.exception("turn %s could not be ended well", self.turn)
            await persistently(lambda: self._finish(TurnState.FAILED, [], None, internal_error()))

    async def _produce(self) -> None:
        try:
            await self._answer_it()
            await self._end(TurnState.DONE)
        except asyncio.CancelledError:
            if self.ending:
                raise
            # Cancelled by us, to be told something: from here on this task goes on as any other.
            if self.told in (Told.STOP, Told.STOP_UNREAD):
                await self._end(TurnState.STOPPED)
            else:
                await self._leave()
        except Superseded:
            await self._leave()
        except (UpstreamError, ContextGone) as error:
            await self._end(TurnState.FAILED, problem_of(error))
        except Exception:
            log.exception("turn %s failed", self.turn)
            await self._end(TurnState.FAILED, internal_error())

    async def _answer_it(self) -> None:
        """Attempt until the answer is whole. Raises what the last attempt failed with."""
        if self._transcript is None:
            self._transcript = await persistently(lambda: self._services.prefixes.of(self.session))
        if len(self._transcript.ends) != len(self.session.digests) - 1:
            # Erased between the two: these are not the bytes that the session stands for.
            raise Superseded(self.turn)
        if self.told is not None:
            raise asyncio.CancelledError
        while not self._answer.whole:
            try:
                await self._ask()
            except UpstreamError as error:
                self._attempt.error = error
                await self._close_attempt(error.code)
                broke_off = self._attempt.streaming and error.retryable
                if not broke_off or self._attempts >= self._services.max_attempts:
                    raise
                log.warning("turn %s: attempt %d broke off: %s", self.turn, self._attempts, error.detail)
                await asyncio.sleep(PAUSE_S * 2 ** (self._attempts - 1))
                await self._begin_again()

    async def _begin_again(self) -> None:
        # What waits to be written belongs to the epoch that ends here.
        await self._services.journal.flush(self.feed)
        taken = await persistently(lambda: self._services.turns.take(self.session.id, self.turn, self.epoch))
        if taken is None:
            raise Superseded(self.turn)
        self.epoch, self._attempts = taken
        self._last = event_id(self.epoch, 1)
        self._attempt = Attempt(None)

    async def _ask(self) -> None:
        services, attempt, transcript = self._services, self._attempt, self._transcript
        assert transcript is not None
        coordinator = services.coordinator
        planned = attempt.plan
        if planned is None:
            planned = await persistently(lambda: coordinator.plan(self.session, again=True))
        plan = planned
        if planned.kind == "join":
            began = time.monotonic()
            plan = await persistently(lambda: coordinator.join(self.session, planned))
            self._waited_s += time.monotonic() - began
        attempt.plan = plan
        attempt.expected = await persistently(lambda: services.expecting.of(self.session, plan))
        prefix = transcript.prefix()
        tail = ask_tail(
            self._question,
            first=prefix.first,
            max_tokens=self.session.parameters["max_tokens"],
            diagnostics={"previous_message_id": self.session.last_message} if services.diagnose else None,
        )
        async with coordinator.holding(plan.digest, plan.fence):
            await self._stream(prefix.body(tail))

    async def _stream(self, body: bytes) -> None:
        services, attempt = self._services, self._attempt
        async with services.upstream.ask(body, stall_s=services.stall_s, first=self._open()) as flow:
            attempt.streaming = True
            await flow.into(self._take)

    def _take(self, event: Event) -> None:
        """Add `event` to the answer and to the journal."""
        shows_text = self._attempt.answer.take(event)
        begins = event.name == "message_start" and self._attempt.first_byte_at is None
        if begins:
            self._begun()
        self._keep(event, shows_text=shows_text)
        if begins:
            # After the event itself: who reads the answer need not wait until this is noted.
            noting = self._note_begun(self._attempt.plan, self._attempt.answer.usage, self._attempt.answer.message_id)
            self._attempt.noting = asyncio.create_task(noting, name=f"begun {self.turn}")

    async def _open(self) -> None:
        """Have the ledger know of the call that is about to be made."""
        attempt, plan = self._attempt, self._attempt.plan
        assert plan is not None
        opened = Call(
            kind="ask",
            model=self.session.parameters["model"],
            digest=plan.digest,
            context=self.session.context,
            owner=self.session.owner,
            session=self.session.id,
            turn=self.turn,
        )
        await self._services.ledger.open(opened)
        attempt.opened, attempt.called_at = opened, time.monotonic()

    def _keep(self, event: Event, *, shows_text: bool) -> None:
        """Journal `event`, and when it was the first of its kind."""
        attempt, feed = self._attempt, self.feed
        if attempt.answer.thinks and attempt.first_thinking_at is None:
            attempt.first_thinking_at = time.monotonic()
        if shows_text and attempt.first_text_at is None:
            attempt.first_text_at = time.monotonic()
            self._shown = True
        number = self._next_id()
        self._services.journal.put(feed, Entry(number, upstream_frame(number, event)))
        if feed.cut:
            raise Superseded(self.turn)

    def _begun(self) -> None:
        """The answer begins: the prefix is cached, and what an earlier attempt showed is over."""
        attempt = self._attempt
        attempt.first_byte_at = time.monotonic()
        if self._shown:
            number = self._next_id()
            restart = own_frame(number, "restart", {"turn": self.turn})
            self._services.journal.put(self.feed, Entry(number, restart))
        self._answer, self._shown = attempt.answer, False

    async def _note_begun(self, plan: Plan | None, usage: Usage, message_id: str | None) -> None:
        """Have everyone know that the prefix is cached, and that the upstream answers."""
        coordinator = self._services.coordinator
        assert plan is not None
        await asyncio.gather(
            persistently(lambda: coordinator.wrote(self.session, plan, usage, message_id)),
            persistently(lambda: coordinator.heard(None)),
        )

    def _next_id(self) -> int:
        self._last += 1
        return self._last

    async def _close_attempt(self, outcome: str) -> None:
        """Let go of what the attempt holds, and enter its call, once."""
        attempt, coordinator = self._attempt, self._services.coordinator
        error, plan = attempt.error, attempt.plan
        if attempt.closed:
            return
        if attempt.noting is not None:
            noting, attempt.noting = attempt.noting, None
            await noting
        if error is not None:
            await persistently(lambda: coordinator.heard(error))
        if plan is not None and attempt.first_byte_at is None:
            await persistently(lambda: coordinator.release(plan, error))
        call = attempt.call(outcome)
        if call is not None:
            await persistently(lambda: self._services.ledger.record(call))
        attempt.closed = True

    async def _end(self, state: TurnState, problem: Problem | None = None) -> None:
        """Close the books, then the turn; each step once Redis is there to take it."""
        self.ending = True
        blocks = self._answer.blocks(partial=state is not TurnState.DONE)
        await self._close_attempt(problem["code"] if problem else _OUTCOMES[state])
        answered = state is TurnState.DONE or (state is TurnState.STOPPED and self._answer.usage.reported)
        verdict = await persistently(self._judge) if answered else None
        await self._services.journal.flush(self.feed)
        await persistently(lambda: self._finish(state, blocks, verdict, problem))
        tracing.note(state=problem["code"] if problem else state, cache=verdict.cache if verdict else None)
        log.info("turn %s of session %s: %s", self.turn, self.session.id, problem["code"] if problem else state)

    async def _leave(self) -> None:
        """End without an end: another process has the turn, or is to take it."""
        self.ending = True
        await self._close_attempt("handed_over" if self.told is Told.LEAVE else abandoned()["code"])
        await self._services.journal.flush(self.feed)
        if self.told is Told.LEAVE:
            await persistently(lambda: self._services.turns.hand_over(self.session.id, self.turn, self.epoch))
        self._services.journal.end(self.feed, None)
        log.info("turn %s of session %s: left to another process", self.turn, self.session.id)

    async def _judge(self) -> Verdict:
        timing = self._attempt.timing(self._asked_at, self._waited_s)
        return await judge_answer(self._services, self.session, self._attempt, self._answer, timing)

    async def _finish(
        self, state: TurnState, blocks: list[dict[str, Any]], verdict: Verdict | None, problem: Problem | None
    ) -> None:
        judged = verdict.as_json() if verdict else None
        fields = {"state": state.value, "answer": json.dumps(blocks)}
        if self.told is Told.STOP_UNREAD:
            fields["stopped"] = UNREAD
        if judged is not None:
            fields["verdict"] = json.dumps(judged)
        if problem is not None:
            fields["problem"] = json.dumps(problem)
        if state is TurnState.STOPPED:
            name, data = "stopped", {"turn": self.turn, "reason": fields.get("stopped"), "verdict": judged}
        else:
            name, data = ("error", problem) if problem else ("verdict", judged or {})
        number = self._last + 1
        last = Entry(number, own_frame(number, name, data), last=True)
        appended = None
        if self._transcript is not None and problem is None:
            appended = await append(self._transcript, self._question, blocks, self._answer.message_id)
        if appended is not None and self._transcript is not None:
            fields["complete"] = str(len(self._transcript.ends) + 1)
        ended = await self._services.turns.finish(
            self.session.id,
            self.turn,
            last,
            fields,
            appended=appended,
            keep_journal_s=self._services.keep_journal_s,
        )
        if ended:
            if verdict is not None and state is TurnState.DONE:
                thinking_ms = self._attempt.thinking_ms(self._asked_at)
                answered = Answered(self.turn, self.session.context, verdict, thinking_ms)
                await self._services.ledger.record_verdict(answered)
            await self._services.turns.forget_running(self.turn)
        self._services.journal.end(self.feed, last if ended else None)
