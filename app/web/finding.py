"""/api/sessions: finding conversations again, calling them something, taking them along."""

import asyncio
import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse, JSONResponse

from app.access.limits import Work
from app.turns.conversations import Session, TurnView
from app.turns.finding import Branches, Listed, Place, automatic_title
from app.web import answers
from app.web.description import Responses, gives, problems, ref
from app.web.export import disposition, exported, markdown, page
from app.web.problems import invalid
from app.web.rooms import Asker, InRooms, Visiting
from app.web.schemas import ChangesBody, listed_json, turn_json

router = APIRouter(prefix="/api/sessions", tags=["sessions"])

_MISSING = ("session_not_found",)
_FILE: Responses = {
    200: {
        "description": "The file.",
        "headers": {"Content-Disposition": {"required": True, "schema": {"type": "string"}}},
        "content": {
            "text/markdown": {"schema": {"type": "string"}},
            "text/html": {"schema": {"type": "string"}},
            "application/json": {"schema": ref(answers.Exported)},
        },
    }
}
# When a session was asked, and its id: what follows it in the list is asked for with both.
_CURSOR = r"(\d{1,15})-(s_[0-9a-f]{32})"

_WORDS = "Only those with these words in a title, question, answer or their context's name."
Words = Annotated[str, Query(max_length=200, description=_WORDS)]
Most = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[
    str, Query(description="`next` of the list before.", json_schema_extra={"pattern": f"^({_CURSOR})?$"})
]
FileKind = Annotated[Literal["markdown", "html", "json"], Query(alias="format")]


@router.get(
    "",
    response_model=None,
    responses=gives(200, answers.Listing, "Your conversations.") | problems("invalid_request", "limit_reached"),
)
async def list_sessions(
    rooms: InRooms, visitor: Visiting, q: Words = "", limit: Most = 30, cursor: Cursor = ""
) -> dict[str, Any]:
    """Your conversations, the last asked first: each from its first question on."""
    after = _place(cursor)
    words = q.strip()
    pinned: list[Listed] = []
    if words:
        await rooms.limits.work(visitor, Work.SEARCHING)
        found, further = await rooms.finding.search(visitor.owner, words, after, limit)
    else:
        found, further = await rooms.finding.newest(visitor.owner, after, limit)
        pinned = await rooms.finding.pinned(visitor.owner) if after is None else []
    next = f"{further.asked_ms}-{further.session}" if further else None
    return {
        "pinned": [listed_json(one) for one in pinned],
        "sessions": [listed_json(one) for one in found],
        "next": next,
    }


@router.patch(
    "/{session}",
    response_model=None,
    responses=gives(200, answers.Changed, "Changed.")
    | problems(*_MISSING, "cannot_pin", "invalid_request", "body_too_large"),
)
async def change_session(session: str, body: ChangesBody, rooms: InRooms, asker: Asker) -> dict[str, Any]:
    """Call a conversation, and all its branches, something else than by its first question; pin it, or unpin it."""
    found = await rooms.conversations.get(session, asker)
    changes = body.model_fields_set
    if not changes:
        raise invalid("title", "there is nothing to change: send `title`, `pinned` or both")
    title = " ".join(body.title.split())
    if "title" in changes and (not title or "\0" in title):
        raise invalid("title", "the title is empty" if not title else "the title has a NUL character")
    if "pinned" in changes:
        await rooms.finding.pin(found, body.pinned)
    if title:
        await rooms.finding.rename(found, title)
    return {
        "session": found.id,
        "title": title or title_of(found, await rooms.conversations.turns_of(found)),
        "pinned": await rooms.finding.is_pinned(found),
    }


@router.get(
    "/{session}/export",
    response_class=Response,
    responses=_FILE | problems(*_MISSING, "invalid_request"),
)
async def export_session(session: str, rooms: InRooms, asker: Asker, kind: FileKind = "markdown") -> Response:
    """A conversation as a file: Markdown, a page that can be read on its own, or JSON with everything that a reader has."""
    found = await rooms.conversations.get(session, asker)
    turns = await rooms.conversations.turns_of(found)
    title = title_of(found, turns)
    if kind == "json":
        whole = told(found, turns, await rooms.finding.branches(found))
        return JSONResponse(exported(found, title, whole), headers={"Content-Disposition": disposition(title, "json")})
    if kind == "html":
        said = await rooms.rendered.apart(found.id)
        whole_page = await asyncio.to_thread(lambda: page(found, title, turns, said))
        return HTMLResponse(whole_page, headers={"Content-Disposition": disposition(title, "html")})
    headers = {"Content-Disposition": disposition(title, "md")}
    return Response(markdown(found, title, turns), media_type="text/markdown; charset=utf-8", headers=headers)


def told(session: Session, turns: list[TurnView], branches: Branches) -> list[dict[str, Any]]:
    # One that was accepted between the two lookups has no branches yet.
    ways = [*branches.at, *([session.id] for _ in turns)]
    model = session.parameters["model"]
    return [turn_json(turn, model, at) for turn, at in zip(turns, ways, strict=False)]


def title_of(session: Session, turns: list[TurnView]) -> str:
    return session.title or (automatic_title(turns[0].question) if turns else "")


def _place(cursor: str) -> Place | None:
    if not cursor:
        return None
    found = re.fullmatch(_CURSOR, cursor, re.ASCII)
    if found is None:
        raise invalid("cursor", "not the `next` of a list of conversations")
    return Place(int(found[1]), found[2])
