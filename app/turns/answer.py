"""An answer as it is put together from the Messages API's events."""

import json
from typing import Any

from app.ledger.usage import Usage
from app.upstream.errors import UpstreamCode, UpstreamError
from app.upstream.events import Event

# The parts of a block that come in pieces, by the deltas that bring them.
_GROWING = {"text_delta": "text", "thinking_delta": "thinking"}


class Answer:
    """The content blocks and usage of one streamed message, so far.

    Blocks are kept as the API sends them, so that they can go back verbatim: text, thinking with its signature,
    citations, whatever else comes. Deltas of unknown types are let pass, as the API asks of its clients.
    """

    def __init__(self) -> None:
        self.message_id: str | None = None
        self.usage = Usage()
        self.diagnosed: dict[str, Any] | None = None
        self.thinks = False
        self.whole = False
        self._blocks: dict[int, dict[str, Any]] = {}
        self._pieces: dict[int, dict[str, list[str]]] = {}

    def take(self, event: Event) -> bool:
        """Add `event`; answers whether it shows the reader text. Raises `UpstreamError` when it makes no sense."""
        if event.name == "ping":
            return False
        data = event.parsed()
        try:
            return self._take(event.name, data)
        except (KeyError, TypeError, AttributeError) as error:
            raise UpstreamError(UpstreamCode.GARBLED, f"a {event.name!r} event lacks a part: {error}") from error

    def blocks(self, *, partial: bool = False) -> list[dict[str, Any]]:
        """The content blocks. With `partial`, what can be kept of an answer that was broken off: no unsigned thinking."""
        blocks = [self._joined(index) for index in sorted(self._blocks)]
        if partial:
            return [
                block
                for block in blocks
                if block.get("type") in ("text", "redacted_thinking") or block.get("signature")
            ]
        return blocks

    def _take(self, name: str, data: dict[str, Any]) -> bool:
        if name == "content_block_delta":
            return self._take_delta(data["index"], data["delta"])
        if name == "message_start":
            found = data["message"].get("id")
            self.message_id = found if isinstance(found, str) and found.isascii() else None
            self.usage = self.usage.updated(data["message"].get("usage"))
            diagnosed = data["message"].get("diagnostics")
            self.diagnosed = _mended(diagnosed) if isinstance(diagnosed, dict) else None
        elif name == "message_delta":
            self.usage = self.usage.updated(data.get("usage"))
        elif name == "message_stop":
            self.whole = True
        elif name == "content_block_start":
            index, block = data["index"], _checked(data["content_block"])
            if not isinstance(index, int):
                raise TypeError("an index that is no whole number")
            self._blocks[index], self._pieces[index] = block, {}
            self.thinks = self.thinks or block["type"] in ("thinking", "redacted_thinking")
            return block["type"] == "text" and bool(block["text"])
        return False

    def _take_delta(self, index: int, delta: dict[str, Any]) -> bool:
        kind = delta["type"]
        part = _GROWING.get(kind)
        if part is not None:
            piece, pieces = delta[part], self._pieces[index]
            if part not in pieces:
                pieces[part] = []
            pieces[part].append(str(piece))
            return part == "text" and bool(piece)
        if kind == "signature_delta":
            self._blocks[index]["signature"] = str(delta["signature"])
        if kind == "citations_delta":
            block = self._blocks[index]
            block["citations"] = [*(block.get("citations") or []), delta["citation"]]
        return False

    def _joined(self, index: int) -> dict[str, Any]:
        block = dict(self._blocks[index])
        for part, pieces in self._pieces[index].items():
            block[part] = (block.get(part) or "") + "".join(pieces)
        return _mended(block)


def _checked(block: Any) -> dict[str, Any]:
    """A copy of a content block whose texts are texts. Raises `TypeError`."""
    parts = [block["type"], *(block.get(part) or "" for part in ("text", "thinking", "signature"))]
    if not all(isinstance(part, str) for part in parts) or not isinstance(block.get("citations") or [], list):
        raise TypeError("a content block with parts of the wrong type")
    return {**block, "text": block.get("text") or ""} if block["type"] == "text" else dict(block)


def _mended(block: dict[str, Any]) -> dict[str, Any]:
    """`block` with surrogates that were cut apart joined again, and lone ones replaced: they have no UTF-8 form."""
    text = json.dumps(block, ensure_ascii=False)
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    mended: dict[str, Any] = block if whole == text else json.loads(whole)
    return mended


def visible_text(blocks: list[dict[str, Any]]) -> str:
    """What the reader saw of an answer."""
    return "".join(block["text"] for block in blocks if block.get("type") == "text")


def thinking_text(blocks: list[dict[str, Any]]) -> str:
    """What the model showed of its thinking."""
    return "\n\n".join(block["thinking"] for block in blocks if block.get("thinking"))
