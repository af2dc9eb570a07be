"""What the routes work with: the rooms behind them, made once in `app.main` and found through the request."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from app.access.limits import OwnerLimits, Visitor
from app.contexts.fetching import Fetcher
from app.contexts.library import Library
from app.ledger.book import Ledger
from app.turns.asking import Asking
from app.turns.conversations import Conversations
from app.turns.finding import Finding
from app.turns.linking import Linking
from app.turns.rating import Ratings
from app.warm.coordinator import Coordinator
from app.warm.patience import Patience
from app.web.admin import Admin
from app.web.owners import Visitors
from app.web.rendered import Rendered
from app.web.unchanging import Unchanging


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms, and what the routes must know of the settings.

    `notice` says who the upstream is: `kind` ("sandbox", "claude" or "custom"), `label`, `hint`. `check_store` raises
    when Redis is away. `spent` tells what speculation has cost in this hour and this day, in USD; `budget_usd` what it may,
    None when nothing limits it. `fetcher` is None when no URL is to be fetched. `shares` is whether links are made, and lead
    anywhere.
    """

    library: Library
    fetcher: Fetcher | None
    conversations: Conversations
    finding: Finding
    linking: Linking
    chat_pages: Unchanging
    shared_pages: Unchanging
    ratings: Ratings
    asking: Asking
    coordinator: Coordinator
    patience: Patience
    ledger: Ledger
    rendered: Rendered
    notice: Mapping[str, str | None]
    default_model: str
    max_question_chars: int
    shares: bool
    check_store: Callable[[], Awaitable[None]]
    spent: Callable[[], Awaitable[tuple[float, float]]]
    budget_usd: tuple[float, float] | None
    version: str
    admin: Admin
    visitors: Visitors
    limits: OwnerLimits


async def rooms(request: Request) -> Rooms:
    found: Any = request.app.state.rooms
    assert isinstance(found, Rooms)
    return found


InRooms = Annotated[Rooms, Depends(rooms)]


async def visitor(request: Request, rooms: InRooms) -> Visitor:
    """Who asks, and what they may."""
    found = await rooms.visitors.visitor(request)
    request.scope["headstart.owner"] = found.owner
    return found


Visiting = Annotated[Visitor, Depends(visitor)]


async def owner(visitor: Visiting) -> str:
    """Who asks, for every route that belongs to someone."""
    return visitor.owner


Asker = Annotated[str, Depends(owner)]


async def listening(visitor: Visiting, rooms: InRooms) -> AsyncIterator[str]:
    """Who asks for a stream: one of theirs until it has been sent."""
    with rooms.limits.following(visitor):
        yield visitor.owner


Listener = Annotated[str, Depends(listening)]


async def until_sent() -> AsyncIterator[ExitStack]:
    """What a route enters is left when its answer has been sent."""
    with ExitStack() as entered:
        yield entered


UntilSent = Annotated[ExitStack, Depends(until_sent)]


async def admin_only(request: Request, rooms: InRooms) -> None:
    """Nothing, for the admin; a `Problem` for everyone else."""
    rooms.admin.check(request)


AdminOnly = Depends(admin_only)
