"""Faults to order: a script of what goes wrong with the next requests. Each fault waits for a request that fits it,
applies a number of times and is gone. A refused or undisturbed request is never changed; with no script there is no
cost."""

from collections import deque
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from app.sandbox.errors import ApiError, invalid
from app.sandbox.stream import Frame, event

_Seconds = Annotated[float, Field(ge=0, le=86_400)]


@with_config(ConfigDict(extra="forbid", strict=True))
class Fault(TypedDict):
    """Which requests: `path`, `only` (streams, whole answers, warms), after `skip` others, `times` times.

    What happens: `status` instead of an answer (with `headers`, `message`, `details`); `delay_s` before the first byte;
    `then` after `after_events` events of a stream; `drip_bytes` at a time, `drip_s` apart; a wrong `content_type`;
    `diagnosis` instead of a comparison."""

    path: NotRequired[Literal["/v1/messages", "/v1/messages/count_tokens"]]
    only: NotRequired[Literal["stream", "whole", "warm"]]
    skip: NotRequired[Annotated[int, Field(ge=0)]]
    times: NotRequired[Annotated[int, Field(ge=1, le=1_000_000)]]
    status: NotRequired[Annotated[int, Field(ge=400, le=599)]]
    headers: NotRequired[dict[str, Annotated[str, Field(pattern=r"^[\x20-\x7e]*$")]]]
    message: NotRequired[str]
    details: NotRequired[dict[str, Any]]
    delay_s: NotRequired[_Seconds]
    after_events: NotRequired[Annotated[int, Field(ge=0)]]
    then: NotRequired[Literal["stall", "disconnect", "error", "malformed"]]
    error: NotRequired[str]
    drip_bytes: NotRequired[Annotated[int, Field(ge=1)]]
    drip_s: NotRequired[_Seconds]
    diagnosis: NotRequired[Literal["pending", "unavailable"]]
    content_type: NotRequired[Annotated[str, Field(pattern=r"^[\x20-\x7e]+$")]]


_SCRIPT: TypeAdapter[Any] = TypeAdapter(list[Fault])
_SAID = {429: "This request would exceed your rate limit", 529: "Overloaded", 500: "Internal server error"}


class Disconnect(Exception):
    """The connection is to be cut here."""


class Stall(Exception):
    """Nothing more is to be sent, and the connection stays open."""


class Script:
    def __init__(self) -> None:
        self._faults: deque[Fault] = deque()

    def add(self, raw: bytes) -> int:
        """Append faults given as a JSON list; how many wait now."""
        try:
            self._faults.extend(_SCRIPT.validate_json(raw))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise invalid(f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}") from None
        return len(self._faults)

    def clear(self) -> None:
        self._faults.clear()

    def waiting(self) -> list[Fault]:
        return list(self._faults)

    def take(self, path: str, kind: str) -> Fault | None:
        """The first fault that fits this request."""
        for fault in self._faults:
            if fault.get("path", "/v1/messages") != path or fault.get("only", kind) != kind:
                continue
            if fault.get("skip", 0):
                fault["skip"] -= 1
                continue
            fault["times"] = fault.get("times", 1) - 1
            if not fault["times"]:
                self._faults.remove(fault)
            return fault
        return None


def refusal(fault: Fault) -> ApiError | None:
    """The error that a fault answers with, if it does."""
    status = fault.get("status")
    if status is None:
        return None
    headers = fault.get("headers", {"retry-after": "1"} if status == 429 else {})
    said = fault.get("message", _SAID.get(status, "Fault ordered by the test"))
    return ApiError(status, said, headers=headers, details=fault.get("details"))


def disturbed(frames: Iterator[Frame], fault: Fault | None) -> Iterator[Frame]:
    """The frames of a stream as the fault leaves them. Raises Disconnect or Stall at the place of the cut."""
    then = fault.get("then") if fault else None
    if fault is None or then is None:
        yield from frames
        return
    place = fault.get("after_events", 0)
    for n, (due, body) in enumerate(frames):
        if n == place and then == "error":
            kind = fault.get("error", "overloaded_error")
            said = "Overloaded" if kind == "overloaded_error" else fault.get("message", "Fault ordered by the test")
            yield due, event("error", {"error": {"type": kind, "message": said}})
            return
        if n == place and then == "malformed":
            yield due, b'event: content_block_delta\ndata: {"type":"content_block_delta","index":\n\n'
        elif n == place:
            raise Disconnect if then == "disconnect" else Stall
        yield due, body
