"""Answers that are event streams."""

from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

PING_S = 15


class EventStream(Response):
    """For the OpenAPI document: what `event_stream` answers with."""

    media_type = "text/event-stream"


def event_stream(frames: AsyncIterator[bytes], turn: str) -> EventSourceResponse:
    """`frames` as they come, a `ping` when nothing has come for a while, and the turn's id in `Turn-Id`."""
    return EventSourceResponse(frames, headers={"Turn-Id": turn}, ping=PING_S, sep="\n", ping_message_factory=_ping)


def _ping() -> ServerSentEvent:
    return ServerSentEvent('{"type":"ping"}', event="ping", sep="\n")
