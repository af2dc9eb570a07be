"""An answer's HTML from the Messages API's own events, or from the content blocks that they came to.

Both ways give the same blocks. Text blocks read as one text, as the model writes them: a fence may open in one and close in
another. A citation's mark stands where the text that it supports ends.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from app.rendering.citations import Marks, mended
from app.rendering.growing import Growing
from app.rendering.markdown import BRACKET

# What may still turn out to stand after a mark: white space, and the bar that ends a table's row.
_TRAILING = " \t\r\n|"
_MOST_HELD = 1_000
_LINE_CHARS = 200
# A line that a mark would make into another one: a fence, a rule, the line under a heading.
_FRAGILE = re.compile(r"[\s>]*(?:`{3,}|~{3,}|\$\$|\\[\[\]]|[-*_=\s]*\Z)")


class AnswerHtml:
    """The blocks of one answer, so far. `blocks` are finished; `rest()` is what is still open."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self._begin()

    def take(self, name: str, data: Mapping[str, Any]) -> None:
        """One event. A `restart`, or a message that begins anew, forgets everything before it."""
        if name in ("restart", "message_start"):
            self.blocks = []
            self._begin()
        elif name == "content_block_start":
            self._open(data.get("content_block"))
        elif name == "content_block_delta":
            self._grow(data.get("delta"))
        elif name == "content_block_stop":
            self._cite()

    def advance(self) -> int:
        """Render what has been finished meanwhile; answers how many blocks were before."""
        before = len(self.blocks)
        self.blocks += self._text.advance()
        return before

    def rest(self) -> str:
        """The HTML of the end that is still open, none when there is nothing."""
        return "".join(self._text.rest())

    def finish(self) -> None:
        """The answer is whole: all of it becomes finished blocks."""
        self._cite()
        self.advance()
        self.blocks += self._text.finish()

    def _begin(self) -> None:
        self._marks = Marks()
        self._text = Growing(self._marks)
        self._line = ""
        self._held = ""
        self._cited: list[Any] = []

    def _open(self, block: Any) -> None:
        self._cite()
        if isinstance(block, dict) and block.get("type") == "text":
            self._add(block.get("text"))
            self._cited = list(block.get("citations") or [])

    def _grow(self, delta: Any) -> None:
        if not isinstance(delta, dict):
            return
        if delta.get("type") == "text_delta":
            self._add(delta.get("text"))
        elif delta.get("type") == "citations_delta":
            self._cited.append(delta.get("citation"))

    def _add(self, text: Any) -> None:
        if not isinstance(text, str) or not text:
            return
        text = self._held + text.replace(BRACKET, "\ufffd")
        # A delta may end within a character that JSON writes as two halves.
        halved = "\ud800" <= text[-1] <= "\udbff"
        end = max(len(text[: len(text) - halved].rstrip(_TRAILING)), len(text) - _MOST_HELD)
        self._held = text[end:]
        self._write(text[:end])

    def _cite(self) -> None:
        numbers = [number for citation in self._cited if (number := self._marks.number(citation)) is not None]
        self._cited = []
        if numbers:
            before = "\n" if _FRAGILE.match(self._line) else ""
            self._write(before + "".join(f"{BRACKET}{number}{BRACKET}" for number in dict.fromkeys(numbers)))

    def _write(self, text: str) -> None:
        self._text.add(mended(text))
        self._line = (self._line + text).rpartition("\n")[2][:_LINE_CHARS]


def blocks_of(content: Iterable[Mapping[str, Any]]) -> list[str]:
    """The HTML of an answer's content blocks, as the Messages API has them."""
    answer = AnswerHtml()
    for block in content:
        answer.take("content_block_start", {"content_block": block})
    answer.finish()
    return answer.blocks
