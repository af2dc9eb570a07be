"""Small requests for the tests: blocks of a known number of tokens, marks, and turns around them. Sizes are in tokens
of models before 4.7."""

from typing import Any

from app.sandbox import tokens

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
Block = dict[str, Any]


def text(name: str, size: int = 1100, mark: dict[str, str] | None = None) -> Block:
    """A text block of exactly `size` tokens, told apart by its name."""
    length = int((size - tokens.BLOCK_OVERHEAD) * tokens.BYTES_PER_TOKEN)
    block: Block = {"type": "text", "text": (name + " lorem ipsum" * (length // 12 + 1))[:length]}
    return block if mark is None else {**block, "cache_control": mark}


def texts(start: int, end: int, size: int = 200, marked: tuple[int, ...] = (), mark: Any = MARK) -> list[Block]:
    """Blocks numbered start to end, both included; those in `marked` carry the mark."""
    return [text(f"block {i}", size, mark if i in marked else None) for i in range(start, end + 1)]


def user(*blocks: Block | str) -> Any:
    if len(blocks) == 1 and isinstance(blocks[0], str):
        return {"role": "user", "content": blocks[0]}
    return {"role": "user", "content": [{"type": "text", "text": b} if isinstance(b, str) else b for b in blocks]}


def assistant(*blocks: Block | str) -> Any:
    return {**user(*blocks), "role": "assistant"}


def tool(name: str, mark: dict[str, str] | None = None, size: int = 1100) -> Block:
    description = text(name, size)["text"]
    made: Block = {"name": name, "description": description, "input_schema": {"type": "object", "properties": {}}}
    return made if mark is None else {**made, "cache_control": mark}


def document(title: str, data: str, mark: dict[str, str] | None = None, cited: bool | None = None) -> Block:
    made: Block = {"type": "document", "title": title, "source": _plain(data)}
    if cited is not None:
        made["citations"] = {"enabled": cited}
    return made if mark is None else {**made, "cache_control": mark}


def image(mark: dict[str, str] | None = None) -> Block:
    made: Block = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    return made if mark is None else {**made, "cache_control": mark}


def _plain(data: str) -> Block:
    return {"type": "text", "media_type": "text/plain", "data": data}
