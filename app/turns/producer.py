"""One turn from acceptance to its end: wait for the warm if there is one, ask, write every event, close the books.

A producer ends its turn exactly once, as done, stopped or failed, together with what that adds to the transcript. When
the journal refuses it (erased, or taken over), it stops spending and writes nothing more.
"""

import asyncio
import json
import logging
import time
from dataclasses import dataclass, replace
from typing import Any

from app.ledger.book import Call, Ledger
from app.ledger.counters import Answered
from app.ledger.verdict import Expectation, Timing, judge
from app.prompt.prefix import Transcript, append_turn
from app.prompt.render import ask_tail
from app.store.connection import StoreUnavailable, persistently
from app.store.sessions import SessionRecord
from app.store.turns import Appended, Entry, EventId, Turns, TurnState
from app.turns.answer import Answer
from app.turns.frames import own_frame, upstream_frame
from app.turns.journal import Feed, Journal
from app.turns.problems import Problem, abandoned, internal_error, problem_of
from app.upstream.client import Upstream
from app.upstream.errors import UpstreamError
from app.warm.coordinator import Coordinator, Plan
from app.warm.prefixes import ContextGone, Prefixes

log = logging.getLogger("headstart.turn")

_OUTCOMES = {TurnState.DONE: "ok", TurnState.STOPPED: "stopped"}


@dataclass(frozen=True, slots=True)
class Services:
    """What every producer of a process works with. `diagnose` says that the upstream has cache diagnostics."""

    turns: Turns
    journal: Journal
    coordinator: Coordinator
    prefixes: Prefixes
    ledger: Ledger
    upstream: Upstream
    keep_journal_s: int
    diagnose: bool


class Superseded(Exception):
    """The journal takes no more from us: the turn was erased, or has another producer."""


