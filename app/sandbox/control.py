"""The control API, under /_sandbox and only when enabled: turn the clock, order faults, look at and evict cache
entries, read the log. It needs no key; it is for tests on loopback, not for the open."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.sandbox.engine import Engine
from app.sandbox.errors import invalid
from app.sandbox.index import TTL_S

PREFIX = "/_sandbox"


def routes(engine: Engine) -> list[Route]:
    control = _Control(engine)
    return [
        Route(f"{PREFIX}/clock", control.clock, methods=["GET", "POST"]),
        Route(f"{PREFIX}/faults", control.faults, methods=["GET", "POST", "DELETE"]),
        Route(f"{PREFIX}/cache", control.cache, methods=["GET", "DELETE"]),
        Route(f"{PREFIX}/log", control.log, methods=["GET", "DELETE"]),
    ]


class _Control:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def clock(self, request: Request) -> Response:
        """POST {"mode": "real"|"frozen"|"leap"} and/or {"advance": seconds}."""
        clock = self._engine.clock
        if request.method == "POST":
            order = await _object(request, {"mode", "advance"})
            mode, seconds = order.get("mode"), order.get("advance", 0)
            if mode not in (None, "real", "frozen", "leap"):
                raise invalid("mode: must be 'real', 'frozen' or 'leap'")
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 1e9:
                raise invalid("advance: must be a number of seconds, not negative")
            if mode is not None:
                clock.set_mode(mode)
            clock.advance(seconds)
        return JSONResponse({"now": clock.now(), "mode": clock.mode, "waiting": clock.waiting})

    async def faults(self, request: Request) -> Response:
        """POST a list of faults to append them; DELETE forgets those that wait."""
        script = self._engine.script
        if request.method == "POST":
            script.add(await request.body())
        elif request.method == "DELETE":
            script.clear()
        return JSONResponse({"waiting": script.waiting()})

    async def cache(self, request: Request) -> Response:
        """DELETE ?prefix=NAME evicts one entry, DELETE without a name all of them."""
        index = self._engine.cache.index
        if request.method == "DELETE":
            return JSONResponse({"evicted": index.evict(request.query_params.get("prefix"))})
        now = self._engine.clock.now()
        entries = [
            {"prefix": e.name, "ttl": e.ttl, "used_at": e.used_at, "expires_at": e.used_at + TTL_S[e.ttl]}
            for e in index.entries()
            if e.live(now)
        ]
        return JSONResponse(
            {"entries": entries, "used_bytes": index.used_bytes, "memory_bytes": index.memory_bytes, "now": now}
        )

    async def log(self, request: Request) -> Response:
        """GET ?after=NUMBER reads what came later."""
        if request.method == "DELETE":
            self._engine.log.clear()
        after = request.query_params.get("after", "0")
        if not after.isdecimal() or len(after) > 15:
            raise invalid("after: must be the number of a record")
        return JSONResponse({"requests": self._engine.log.read(int(after))})


async def _object(request: Request, names: set[str]) -> dict[str, Any]:
    try:
        value = await request.json()
    except (ValueError, RecursionError):
        raise invalid("body: must be a JSON object") from None
    if not isinstance(value, dict):
        raise invalid("body: must be a JSON object")
    for name in value:
        if name not in names:
            raise invalid(f"{name}: Extra inputs are not permitted")
    return value
