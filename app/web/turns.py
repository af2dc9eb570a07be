"""/api/turns: coming back to an answer, and ending one."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from app.web import answers
from app.web.description import gives, problems, streams
from app.web.live import with_html
from app.web.problems import invalid
from app.web.rooms import Asker, InRooms, Listener
from app.web.schemas import RatingBody, Render
from app.web.streams import EventStream, event_stream

router = APIRouter(prefix="/api/turns", tags=["turns"])

MAX_EVENT_ID = 10**18 - 1


@router.get(
    "/{turn}/events",
    response_class=EventStream,
    responses=streams("The turn's events, as they come.")
    | problems("turn_not_found", "journal_gone", "invalid_request", "limit_reached", "shutting_down"),
)
async def tail_turn(
    turn: str,
    rooms: InRooms,
    asker: Listener,
    after: Annotated[int, Query(ge=0, le=MAX_EVENT_ID)] = 0,
    last_event_id: Annotated[str, Header(alias="Last-Event-ID", json_schema_extra={"pattern": "^[0-9]{0,18}$"})] = "",
    render: Render = "",
) -> Response:
    """A turn's events from the start, or after the last one seen: `Last-Event-ID` or `?after=`, whichever is later."""
    # A browser's EventSource repeats its first address when it comes back, and adds the header.
    seen = max(after, _event_id(last_event_id))
    if render == "html":
        return event_stream(with_html(aiter(await rooms.asking.tail(turn, asker, 0)), seen), turn)
    return event_stream(await rooms.asking.tail(turn, asker, seen), turn)


@router.post(
    "/{turn}/stop",
    status_code=202,
    response_model=None,
    responses=gives(202, answers.Stopping, "It ends, or has ended.") | problems("turn_not_found"),
)
async def stop_turn(turn: str, rooms: InRooms, asker: Asker) -> dict[str, Any]:
    """End a turn. What has been answered so far stays part of the conversation."""
    state = await rooms.asking.stop(turn, asker)
    return {"turn": turn, "state": state.value}


@router.put(
    "/{turn}/rating",
    response_model=None,
    responses=gives(200, answers.Rated, "It is rated so.")
    | problems("turn_not_found", "turn_running", "invalid_request", "body_too_large"),
)
async def rate_turn(turn: str, body: RatingBody, rooms: InRooms, asker: Asker) -> dict[str, Any]:
    """Say of an answer that has ended whether it is good. Whoever runs the server sees how many are, and not which."""
    await rooms.ratings.rate(turn, asker, body.rating)
    return {"turn": turn, "rating": body.rating}


def _event_id(header: str) -> int:
    if not header:
        return 0
    if not header.isascii() or not header.isdigit() or int(header) > MAX_EVENT_ID:
        raise invalid("Last-Event-ID", "not the id of an event of this turn")
    return int(header)
