"""Where cache entries are kept: found by the digests of a prompt's blocks, used by time."""

from dataclasses import dataclass
from hashlib import blake2b

TTL_S = {"5m": 300.0, "1h": 3600.0}


@dataclass(eq=False, slots=True)
class Entry:
    ttl: str
    used_at: float

    def live(self, now: float) -> bool:
        return now - self.used_at < TTL_S[self.ttl]


class Index:
    def __init__(self, memory_bytes: int) -> None:
        self.memory_bytes = memory_bytes
        self._entries: dict[bytes, Entry] = {}

    def on_path(self, path: list[bytes], now: float) -> dict[int, Entry]:
        """Live entries by the position of the block that they end at."""
        found = {}
        chain = blake2b(digest_size=16)
        for i, digest in enumerate(path):
            chain.update(digest)
            entry = self._entries.get(chain.copy().digest())
            if entry is not None and entry.live(now):
                found[i] = entry
        return found

    def put(self, path: list[bytes], ttl: str, used_at: float) -> None:
        self._entries[blake2b(b"".join(path), digest_size=16).digest()] = Entry(ttl, used_at)

    def touch(self, entry: Entry, used_at: float) -> None:
        entry.used_at = max(entry.used_at, used_at)
