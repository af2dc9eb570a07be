"""Warnings about contexts that look as if they change from day to day.

A cache entry lives only as long as every byte before it stays the same, so a date or a request number at the top of a
context makes each new copy of it start cold. The lint reads the instructions and the first lines of each document, where
such things are put, and says what it saw and where; it does not look into PDFs. It never refuses anything: it can be
wrong.
"""

import re
from dataclasses import dataclass

from app.prompt.context import Context, Document

FIRST_LINES = 3
MOST_WARNINGS = 20
MOST_QUOTED = 80

WHY = "Whoever adds this context again with another value here starts with a cold cache: everything after it is new."

_LOOKS_DYNAMIC = (
    ("a UUID", re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I)),
    ("a date and time", re.compile(r"\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?")),
    ("a date", re.compile(r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}[./]\d{1,2}[./]\d{4}\b")),
    (
        "a date",
        re.compile(
            r"\b(?:\d{1,2} )?(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
            r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.? (?:\d{1,2}, )?\d{4}\b",
            re.I,
        ),
    ),
    ("a time of day", re.compile(r"\b(?:[01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?(?: ?(?:am|pm|utc|gmt|z))?\b", re.I)),
    ("a Unix time", re.compile(r"\b1[5-9]\d{8}(?:\d{3})?\b")),
    (
        "a counter",
        re.compile(
            r"\b(?:request|session|build|run|revision|rev|visit|version|ticket)\s*(?:no\.?|id|#|:)+\s*#?\d+", re.I
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Warning:
    """One suspicion: `place` names the text and line, `what` what stands there, `why` what it would cost."""

    place: str
    what: str
    why: str


def lint_context(context: Context) -> list[Warning]:
    """What in `context` looks dynamic, at most `MOST_WARNINGS`, the instructions first."""
    texts = [] if context.instructions is None else [("instructions", context.instructions.splitlines())]
    texts += [
        (f"document “{document.title}”", document.text[:4000].splitlines()[:FIRST_LINES])
        for document in context.documents
        if isinstance(document, Document)
    ]
    warnings = [
        Warning(f"{name}, line {number}", f"looks like {kind}: “{found}”", WHY)
        for name, lines in texts
        for number, line in enumerate(lines, 1)
        for kind, found in _first_match(line)
    ]
    return warnings[:MOST_WARNINGS]


def _first_match(line: str) -> list[tuple[str, str]]:
    for kind, pattern in _LOOKS_DYNAMIC:
        if match := pattern.search(line):
            return [(kind, match.group()[:MOST_QUOTED])]
    return []
