"""For those who run it: health, figures, metrics, and what the API is."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from app.ledger.figures import figures
from app.models import MODELS
from app.web.rooms import InRooms, Rooms

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
async def stats(rooms: InRooms) -> dict[str, Any]:
    """The dashboard's numbers."""
    return await stats_json(rooms)


@router.get("/metrics", response_class=Response)
async def metrics(rooms: InRooms) -> Response:
    """The ledger's totals, over all processes, for Prometheus."""
    registry = CollectorRegistry()
    registry.register(_Totals(await _totals(rooms)))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


async def stats_json(rooms: Rooms) -> dict[str, Any]:
    """Who answers, how fast each model that was asked reads, and everything the ledger counted."""
    paces = {model: await rooms.ledger.pace(model) for model in MODELS}
    return {
        "upstream": {"kind": rooms.notice["kind"], "label": rooms.notice["label"]},
        "models": {
            model: {"base_s": round(pace.base_s, 3), "tokens_per_s": round(1 / pace.seconds_per_token)}
            for model, pace in paces.items()
            if pace is not None
        },
        "totals": await _totals(rooms),
    }


async def _totals(rooms: Rooms) -> dict[str, Any]:
    return asdict(figures((await rooms.ledger.sheets(periods=False)).total))


class _Totals(Collector):
    """The ledger's totals as counters: `headstart_<name>_total`."""

    def __init__(self, totals: dict[str, Any]) -> None:
        self._totals = totals

    def collect(self) -> list[CounterMetricFamily]:
        return [
            CounterMetricFamily(f"headstart_{name}", f"{name.replace('_', ' ')}, over all processes", value)
            for name, value in self._totals.items()
            if isinstance(value, int | float) and value >= 0
        ]
