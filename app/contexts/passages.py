"""Part of a document, as it is read: what a citation points to, or some lines, with the text around them. Pure."""

from dataclasses import dataclass

from app.prompt.context import Document

WINDOW_CHARS = 12_000
# Most files whole; what is longer is no less readable for it, but would keep a page busy.
READING_CHARS = 200_000


@dataclass(frozen=True, slots=True)
class Passage:
    """Part of a document's `text`, whole lines where they are not endless: what comes `before` the passage, the passage
    itself, and what comes `after`. `first_line` and `last_line` are the passage's, from 1; `from_char` and `chars` say
    where `before` begins in the document, and how long that is."""

    title: str
    before: str
    passage: str
    after: str
    first_line: int
    last_line: int
    from_char: int
    chars: int


def passage(document: Document, start: int, end: int, most: int = WINDOW_CHARS) -> Passage:
    """Characters `start` to `end` of `document`, as far as it has them, and at most `most` around and of them."""
    text = document.text
    start = min(start, len(text))
    end = max(start, min(end, len(text), start + most))
    opens = max(0, start - (most - (end - start)) // 2)
    closes = min(len(text), opens + most)
    if opens:
        opens = max(opens, text.find("\n", opens, start) + 1)
    if closes < len(text):
        closes = max(text.rfind("\n", end, closes), -1) + 1 or closes
    first = text.count("\n", 0, start) + 1
    return Passage(
        title=document.title,
        before=text[opens:start],
        passage=text[start:end],
        after=text[end:closes],
        first_line=first,
        last_line=first + text.count("\n", start, max(start, end - 1)),
        from_char=opens,
        chars=len(text),
    )


def reading(document: Document, first_line: int, last_line: int) -> Passage:
    """Lines `first_line` to `last_line` of `document`, from 1 and as far as it has them, with what is around them: most
    documents whole. From 0 on it is the document from its beginning."""
    text = document.text
    start, end = (_line(text, line) for line in (first_line, max(first_line, last_line) + 1))
    return passage(document, start, end, READING_CHARS)


def _line(text: str, number: int) -> int:
    """Where the line of that `number`, from 1, begins, or else `text` ends."""
    at = 0
    for _ in range(number - 1):
        at = text.find("\n", at) + 1
        if not at:
            return len(text)
    return at
