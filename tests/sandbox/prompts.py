"""Small requests for the tests: blocks of a known number of tokens, marks, and bodies around them."""

from typing import Any

from app.sandbox import tokens

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


def text(name: str, size: int = 1100, mark: dict[str, str] | None = None) -> dict[str, Any]:
    """A text block of `size` tokens on models before 4.7, told apart by its name."""
    length = int((size - tokens.BLOCK_OVERHEAD) * tokens.BYTES_PER_TOKEN)
    block: dict[str, Any] = {"type": "text", "text": (name + " lorem ipsum" * (length // 12 + 1))[:length]}
    if mark is not None:
        block["cache_control"] = mark
    return block


def user(*blocks: dict[str, Any] | str) -> Any:
    if len(blocks) == 1 and isinstance(blocks[0], str):
        return {"role": "user", "content": blocks[0]}
    return {"role": "user", "content": [{"type": "text", "text": b} if isinstance(b, str) else b for b in blocks]}


def assistant(*blocks: dict[str, Any] | str) -> Any:
    return {**user(*blocks), "role": "assistant"}
