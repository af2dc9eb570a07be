"""/api/sessions: conversations, warming them, asking them."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from app import tracing
from app.contexts.library import usable_model
from app.turns.asking import Draining
from app.turns.conversations import Session
from app.warm.state import WarmRecord, warm_json
from app.web import answers
from app.web.description import gives, problems, streams
from app.web.finding import title_of, told
from app.web.live import with_html
from app.web.problems import invalid
from app.web.rooms import Asker, InRooms, Rooms, UntilSent, Visiting
from app.web.schemas import KEY, AskBody, ForkBody, Index, Render, SessionBody, WarmBody, link_json, session_json
from app.web.streams import EventStream, event_stream

router = APIRouter(prefix="/api/sessions", tags=["sessions"])

_OF_A_SESSION = ("show", "warm", "ask", "fork", "erase")
_BEGUN = gives(
    201,
    answers.Session,
    "The session.",
    location="session",
    links={
        name: {"operationId": f"{name}_session", "parameters": {"session": "$response.body#/session"}}
        for name in _OF_A_SESSION
    },
)
_ASKED = streams("The answer, as it comes.", links=("tail", "stop"))
_MISSING = ("session_not_found",)

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=KEY,
        description="Of your own, for one question in its session: sent again after a lost answer, it is asked once.",
    ),
]
WithBranches = Annotated[bool, Query(description="Erase what is joined to it by forks, too.")]


@router.post(
    "",
    status_code=201,
    response_model=None,
    responses=_BEGUN
    | problems("invalid_request", "context_not_found", "context_gone", "body_too_large", "limit_reached"),
)
async def create_session(body: SessionBody, rooms: InRooms, visitor: Visiting, response: Response) -> dict[str, Any]:
    """Begin a conversation over a context. Spends nothing."""
    context = await rooms.library.get(body.context, visitor.owner)
    async with rooms.limits.beginning(visitor):
        session = await rooms.conversations.create(
            visitor.owner,
            context.id,
            context.name,
            context.parameters,
            model=body.model or usable_model(context),
            isolated=body.isolation == "session",
        )
    return await _begun(rooms, session, response)


@router.get(
    "/{session}",
    response_model=None,
    responses=gives(200, answers.Conversation, "The session and its turns.") | problems(*_MISSING, "invalid_request"),
)
async def show_session(session: str, rooms: InRooms, asker: Asker, render: Render = "") -> dict[str, Any]:
    """A conversation with all its turns."""
    found = await rooms.conversations.get(session, asker)
    turns = await rooms.conversations.turns_of(found)
    branches = await rooms.finding.branches(found)
    turns_told = told(found, turns, branches)
    if render == "html":
        rendered = await rooms.rendered.of_session(found.id)
        turns_told = [turn | {"html": rendered.get(turn["turn"], [])} for turn in turns_told]
    forked = {"session": branches.parent, "after_turn": branches.after_turn} if branches.parent else None
    return await _shown(rooms, found) | {
        "title": title_of(found, turns),
        "forked_from": forked,
        "link": link_json(found.link) if found.link and rooms.shares else None,
        "linked_branches": branches.linked if rooms.shares else [],
        "turns": turns_told,
    }


@router.get(
    "/{session}/documents/{number}",
    response_model=None,
    responses=gives(200, answers.Passage, "The passage.")
    | problems(*_MISSING, "document_not_found", "invalid_request"),
)
async def show_passage(
    session: str, number: Index, rooms: InRooms, asker: Asker, start: Index = 0, end: Index = 0
) -> dict[str, Any]:
    """What a citation points to: characters of a document of the session's context, with the text around them."""
    found = await rooms.conversations.get(session, asker)
    return asdict(await rooms.library.passage(found.context, number, start, end))


@router.delete(
    "/{session}",
    status_code=204,
    response_description="Erased.",
    responses=problems(*_MISSING, "invalid_request"),
)
async def erase_session(session: str, rooms: InRooms, asker: Asker, branches: WithBranches = False) -> Response:
    """Erase a conversation: its transcript, its turns and their journals, and its copies with it."""
    found = await rooms.conversations.get(session, asker)
    for each in await rooms.finding.relatives(found) if branches else [found]:
        for one in await rooms.conversations.with_copies(each):
            if one.running is not None:
                await rooms.asking.stop(one.running, asker)
            await rooms.conversations.erase(one)
    return Response(status_code=204)


