"""/api/turns: coming back to an answer, and ending one."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from app.web.problems import invalid
from app.web.rooms import Asker, InRooms
from app.web.streams import EventStream, event_stream

router = APIRouter(prefix="/api/turns", tags=["turns"])

MAX_EVENT_ID = (1 << 63) - 1


@router.get("/{turn}/events", response_class=EventStream)
async def tail_turn(
    turn: str,
    rooms: InRooms,
    asker: Asker,
    after: Annotated[int | None, Query(ge=0, le=MAX_EVENT_ID)] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """A turn's events from the start, or after the last one seen: `Last-Event-ID`, or `?after=`."""
    return event_stream(await rooms.asking.tail(turn, asker, after or _event_id(last_event_id)), turn)


@router.post("/{turn}/stop", status_code=202)
async def stop_turn(turn: str, rooms: InRooms, asker: Asker) -> dict[str, Any]:
    """End a turn. What has been answered so far stays part of the conversation."""
    state = await rooms.asking.stop(turn, asker)
    return {"turn": turn, "state": state.value}


def _event_id(header: str | None) -> int:
    if not header:
        return 0
    if not header.isascii() or not header.isdigit() or int(header) > MAX_EVENT_ID:
        raise invalid("Last-Event-ID", "not the id of an event of this turn")
    return int(header)
