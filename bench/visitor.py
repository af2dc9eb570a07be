"""Somebody who uses Headstart from outside: contexts and sessions made over HTTP, and what readers then send."""

import asyncio
import json
from typing import Any

import httpx2

from bench.readers import Request
from bench.stamping import Pattern

# No model's: so that no window and no price is known, and a context may be of any size.
MODEL = "ruler"
AT_ONCE = 8
CONNECTIONS = httpx2.Limits(max_connections=128, max_keepalive_connections=128)


class Visitor:
    """One owner at a Headstart at `url`."""

    def __init__(self, url: str) -> None:
        self.http = httpx2.AsyncClient(base_url=url, timeout=60, limits=CONNECTIONS)
        self._url = url

    async def __aenter__(self) -> "Visitor":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def add_context(self, name: str, text: str) -> None:
        document = {"title": "text", "text": text}
        await self._made("/api/contexts", {"name": name, "model": MODEL, "documents": [document]})

    async def start(self, context: str, count: int, *, isolated: bool = False) -> list[str]:
        """`count` new sessions over a context whose cache is warm; isolated ones share it with nobody, and are cold."""
        body = {"context": context, "isolation": "session" if isolated else "shared"}
        sessions: list[str] = []
        for made in range(0, count, AT_ONCE):
            some = (self._made("/api/sessions", body) for _ in range(min(AT_ONCE, count - made)))
            sessions += [one["session"] for one in await asyncio.gather(*some)]
        if not isolated:
            await self.warm(sessions[0], wait=True)
        return sessions

    async def warm(self, session: str, *, wait: bool = False) -> bool:
        """Whether the request to warm was taken."""
        response = await self.http.post(f"/api/sessions/{session}/warm", json={"trigger": "focus", "wait": wait})
        return response.status_code == 202

    def trigger(self, session: str) -> Request:
        """The request that says that the session's reader turned to the input."""
        return Request(f"{self._url}/api/sessions/{session}/warm", b'{"trigger": "focus", "wait": false}', self._cookie)

    async def turn(self, session: str) -> str:
        """The session's last turn."""
        response = (await self.http.get(f"/api/sessions/{session}")).raise_for_status()
        turn: str = response.json()["turns"][-1]["turn"]
        return turn

    def ask(self, session: str, pattern: Pattern) -> Request:
        """The request that asks for an answer of that pattern."""
        body = json.dumps({"question": pattern.question}).encode()
        return Request(f"{self._url}/api/sessions/{session}/ask", body, self._cookie)

    def tail(self, turn: str) -> Request:
        """The request for a turn's events from the start."""
        return Request(f"{self._url}/api/turns/{turn}/events", cookie=self._cookie)

    @property
    def _cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())

    async def _made(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = (await self.http.post(path, json=body)).raise_for_status().json()
        return made
