"""What the producers of a process work with."""

from dataclasses import dataclass

from app.ledger.book import Ledger
from app.store.listing import Listing
from app.store.sessions import Sessions
from app.store.turns import Turns
from app.turns.journal import Journal
from app.turns.met import Met
from app.upstream.client import Upstream
from app.warm.coordinator import Coordinator
from app.warm.expecting import Expecting
from app.warm.prefixes import Prefixes


@dataclass(frozen=True, slots=True)
class Services:
    """The rooms below. `diagnose` says that the upstream has cache diagnostics; a turn is given
    `max_attempts`, and a stream that says nothing for `stall_s` is broken off."""

    turns: Turns
    sessions: Sessions
    listing: Listing
    journal: Journal
    met: Met
    coordinator: Coordinator
    expecting: Expecting
    prefixes: Prefixes
    ledger: Ledger
    upstream: Upstream
    keep_journal_s: int
    diagnose: bool
    max_attempts: int
    stall_s: float
