"""Sharing a conversation: a link to what was said so far, made and taken back by its owner, read by whoever has it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import HTMLResponse

from app.turns.linking import Linking, UnknownLink
from app.web import answers
from app.web.description import gives, problems
from app.web.export import page
from app.web.finding import title_of
from app.web.inline import BASE_CSS, EXPORT_CSS, source_of
from app.web.problems import Problem
from app.web.rooms import Asker, InRooms
from app.web.schemas import link_json

router = APIRouter(prefix="/api/sessions", tags=["sessions"])
readers = APIRouter(include_in_schema=False)

# Nothing of it runs, and no search engine finds it.
_HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src {source_of(BASE_CSS + EXPORT_CSS)}; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-robots-tag": "noindex, nofollow",
}


async def linking(rooms: InRooms) -> Linking:
    """What makes links; a `Problem` where none are made."""
    if rooms.linking is None:
        raise Problem(403, "sharing_off", "Not shared here", "Conversations are not shared by this server.")
    return rooms.linking


InLinking = Annotated[Linking, Depends(linking)]


@router.post(
    "/{session}/link",
    status_code=201,
    response_model=None,
    responses=gives(201, answers.Link, "The link.")
    | problems("session_not_found", "cannot_link", "sharing_off", "invalid_request"),
)
async def link_session(session: str, rooms: InRooms, room: InLinking, asker: Asker) -> dict[str, Any]:
    """Have whoever has the link read what was asked and answered so far. A session has one link: asked for again, it is the
    same, and leads to what came since, too."""
    return link_json(await room.link(await rooms.conversations.get(session, asker)))


@router.delete(
    "/{session}/link",
    status_code=204,
    response_description="The link leads nowhere now.",
    responses=problems("session_not_found", "invalid_request"),
)
async def unlink_session(session: str, rooms: InRooms, asker: Asker) -> Response:
    """Take the session's link back."""
    found = await rooms.conversations.get(session, asker)
    if rooms.linking is not None:
        await rooms.linking.unlink(found)
    return Response(status_code=204)


@readers.get("/shared/{link}")
async def shared(link: str, rooms: InRooms) -> HTMLResponse:
    """What a link leads to: the page that its owner would export."""
    if rooms.linking is None:
        raise UnknownLink(link)
    session, turns = await rooms.linking.follow(link)
    whole = page(session, title_of(session, turns), turns, await rooms.rendered.apart(session.id), shared=True)
    return HTMLResponse(whole, headers=_HEADERS)
