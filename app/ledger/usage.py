"""Token counts as the Messages API reports them."""

from dataclasses import dataclass
from typing import Any

# What is counted beyond this is no count: the arithmetic of money would break at it.
MOST = 1 << 53


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. `uncached` is what came after the last breakpoint; `read + written + uncached` is the input.

    `reported` is False when the upstream did not say what its cache did, as servers without one do not.
    """

    uncached: int = 0
    read: int = 0
    written_5m: int = 0
    written_1h: int = 0
    output: int = 0
    reported: bool = False

    @property
    def written(self) -> int:
        return self.written_5m + self.written_1h

    @property
    def input(self) -> int:
        return self.uncached + self.read + self.written

    def updated(self, raw: Any) -> "Usage":
        """This usage with what `raw`, a `usage` object of the API, says instead; counts it omits stay as they are."""
        if not isinstance(raw, dict):
            return self
        written = _count(raw, "cache_creation_input_tokens", self.written)
        split = raw.get("cache_creation")
        written_1h = _count(split, "ephemeral_1h_input_tokens", 0) if isinstance(split, dict) else self.written_1h
        written_1h = min(written_1h, written)
        return Usage(
            uncached=_count(raw, "input_tokens", self.uncached),
            read=_count(raw, "cache_read_input_tokens", self.read),
            written_5m=written - written_1h,
            written_1h=written_1h,
            output=_count(raw, "output_tokens", self.output),
            reported=self.reported or raw.get("cache_read_input_tokens") is not None,
        )


def _count(raw: dict[str, Any], name: str, otherwise: int) -> int:
    value = raw.get(name)
    return value if isinstance(value, int) and 0 <= value < MOST else otherwise
