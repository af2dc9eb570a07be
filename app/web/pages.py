"""The pages: chat, dashboard, and what the API is. Rendered here once, then alive through `static/`."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.web.codes import CODES
from app.web.dashboard import Span, view
from app.web.rooms import Asker, InRooms
from app.web.schemas import context_json
from app.web.stats import collect
from app.web.templates import templates

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/")
async def chat(request: Request, rooms: InRooms, asker: Asker) -> HTMLResponse:
    """The chat page."""
    contexts = [context_json(view) for view in await rooms.library.all(asker)]
    shown = {"upstream": rooms.notice, "contexts": contexts, "version": rooms.version}
    return templates.TemplateResponse(request, "chat.html", shown)


@router.get("/dashboard")
async def dashboard(request: Request, rooms: InRooms, asker: Asker, span: Span | None = None) -> HTMLResponse:
    """What the cache did, and what it cost; over time means the last `span`."""
    stats = await collect(rooms, asker)
    shown = {"upstream": rooms.notice, "version": rooms.version, "stats": stats, "show": view(stats, span)}
    return templates.TemplateResponse(request, "dashboard.html", shown)


@router.get("/docs")
async def docs(request: Request, rooms: InRooms) -> HTMLResponse:
    """The API, from its OpenAPI document."""
    schema: dict[str, Any] = request.app.openapi()
    shown = {"upstream": rooms.notice, "version": rooms.version, "api": schema, "codes": CODES}
    return templates.TemplateResponse(request, "docs.html", shown)
