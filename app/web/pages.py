"""The pages: chat, dashboard, and what the API is. Rendered here once, then alive through `static/`.

A monitor may ask for the head alone."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from app.contexts.library import usable_model
from app.models import offered_models
from app.turns.conversations import Session, UnknownSession
from app.web.codes import CODES
from app.web.dashboard import Span, view
from app.web.forms import form_of
from app.web.rooms import Asker, InRooms, Rooms
from app.web.schemas import context_json
from app.web.stats import collect
from app.web.templates import templates, theme_of

# The page's own, for where its list of conversations was left: `closed`.
SIDEBAR_COOKIE = "headstart_sidebar"

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.api_route("/", methods=["GET", "HEAD"])
async def chat(request: Request, rooms: InRooms, asker: Asker) -> HTMLResponse:
    """The chat page."""
    views = await rooms.library.all(asker)
    contexts = [context_json(view) | {"model": usable_model(view)} for view in views]
    ids = [context["context"] for context in contexts]
    opened = await _opened(request, rooms, asker)
    asked_for = opened.context if opened else request.query_params.get("context")
    shown = {
        "upstream": rooms.notice,
        "contexts": contexts,
        # What the first frame needs to know, so that nothing moves when the page's scripts have come.
        "picked": ids.index(asked_for) if asked_for in ids else None if opened else 0,
        "opens": opened is not None,
        "sidebar": "closed" if request.cookies.get(SIDEBAR_COOKIE) == "closed" else None,
        "theme": theme_of(request),
        "version": rooms.version,
        "models": offered_models(),
        "admin": rooms.admin.admits(request),
        "fetches": rooms.fetcher is not None,
        "shares": rooms.shares,
        "most_chars": rooms.max_question_chars,
    }

    async def make() -> str:
        return templates.get_template("chat.html").render(shown)

    # Whoever may ask the same, for whom it is to open the same, has the same page.
    return await rooms.chat_pages.answer(request, repr(shown), make)


async def _opened(request: Request, rooms: Rooms, asker: str) -> Session | None:
    """The conversation that the address names; None when there is none, or it is not the asker's."""
    session = request.query_params.get("session")
    try:
        return await rooms.conversations.get(session, asker) if session else None
    except UnknownSession:
        return None


@router.api_route("/dashboard", methods=["GET", "HEAD"])
async def dashboard(request: Request, rooms: InRooms, asker: Asker, span: Span | None = None) -> HTMLResponse:
    """What the cache did, and what it cost; over time means the last `span`. For the admin."""
    if rooms.admin.has_key and not rooms.admin.admits(request):
        return _admin_form(request, rooms)
    rooms.admin.check(request)
    stats = await collect(rooms, asker)
    shown = {"upstream": rooms.notice, "version": rooms.version, "stats": stats, "show": view(stats, span)}
    return templates.TemplateResponse(request, "dashboard.html", shown)


@router.post("/dashboard")
async def open_dashboard(request: Request, rooms: InRooms) -> Response:
    """What the admin's form sends: the key, for a cookie."""
    async with form_of(request, max_files=0, max_fields=10) as form:
        key = form.get("key")
    if not isinstance(key, str) or not rooms.admin.knows(key.strip()):
        return _admin_form(request, rooms, wrong=True)
    opened = RedirectResponse("/dashboard", 303)
    rooms.admin.remember(request, opened)
    return opened


@router.api_route("/docs", methods=["GET", "HEAD"])
async def docs(request: Request, rooms: InRooms) -> HTMLResponse:
    """The API, from its OpenAPI document."""
    schema: dict[str, Any] = request.app.openapi()
    shown = {"upstream": rooms.notice, "version": rooms.version, "api": schema, "codes": CODES}
    return templates.TemplateResponse(request, "docs.html", shown)


def _admin_form(request: Request, rooms: Rooms, *, wrong: bool = False) -> HTMLResponse:
    shown = {"upstream": None, "version": rooms.version, "wrong": wrong}
    return templates.TemplateResponse(request, "admin.html", shown, status_code=401)