@router.post(
    "/{session}/warm",
    status_code=202,
    response_model=None,
    responses=gives(202, answers.Warmed, "What is known of the cache entry now.")
    | problems(*_MISSING, "invalid_request", "body_too_large", "shutting_down"),
)
async def warm_session(
    session: str, request: Request, rooms: InRooms, visitor: Visiting, body: WarmBody | None = None
) -> dict[str, Any]:
    """Have the cache written that the next question will need. Answers at once, with `wait` when that has ended; before,
    with `warming`, when it takes too long, or when the server is about to end."""
    found = await rooms.conversations.get(session, visitor.owner)
    if rooms.asking.draining:
        raise Draining
    wanted = body or WarmBody()
    address = request.client.host if request.client else ""
    with tracing.span("warm", found.id, found.digests[-1], trigger=wanted.trigger):
        record = await rooms.coordinator.warm(
            found,
            trigger=wanted.trigger,
            address=address,
            wait=wanted.wait,
            may_spend=lambda: rooms.limits.has_money(visitor),
        )
        tracing.note(state=record.state.value, reason=record.reason)
    return {"warm": await _warm(rooms, found, record)}


@router.post(
    "/{session}/ask",
    response_class=EventStream,
    responses=_ASKED
    | problems(
        *_MISSING,
        "turn_not_found",
        "context_gone",
        "turn_running",
        "key_used",
        "invalid_request",
        "session_too_large",
        "body_too_large",
        "limit_reached",
        "journal_gone",
        "shutting_down",
    ),
)
async def ask_session(
    session: str,
    body: AskBody,
    rooms: InRooms,
    visitor: Visiting,
    sent: UntilSent,
    render: Render = "",
    key: Key = None,
) -> Response:
    """Ask a question. The answer is an event stream: `turn`, the Messages API's own events, and a `verdict`. Sent again
    under the same `Idempotency-Key`, it is no other question: the stream is that of the turn that it is."""
    question = _checked(body.question, rooms.max_question_chars)
    found = await rooms.conversations.get(session, visitor.owner)
    if key is not None and (asked := await rooms.asking.asked(found, question, key)):
        sent.enter_context(rooms.limits.following(visitor))
        tail = await rooms.asking.tail(asked, visitor.owner, 0)
        return event_stream(with_html(aiter(tail)) if render == "html" else tail, asked)
    async with rooms.limits.asking(visitor):
        with tracing.span("ask", found.id, found.digests[-1]):
            turn = await rooms.asking.ask(found, question, key)
            tracing.note(turn=turn)
    tail = await rooms.asking.follow(found, turn)
    return event_stream(with_html(aiter(tail)) if render == "html" else tail, turn)


@router.post(
    "/{session}/fork",
    status_code=201,
    response_model=None,
    responses=_BEGUN | problems(*_MISSING, "context_gone", "invalid_request", "body_too_large", "limit_reached"),
)
async def fork_session(
    session: str, body: ForkBody, rooms: InRooms, visitor: Visiting, response: Response
) -> dict[str, Any]:
    """A new conversation that shares this one's prefix up to a turn, and so, with the same model, its warm cache."""
    found = await rooms.conversations.get(session, visitor.owner)
    async with rooms.limits.beginning(visitor):
        forked = await rooms.conversations.fork(
            found, body.after_turn, model=body.model, isolated=body.isolation == "session"
        )
    return await _begun(rooms, forked, response)


async def _begun(rooms: Rooms, session: Session, response: Response) -> dict[str, Any]:
    response.headers["Location"] = f"/api/sessions/{session.id}"
    return await _shown(rooms, session)


async def _shown(rooms: Rooms, session: Session) -> dict[str, Any]:
    record = await rooms.coordinator.state(session)
    return session_json(session, await _warm(rooms, session, record), record.tokens)


async def _warm(rooms: Rooms, session: Session, record: WarmRecord) -> dict[str, Any]:
    return warm_json(record, session.id, await rooms.patience.predicted_ms(session, record))


def _checked(question: str, most: int) -> str:
    if not question.strip():
        raise invalid("question", "the question is empty")
    if len(question) > most:
        raise invalid("question", f"the question has {len(question):,} characters; at most {most:,} are taken")
    if "\0" in question:
        raise invalid("question", f"the question has a NUL character at character {question.index(chr(0))}")
    return question
