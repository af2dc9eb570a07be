"""For those who run it: health, figures, metrics."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.turns.asking import Draining
from app.web import answers
from app.web.description import gives, problems
from app.web.metrics import render
from app.web.rooms import AdminOnly, Asker, InRooms
from app.web.stats import Stats, collect

router = APIRouter(tags=["operations"])

_ADMINS = ("admin_required", "admin_closed")


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", response_model=None, responses=gives(200, answers.Health, "It lives."))
async def healthz() -> dict[str, str]:
    """200 while the process lives, whatever has become of Redis or the upstream."""
    return {"status": "ok"}


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    response_model=None,
    responses=gives(200, answers.Health, "It is ready.") | problems("shutting_down"),
)
async def readyz(rooms: InRooms) -> dict[str, str]:
    """200 when requests can be served; 503 while Redis is away, and when the process is about to end."""
    if rooms.asking.draining:
        raise Draining
    await rooms.check_store()
    return {"status": "ready"}


@router.get("/api/stats", dependencies=[AdminOnly], responses=problems(*_ADMINS))
async def stats(rooms: InRooms, asker: Asker) -> Stats:
    """The dashboard's numbers. For the admin."""
    return await collect(rooms, asker)


@router.get(
    "/metrics",
    dependencies=[AdminOnly],
    response_class=Response,
    responses=problems(*_ADMINS)
    | {200: {"description": "The text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(rooms: InRooms) -> Response:
    """The ledger's counters, over all processes, for Prometheus. For the admin."""
    return Response(await render(rooms), media_type=CONTENT_TYPE_LATEST)
