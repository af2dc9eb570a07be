"""A text that grows: top-level blocks that are finished, each rendered once and never again, and an open rest.

A block is finished when a later one has begun on a line that is itself whole. The line that is still being written decides
nothing yet: it may turn out to go on with the block before it.
"""

from collections.abc import Sequence

from app.rendering.halves import completed
from app.rendering.markdown import html_of, split


class Growing:
    """`marks` may grow along: the HTML of the citations in the text, by number from 1."""

    def __init__(self, marks: Sequence[str] = ()) -> None:
        self._marks = marks
        self._rest = ""
        self._half = ""

    def add(self, text: str) -> None:
        """Let the text go on with `text`, cut anywhere."""
        text = self._half + text
        self._half = "\r" if text.endswith("\r") else ""
        self._rest += text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n")

    def advance(self) -> list[str]:
        """The HTML of the blocks that are finished since the last call."""
        whole = self._rest[: self._rest.rfind("\n") + 1]
        blocks = split(whole)
        if len(blocks) < 2:
            return []
        begins = blocks[-1][0].map
        assert begins is not None
        self._rest = self._rest.split("\n", begins[0])[-1]
        return [html_of(block, self._marks) for block in blocks[:-1]]

    def rest(self) -> list[str]:
        """The HTML of the blocks that are not finished, as they stand: one, or a few when a line is half written. What a
        word has begun is taken to end with it."""
        blocks = split(self._rest)
        said = next((token.content for block in blocks[-1:] for token in reversed(block) if token.type == "inline"), "")
        whole = completed(self._rest, said)
        return [html_of(block, self._marks) for block in (blocks if whole == self._rest else split(whole))]

    def finish(self) -> list[str]:
        """The HTML of all the blocks that were left: the text is whole."""
        self._rest, self._half = self._rest + self._half, ""
        blocks, self._rest = split(self._rest), ""
        return [html_of(block, self._marks) for block in blocks]
