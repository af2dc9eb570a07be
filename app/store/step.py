"""What goes to one server in one go, and what its answers say: done, to be asked elsewhere, or Redis is away."""

from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    MovedError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from app.store.address import Endpoint
from app.store.line import Command
from app.store.nodes import Node

# What servers say that are there and take nothing, also from within a script.
AWAY = ("MISCONF", "OOM", "READONLY", "LOADING", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "UNBLOCKED")


@dataclass(slots=True, eq=False)
class Step:
    """Commands over keys of one slot (None: of any), in order; all of them or none, if `whole`."""

    slot: int | None
    commands: list[Command]
    whole: bool = False
    answers: list[Any] = field(default_factory=list)
    error: Exception | None = None
    asking: Endpoint | None = None

    def wire(self) -> list[Command]:
        """What is sent for it."""
        if self.whole:
            return [("MULTI",), *self.commands, ("EXEC",)]
        return [("ASKING",), *self.commands] if self.asking else self.commands

    def take(self, node: Node, answers: list[Any]) -> None:
        """Read the answers to what was sent: they are its own, or say why it was not done."""
        if self.whole:
            *queued, done = answers
            refusal = next((answer for answer in queued if isinstance(answer, Exception)), done)
            self.error = refusal if isinstance(done, Exception) else None
            answers = [] if self.error else done
        else:
            answers = answers[1:] if self.asking else answers
            self.error = None
            for answer in answers:
                if isinstance(answer, Exception) and is_away(answer):
                    self.error = answer
                    break
        self.answers = node.shaped(self.commands, answers)
        asked_elsewhere = isinstance(self.error, AskError) and not isinstance(self.error, MovedError)
        # Redis takes no ASKING within a transaction: that waits until its slot has moved.
        self.asking = named(self.error, node) if asked_elsewhere and not self.whole else None


def named(error: Exception | None, node: Node) -> Endpoint | None:
    """The node to which `node` sent us on."""
    # It names no host when that is its own.
    return Endpoint(error.host or node.endpoint.host, error.port) if isinstance(error, AskError) else None


def is_away(error: Exception) -> bool:
    """Whether Redis is not there to take what we write: gone, loading, a replica, full, unable to write its disk, …"""
    if isinstance(error, ResponseError):
        elsewhere = isinstance(error, AskError | TryAgainError | ClusterDownError | ReadOnlyError | OutOfMemoryError)
        return elsewhere or any(code in str(error) for code in AWAY)
    return isinstance(error, ConnectionError | TimeoutError | OSError)


def is_passing(error: Exception) -> bool:
    """Whether the same command may well be taken in an instant, here or elsewhere."""
    if isinstance(error, BusyLoadingError | AuthenticationError):
        return False
    return isinstance(error, ConnectionError | AskError | TryAgainError | ReadOnlyError)
