"""What a citation points to: some characters of a document, with the text around them. Pure."""

from dataclasses import dataclass

from app.prompt.context import Document

WINDOW_CHARS = 12_000


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


def passage(document: Document, start: int, end: int) -> Passage:
    """Characters `start` to `end` of `document`, as far as it has them, and at most `WINDOW_CHARS` around and of them."""
    text = document.text
    start = min(start, len(text))
    end = max(start, min(end, len(text), start + WINDOW_CHARS))
    around = (WINDOW_CHARS - (end - start)) // 2
    opens, closes = max(0, start - around), min(len(text), end + around)
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
