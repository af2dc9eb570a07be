"""A warm as the contract shows it."""

from datetime import UTC, datetime
from typing import Any

from app.store.warms import WarmRecord as WarmRecord


def warm_json(record: WarmRecord, session: str, predicted_ms: int | None = None) -> dict[str, Any]:
    """The contract's `warm` for `session`: `shared` says that another session's call made it;
    `predicted_ms` is what one under way should take."""
    return {
        "state": record.state.value,
        "reason": record.reason,
        "started_at": rfc3339(record.started_ms),
        "predicted_ms": predicted_ms,
        "expires_at": rfc3339(record.expires_ms),
        "tokens_read": record.tokens_read,
        "tokens_written": record.tokens_written,
        "cost_usd": record.cost_usd,
        "shared": record.session is not None and record.session != session,
        "message_id": record.message_id,
    }


def rfc3339(milliseconds: int | None) -> str | None:
    """Milliseconds since the epoch as RFC 3339 in UTC."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