class Producer:
    """Produces one accepted turn. Once it is `ending`, it must be left to end."""

    def __init__(
        self,
        services: Services,
        session: SessionRecord,
        turn: str,
        question: str,
        plan: Plan,
        feed: Feed,
        started: float,
    ) -> None:
        self.session = session
        self.turn = turn
        self.stopping = False
        self.ending = False
        self._services = services
        self._question = question
        self._plan = plan
        self._feed = feed
        self._epoch = 0
        self._sequence = 1
        self._answer = Answer()
        self._transcript: Transcript | None = None
        self._expected = Expectation(0, None)
        self._started = started
        self._waited_s = 0.0
        self._opened: Call | None = None
        self._called_at: float | None = None
        self._first_byte_at: float | None = None
        self._first_thinking_at: float | None = None
        self._first_text_at: float | None = None
        self._error: UpstreamError | None = None

    async def run(self) -> None:
        """Produce until the turn has ended."""
        try:
            await self._produce()
        except Exception:
            # A bug while ending it: the least that is owed is an end.
            log.exception("turn %s could not be ended well", self.turn)
            await persistently(lambda: self._finish(TurnState.FAILED, [], None, internal_error()))
            await persistently(lambda: self._services.turns.forget_running(self.turn))

    async def _produce(self) -> None:
        try:
            await self._ask()
            await self._end(TurnState.DONE)
        except asyncio.CancelledError:
            if self.ending:
                raise
            # Cancelled by us, to end the turn: from here on this task goes on as any other.
            await (self._end(TurnState.STOPPED) if self.stopping else self._end(TurnState.FAILED, abandoned()))
        except Superseded:
            await self._end(TurnState.FAILED, abandoned())
        except (UpstreamError, ContextGone, StoreUnavailable) as error:
            self._error = error if isinstance(error, UpstreamError) else None
            await self._end(TurnState.FAILED, problem_of(error))
        except Exception:
            log.exception("turn %s failed", self.turn)
            await self._end(TurnState.FAILED, internal_error())

    async def _ask(self) -> None:
        services = self._services
        if self._plan.kind == "join":
            self._plan = await services.coordinator.join(self.session, self._plan)
            self._waited_s = time.monotonic() - self._started
        self._expected = await services.coordinator.expectation(self.session, self._plan)
        self._transcript = await services.prefixes.of(self.session)
        prefix = self._transcript.prefix()
        tail = ask_tail(
            self._question,
            first=prefix.first,
            max_tokens=self.session.parameters["max_tokens"],
            diagnostics={"previous_message_id": self.session.last_message} if services.diagnose else None,
        )
        async with services.coordinator.holding(self._plan.digest, self._plan.fence):
            await self._stream(prefix.body(tail))

    async def _stream(self, body: bytes) -> None:
        opened = Call(
            kind="ask",
            model=self.session.parameters["model"],
            digest=self._plan.digest,
            context=self.session.context,
            owner=self.session.owner,
            session=self.session.id,
            turn=self.turn,
        )
        await self._services.ledger.open(opened)
        self._opened, self._called_at = opened, time.monotonic()
        async with self._services.upstream.ask(body) as events:
            async for event in events:
                shows_text = self._answer.take(event)
                if event.name == "message_start":
                    self._first_byte_at = time.monotonic()
                    await self._begun()
                if self._answer.thinks and self._first_thinking_at is None:
                    self._first_thinking_at = time.monotonic()
                if shows_text and self._first_text_at is None:
                    self._first_text_at = time.monotonic()
                self._sequence += 1
                number = EventId(self._epoch, self._sequence)
                self._services.journal.put(self._feed, Entry(number, upstream_frame(number, event)))
                if self._feed.cut:
                    raise Superseded(self.turn)

    async def _begun(self) -> None:
        plan, answer, coordinator = self._plan, self._answer, self._services.coordinator
        await persistently(lambda: coordinator.wrote(self.session, plan, answer.usage, answer.message_id))
        await persistently(lambda: coordinator.heard(None))
        self._plan = replace(plan, fence=None)

    async def _end(self, state: TurnState, problem: Problem | None = None) -> None:
        """Close the books, then the turn; each step once Redis is there to take it."""
        self.ending = True
        blocks = self._answer.blocks(partial=state is not TurnState.DONE)
        await persistently(self._release)
        call = self._call(problem["code"] if problem else _OUTCOMES[state])
        if call is not None:
            await persistently(lambda: self._services.ledger.record(call))
        verdict = await persistently(self._judge) if state is TurnState.DONE else None
        await self._services.journal.flush()
        await persistently(lambda: self._finish(state, blocks, verdict, problem))
        await persistently(lambda: self._services.turns.forget_running(self.turn))
        log.info("turn %s of session %s: %s", self.turn, self.session.id, problem["code"] if problem else state)

    async def _release(self) -> None:
        if self._error is not None:
            await self._services.coordinator.heard(self._error)
        if self._first_byte_at is None:
            await self._services.coordinator.release(self._plan, self._error)

    def _call(self, outcome: str) -> Call | None:
        """The call for the ledger; None when none was made."""
        if self._opened is None or self._called_at is None:
            return None
        return replace(
            self._opened,
            usage=self._answer.usage,
            first_byte_s=self._first_byte_at - self._called_at if self._first_byte_at else None,
            duration_s=time.monotonic() - self._called_at,
            outcome=outcome,
            message_id=self._answer.message_id,
        )

    async def _judge(self) -> dict[str, Any]:
        model = self.session.parameters["model"]
        pace = await self._services.ledger.pace(model)
        self._expected = await self._services.coordinator.explain(self.session, self._plan, self._expected)
        verdict = judge(
            model,
            self._answer.usage,
            self._expected,
            self._timing(),
            message_id=self._answer.message_id,
            seconds_per_token=pace.seconds_per_token if pace else None,
            diagnosed=self._answer.diagnosed,
        )
        thinking_ms = self._since(self._first_thinking_at)
        answered = Answered(self.turn, self.session.context, verdict, thinking_ms)
        await self._services.ledger.record_verdict(answered)
        return verdict.as_json()

    async def _finish(
        self, state: TurnState, blocks: list[dict[str, Any]], verdict: dict[str, Any] | None, problem: Problem | None
    ) -> None:
        fields = {"state": state.value, "answer": json.dumps(blocks)}
        if verdict is not None:
            fields["verdict"] = json.dumps(verdict)
        if problem is not None:
            fields["problem"] = json.dumps(problem)
        name, data = (
            ("error", problem) if problem else ("verdict", verdict) if verdict else ("stopped", {"turn": self.turn})
        )
        number = EventId(self._epoch, self._sequence + 1)
        last = Entry(number, own_frame(number, name, data), last=True)
        appended = None if problem else await self._appended(blocks)
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
        self._services.journal.end(self._feed, last if ended else None)

    def _timing(self) -> Timing:
        return Timing(
            waited=round(self._waited_s * 1000),
            first_byte=self._since(self._first_byte_at) or 0,
            first_text=self._since(self._first_text_at),
            total=self._since(time.monotonic()) or 0,
        )

    def _since(self, moment: float | None) -> int | None:
        """Milliseconds from when the turn was accepted to `moment`."""
        return None if moment is None else round((moment - self._started) * 1000)

    async def _appended(self, blocks: list[dict[str, Any]]) -> Appended | None:
        if self._transcript is None:
            return None
        added = append_turn(self._transcript, self._question, blocks)
        if added is None:
            return None
        turns, end = added
        grown = replace(self._transcript, turns=self._transcript.turns + turns, ends=(*self._transcript.ends, end))
        prefix = grown.prefix()
        digest = await asyncio.to_thread(lambda: prefix.digest)
        return Appended(turns, end.as_list(), digest, prefix.size, prefix.breakpoints, self._answer.message_id)
