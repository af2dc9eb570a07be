"""A turn's answer so far, read off its journal: for whoever goes on with a turn that another process began. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from app.turns.answer import Answer
from app.upstream.events import events_in

OURS = ("turn", "restart", "verdict", "stopped", "error")


@dataclass(slots=True)
class Replayed:
    """What readers have of a turn: the `answer` so far, and whether any of its text was shown."""

    answer: Answer = field(default_factory=Answer)
    shown: bool = False


def replay(frames: Iterable[bytes]) -> Replayed:
    """What `frames`, a journal from its start, come to. Raises `UpstreamError` when they make no sense."""
    so_far = Replayed()
    for event in events_in(b"".join(frames)):
        if event.name in ("restart", "message_start"):
            so_far = Replayed(shown=so_far.shown and event.name == "message_start")
        if event.name not in OURS:
            so_far.shown = so_far.answer.take(event) or so_far.shown
    return so_far
