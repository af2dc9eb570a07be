"""What reached the sandbox, for tests to read: one record a request, the newest few thousand. Bodies are not kept, only
their hashes; keys only as the hash that names their workspace."""

import hashlib
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

_KEPT = 10_000


@dataclass
class Record:
    """Times are the sandbox clock's. `outcome`: refused, fault, complete, or disconnected (the client hung up, or a
    fault cut the connection). `prefixes`: place, ttl, tokens and name of the prefix that ends at each breakpoint."""

    number: int
    request_id: str
    path: str
    at: float
    workspace: str
    body_sha256: str
    body_bytes: int
    model: str | None = None
    stream: bool | None = None
    max_tokens: int | None = None
    message_id: str | None = None
    prefixes: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, Any] | None = None
    fault: dict[str, Any] | None = None
    status: int | None = None
    error: str | None = None
    begins_at: float | None = None
    ended_at: float | None = None
    outcome: str | None = None


class Log:
    def __init__(self) -> None:
        self._records: deque[Record] = deque(maxlen=_KEPT)
        self._number = 0

    def open(self, request_id: str, path: str, at: float, key: str, raw: bytes) -> Record:
        self._number += 1
        body = hashlib.sha256(raw).hexdigest()
        record = Record(self._number, request_id, path, at, workspace(key).hex(), body, len(raw))
        self._records.append(record)
        return record

    def clear(self) -> None:
        self._records.clear()

    def read(self, after: int = 0) -> list[dict[str, Any]]:
        """Records numbered above `after`, oldest first."""
        return [asdict(record) for record in self._records if record.number > after]


def workspace(key: str) -> bytes:
    """Each key is a workspace of its own."""
    return hashlib.blake2b(key.encode(), digest_size=16).digest()
