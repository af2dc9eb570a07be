"""For those who run it: health, figures, metrics."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.web.metrics import render
from app.web.rooms import Asker, InRooms
from app.web.stats import Stats, collect

router = APIRouter(tags=["operations"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """200 while the process lives, whatever has become of Redis or the upstream."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(rooms: InRooms) -> dict[str, str]:
    """200 when requests can be served; 503 while Redis is away."""
    await rooms.check_store()
    return {"status": "ready"}


@router.get("/api/stats")
async def stats(rooms: InRooms, asker: Asker) -> Stats:
    """The dashboard's numbers."""
    return await collect(rooms, asker)


@router.get("/metrics", response_class=Response)
async def metrics(rooms: InRooms) -> Response:
    """The ledger's counters, over all processes, for Prometheus."""
    return Response(await render(rooms), media_type=CONTENT_TYPE_LATEST)
