"""What tests of turns do again and again: half an answer, a stop, and what a stream told."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.client import Client, Event
from tests.recorder import Recorder, halfway

FIRST_HALF = "The first half,"


def ids(got: list[Event]) -> list[int]:
    return [event.id for event in got if event.id is not None]


def told(got: list[Event]) -> list[tuple[int | None, str, Any]]:
    return [(event.id, event.name, event.data) for event in got if event.name != "ping"]


@contextmanager
def half_answered(
    client: Client, upstream: Recorder, question: str = "Halves?", session: str | None = None
) -> Iterator[tuple[str, str, Any]]:
    """A session, a new one unless it is given, with a turn of which half has come: session, turn, and the asker's stream."""
    upstream.script.append(halfway(FIRST_HALF + " and the second."))
    session = session or client.start()["session"]
    with client.asking(session, question) as stream:
        turn = next(stream).data["turn"]
        for event in stream:
            if event.name == "content_block_delta":
                break
        yield session, turn, stream


def stop(client: Client, turn: str) -> dict[str, Any]:
    response = client.http.post(f"/api/turns/{turn}/stop")
    assert response.status_code == 202, response.text
    body: dict[str, Any] = response.json()
    return body
