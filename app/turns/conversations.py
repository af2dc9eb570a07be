"""Sessions: made over a context, looked at, forked, erased."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

from app.models import find_model, refusal
from app.prompt.context import InvalidContext, Parameters, Ttl
from app.prompt.parameters import check_pages, check_parameters
from app.prompt.prefix import Transcript, append_turn
from app.prompt.render import UNSEEN
from app.store import keys
from app.store.sessions import SessionRecord, Sessions
from app.store.turns import Turns, TurnState, rating_of
from app.turns.answer import thinking_text, visible_text
from app.turns.met import Met
from app.turns.retention import Retention
from app.warm.prefixes import Prefixes

# A stored session, as the rooms above know it.
Session = SessionRecord


class InvalidModel(ValueError):
    """The model may not be asked here, or does not take the parameters of the context that is to be asked with it."""


def _with_model(parameters: Parameters, model: str, pages: int) -> Parameters:
    """`parameters` for `model`, of a context with so many `pages` of PDF. Raises `InvalidModel`."""
    if (refused := refusal(model)) is not None:
        raise InvalidModel(refused)
    if model != parameters.model:
        parameters = replace(parameters, model=model)
        try:
            check_parameters(parameters, find_model(model))
            check_pages(pages, find_model(model))
        except InvalidContext as error:
            raise InvalidModel(str(error)) from None
    return parameters


class UnknownSession(LookupError):
    """There is no such session, or it is not the asker's: to them, it does not exist."""


class NoSuchTurn(LookupError):
    """The session has no complete turn of that number."""


@dataclass(frozen=True, slots=True)
class TurnView:
    """A turn as it is shown: `answer` and `thinking` are text, partial for a turn that was broken off; `stopped` says why
    one was stopped that nobody asked to stop."""

    turn: str
    number: int
    state: TurnState
    question: str
    answer: str
    thinking: str
    verdict: dict[str, Any] | None
    problem: dict[str, Any] | None
    stopped: str | None
    asked_ms: int
    model: str | None
    """The one that answered, where the turn was copied from a session with another one; else the session's did."""
    rating: str | None

    @property
    def came_to_nothing(self) -> bool:
        """Whether it failed before it had any text."""
        return self.state is TurnState.FAILED and not self.answer


