"""A client of the HTTP API, as its users write one: JSON, cookies, and server-sent events."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2


@dataclass(frozen=True)
class Event:
    """One event as it came: its id, if it had one, its name and its data."""

    id: int | None
    name: str
    data: Any
    raw: bytes


def events(chunks: Iterator[bytes]) -> Iterator[Event]:
    """The events of a stream, as the specification of server-sent events has them."""
    rest = b""
    for chunk in chunks:
        *frames, rest = (rest + chunk).split(b"\n\n")
        for frame in frames:
            fields = dict(line.split(b": ", 1) for line in frame.split(b"\n") if line and not line.startswith(b":"))
            if b"data" in fields:
                number = int(fields[b"id"]) if b"id" in fields else None
                yield Event(number, fields[b"event"].decode(), json.loads(fields[b"data"]), frame + b"\n\n")


class Client:
    """Calls the API at `http`'s base URL, keeping its cookie."""

    def __init__(self, http: httpx2.Client) -> None:
        self.http = http

    def add_context(self, name: str = "docs", **fields: Any) -> dict[str, Any]:
        fields.setdefault("documents", [{"title": "a.txt", "text": "Alpha. " * 50}])
        return self._expect(201, self.http.post("/api/contexts", json={"name": name, **fields}))

    def start(self, context: str = "docs", **fields: Any) -> dict[str, Any]:
        return self._expect(201, self.http.post("/api/sessions", json={"context": context, **fields}))

    def session(self, session: str) -> dict[str, Any]:
        return self._expect(200, self.http.get(f"/api/sessions/{session}"))

    def warm(self, session: str, **fields: Any) -> dict[str, Any]:
        warm: dict[str, Any] = self._expect(202, self.http.post(f"/api/sessions/{session}/warm", json=fields))["warm"]
        return warm

    def ask(self, session: str, question: str) -> list[Event]:
        """Ask, and read to the end."""
        with self.asking(session, question) as stream:
            return list(stream)

    @contextmanager
    def asking(self, session: str, question: str) -> Iterator[Iterator[Event]]:
        with self.http.stream("POST", f"/api/sessions/{session}/ask", json={"question": question}) as response:
            assert response.status_code == 200, response.read()
            yield events(response.iter_bytes())

    @contextmanager
    def tailing(self, turn: str) -> Iterator[Iterator[Event]]:
        with self.http.stream("GET", f"/api/turns/{turn}/events") as response:
            assert response.status_code == 200, response.read()
            yield events(response.iter_bytes())

    def tail(self, turn: str, after: int = 0) -> list[Event]:
        """A turn's events after one of them, to the end."""
        headers = {"Last-Event-ID": str(after)} if after else {}
        with self.http.stream("GET", f"/api/turns/{turn}/events", headers=headers) as response:
            assert response.status_code == 200, response.read()
            return list(events(response.iter_bytes()))

    def _expect(self, status: int, response: httpx2.Response) -> dict[str, Any]:
        assert response.status_code == status, response.text
        body: dict[str, Any] = response.json()
        return body
