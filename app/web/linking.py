"""Sharing a conversation: a link to what was said so far, made and taken back by its owner, read by whoever has it."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response

from app.turns.conversations import Session
from app.turns.linking import Link, UnknownLink
from app.web import answers
from app.web.description import gives, problems
from app.web.export import page
from app.web.inline import BASE_CSS, EXPORT_CSS, source_of
from app.web.problems import Problem
from app.web.rooms import Asker, InRooms, Rooms
from app.web.schemas import link_json

router = APIRouter(prefix="/api/sessions", tags=["sessions"])
readers = APIRouter(include_in_schema=False)

# Nothing of it runs, no search engine finds it, and nobody is told the address: that is the key.
_HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src {source_of(BASE_CSS + EXPORT_CSS)}; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow",
}


@router.post(
    "/{session}/link",
    status_code=201,
    response_model=None,
    responses=gives(201, answers.Link, "The link.")
    | problems("session_not_found", "cannot_link", "sharing_off", "invalid_request"),
)
async def link_session(session: str, rooms: InRooms, asker: Asker) -> dict[str, Any]:
    """Have whoever has the link read what was asked and answered so far. A session has one link: asked for again, it is the
    same, and leads to what came since, too."""
    found = await rooms.conversations.get(session, asker)
    if not rooms.shares:
        raise Problem(403, "sharing_off", "Not shared here", "Conversations are not shared by this server.")
    return link_json(await rooms.linking.link(found))


@router.delete(
    "/{session}/link",
    status_code=204,
    response_description="The link leads nowhere now.",
    responses=problems("session_not_found", "invalid_request"),
)
async def unlink_session(session: str, rooms: InRooms, asker: Asker) -> Response:
    """Take the session's link back."""
    await rooms.linking.unlink(await rooms.conversations.get(session, asker))
    return Response(status_code=204)


@readers.api_route("/shared/{link}", methods=["GET", "HEAD"])
async def shared(link: str, request: Request, rooms: InRooms) -> Response:
    """What a link leads to: the page that its owner would export. Where people have to log in, so do its readers."""
    if rooms.visitors.login_header is not None:
        await rooms.visitors.visitor(request)
    if not rooms.shares:
        raise UnknownLink(link)
    session, found = await rooms.linking.follow(link)
    of = f"{found.id} {found.turns} {found.title}"
    return await rooms.shared_pages.answer(request, of, lambda: _page(rooms, session, found), _HEADERS)


async def _page(rooms: Rooms, session: Session, link: Link) -> str:
    turns = (await rooms.conversations.turns_of(session))[: link.turns]
    said = await rooms.rendered.apart(session.id, link.turns)
    return await asyncio.to_thread(lambda: page(session, link.title, turns, said, shared=True))