class Conversations:
    """The sessions of all owners."""

    def __init__(
        self,
        sessions: Sessions,
        turns: Turns,
        prefixes: Prefixes,
        lifetime: Callable[[str, Parameters], Awaitable[Ttl]],
        retention: Retention,
        met: Met,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sessions = sessions
        self._turns = turns
        self._prefixes = prefixes
        self._lifetime = lifetime
        self._retention = retention
        self._met = met
        self._clock = clock

    async def create(
        self,
        owner: str,
        context: str,
        context_name: str,
        parameters: Parameters,
        *,
        model: str | None = None,
        isolated: bool = False,
    ) -> SessionRecord:
        """A new session over `context`, asked with `parameters`, or with those and another `model`.

        Raises `ContextGone`, and `InvalidModel` when the model may not be asked here, or does not take the parameters.
        """
        pdf_bytes, pages = await self._prefixes.pdfs(context)
        parameters = _with_model(parameters, model or parameters.model, pages)
        ttl = await self._lifetime(context, parameters)
        session = keys.new_session_id()
        isolation = _isolation_of(session) if isolated else None
        opening = await self._prefixes.opening(context, parameters, isolation)
        record = SessionRecord(
            id=session,
            owner=owner,
            context=context,
            context_name=context_name,
            isolation=isolation,
            parameters=asdict(replace(parameters, ttl=ttl)),
            created_ms=round(self._clock() * 1000),
            breakpoints=0,
            digests=(),
            sizes=(),
            running=None,
            pdf_bytes=pdf_bytes,
            pages=pages,
            family=keys.trace(session),
        )
        record = await self._measured(record, Transcript(opening, b"", (), ttl))
        await self._sessions.create(record)
        return record

    async def get(self, session: str, owner: str) -> SessionRecord:
        """The session, if it is `owner`'s. Raises `UnknownSession`."""
        record = await self._sessions.get(session) if keys.is_session_id(session) else None
        if record is None or record.owner != owner:
            raise UnknownSession(session)
        if record.running is not None:
            self._met.note(record.running)
        await self._retention.used(session)
        if record.copy_of is not None:
            # It goes with what it is a copy of, which is therefore not to go before it.
            await self._retention.used(record.copy_of)
        return record

    async def turns_of(self, record: SessionRecord) -> list[TurnView]:
        """Every turn of the session, in order."""
        return [view_turn(fields) for fields in await self._turns.of_session(record.id)]

    async def fork(
        self, record: SessionRecord, after_turn: int, *, model: str | None = None, isolated: bool = False
    ) -> SessionRecord:
        """A new session that shares the prefix up to and including turn `after_turn` (0: only the context). One for another
        `model` says the same over a prefix of that one's; an `isolated` one, over a prefix that nobody shares: it is no
        branch but a copy, in no list, and erased with `record`.

        Raises `NoSuchTurn` when that turn added nothing to the transcript, `ContextGone`, `InvalidModel` as `create` does,
        and `UnknownSession` when `record` was erased before its copy was made.
        """
        parameters = Parameters(**record.parameters)
        own = parameters.model
        if model is not None and model != own:
            parameters = _with_model(parameters, model, record.pages)
        # In this order: a turn that ends meanwhile is not one that counts as complete and is missing from the transcript.
        turns = (await self._turns.of_session(record.id))[:after_turn]
        transcript = await self._prefixes.of(record)
        if len(turns) < after_turn or any(turn["state"] == TurnState.RUNNING for turn in turns):
            raise NoSuchTurn(after_turn)
        complete = max((int(turn.get("complete", 0)) for turn in turns), default=0)
        forked = replace(
            record,
            id=keys.new_session_id(),
            parameters=asdict(parameters),
            created_ms=round(self._clock() * 1000),
            digests=record.digests[:complete],
            sizes=record.sizes[:complete],
            running=None,
            parent=keys.trace(record.id),
            shared=(*record.shared, *(keys.trace(turn["turn"]) for turn in turns[len(record.shared) :]))[:after_turn],
            copy_of=None,
            link=None,
        )
        if isolated:
            isolation, family = _isolation_of(forked.id), keys.trace(forked.id)
            forked = replace(forked, isolation=isolation, family=family, parent=None, shared=(), copy_of=record.id)
        if isolated or parameters.model != own:
            opening = await self._prefixes.opening(record.context, parameters, forked.isolation)
            transcript = await asyncio.to_thread(_retold, Transcript(opening, b"", (), transcript.ttl), turns)
            forked = replace(forked, digests=(), sizes=())
            # Who answered them stays known.
            turns = [{"model": own, **turn} for turn in turns]
        for count in range(len(forked.digests), complete + 1):
            forked = await self._measured(forked, transcript.until(count))
        shared = transcript.until(complete)
        if isolated:
            # Before it is there, so that none is left that nothing leads to; and after, should it have come too late.
            await self._note_copy(record, forked)
        await self._sessions.create(forked, shared.turns, [end.as_list() for end in shared.ends])
        await self._turns.copy(forked.id, turns)
        if isolated:
            await self._note_copy(record, forked)
        else:
            # When it has everything: nobody is to be led to half a branch.
            await self._sessions.relate(record, forked)
        return forked

    async def with_copies(self, record: SessionRecord) -> list[SessionRecord]:
        """What goes when the session is erased: its copies, and theirs, and it."""
        copies = [await self.with_copies(copy) for copy in await self._sessions.copies(record)]
        return [*chain.from_iterable(copies), record]

    async def erase(self, record: SessionRecord) -> None:
        """Erase the session with its transcript, turns and journals, and its copies with it."""
        await self._sessions.erase(record)

    async def _note_copy(self, original: SessionRecord, copy: SessionRecord) -> None:
        """Have `copy` be erased with `original`; at once, when that is gone. Raises `UnknownSession` then."""
        if not await self._sessions.note_copy(original.id, copy.id):
            await self._sessions.erase(copy)
            raise UnknownSession(original.id)

    async def _measured(self, record: SessionRecord, transcript: Transcript) -> SessionRecord:
        """`record` with its current prefix's digest, size and breakpoints."""
        prefix = transcript.prefix()
        digest = await asyncio.to_thread(lambda: prefix.digest)
        return replace(
            record,
            breakpoints=prefix.breakpoints,
            digests=(*record.digests, digest),
            sizes=(*record.sizes, prefix.size),
        )


def _retold(transcript: Transcript, turns: list[dict[str, str]]) -> Transcript:
    """`transcript`, an opening, with the complete ones of `turns`. Without their thinking: its signatures are good only
    after the prefix that it was thought after, and to the model that thought it."""
    for turn in turns:
        blocks = [block for block in json.loads(turn.get("answer", "[]")) if block["type"] not in UNSEEN]
        if "complete" in turn and (appended := append_turn(transcript, turn["question"], blocks)):
            added, end = appended
            transcript = replace(transcript, turns=transcript.turns + added, ends=(*transcript.ends, end))
    return transcript


def _isolation_of(session: str) -> str:
    return session.removeprefix(keys.SESSION_PREFIX)


def view_turn(fields: dict[str, str]) -> TurnView:
    """A stored turn as it is shown."""
    blocks = json.loads(fields.get("answer", "[]"))
    return TurnView(
        turn=fields["turn"],
        number=int(fields["number"]),
        state=TurnState(fields["state"]),
        question=fields["question"],
        answer=visible_text(blocks),
        thinking=thinking_text(blocks),
        verdict=json.loads(fields["verdict"]) if "verdict" in fields else None,
        problem=json.loads(fields["problem"]) if "problem" in fields else None,
        stopped=fields.get("stopped"),
        asked_ms=int(fields["asked_ms"]),
        model=fields.get("model"),
        rating=rating_of(fields) or None,
    )
