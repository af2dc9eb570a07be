"""Events as clients get them: our own, and the upstream's with an id put before them."""

from typing import Any

from app.prompt.render import dump
from app.upstream.events import Event


def own_frame(number: int, name: str, data: dict[str, Any]) -> bytes:
    """One of our events: `turn`, `verdict`, `error`, `stopped` or `restart`."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (number, name.encode(), dump(data))


def upstream_frame(number: int, event: Event) -> bytes:
    """An event of the Messages API, its lines untouched. A `ping` means nothing to resume from, so it has no id."""
    if event.name == "ping":
        return event.lines + b"\n"
    return b"id: %d\n%b\n" % (number, event.lines)
