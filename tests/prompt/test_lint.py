"""The lint: what looks as if it changed from day to day, where it stands, and silence about all else."""

import asyncio
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings

from app.contexts.sample import sample_context
from app.prompt.context import Context, Document, Parameters
from app.prompt.lint import FIRST_LINES, MOST_WARNINGS, lint_context
from tests.prompt.strategies import contexts

MODEL = "claude-sonnet-5-5"


def lint(text: str, instructions: str | None = None) -> list[tuple[str, str]]:
    context = Context((Document("notes.md", text),), Parameters(MODEL), instructions)
    return [(warning.place, warning.what) for warning in lint_context(context)]


@pytest.mark.parametrize(
    ("line", "kind", "found"),
    [
        ("Today is 2026-11-21.", "a date", "2026-11-21"),
        ("Stand: 21.11.2026", "a date", "21.11.2026"),
        ("as of 11/21/2026", "a date", "11/21/2026"),
        ("On November 21, 2026 we", "a date", "November 21, 2026"),
        ("21 Nov 2026", "a date", "21 Nov 2026"),
        ("May 2026", "a date", "May 2026"),
        ("generated 2026-11-21T14:03:55Z", "a date and time", "2026-11-21T14:03:55"),
        ("generated 2026-11-21 14:03", "a date and time", "2026-11-21 14:03"),
        ("It is 14:03 now", "a time of day", "14:03"),
        ("It is 2:03 pm now", "a time of day", "2:03 pm"),
        ("at 23:59:59 UTC", "a time of day", "23:59:59 UTC"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "a UUID", "123e4567-e89b-12d3-a456-426614174000"),
        ("ts=1795262635", "a Unix time", "1795262635"),
        ("ts=1795262635123", "a Unix time", "1795262635123"),
        ("Request #4711", "a counter", "Request #4711"),
        ("Session id: 12", "a counter", "Session id: 12"),
        ("build no. 99", "a counter", "build no. 99"),
    ],
)
def test_it_says_what_it_saw_and_where(line: str, kind: str, found: str) -> None:
    said = f"looks like {kind}: “{found}”"
    assert lint(f"Title\n{line}\nmore") == [("document “notes.md”, line 2", said)]
    assert lint("Title", f"Be kind.\n\n{line}") == [("instructions, line 3", said)]


@pytest.mark.parametrize(
    "line",
    [
        "import asyncio",
        "def decode(data: bytes) -> str:",
        "# Decode 4096 bytes, or separate 2048; maybe 1024 of Market 5000",
        "part = data[10:99]",
        "ratio 16:90",
        "Copyright (c) 2001-2024 Python Software Foundation",
        "See RFC 9457 and PEP 3156.",
        "version = 3",
        "timeout = 86400000",
        "MAX = 1234567890123456789",
        "deadbeef-dead-beef",
        "You may 1 time out.",
        "x" * 4000,
    ],
)
def test_it_says_nothing_of_ordinary_text(line: str) -> None:
    assert lint(line, line) == []


def test_the_interpreters_own_source_is_not_suspected() -> None:
    assert lint_context(sample_context(MODEL)) == []
    package = Path(asyncio.__file__).parent.parent
    for folder in ("json", "email", "http", "unittest"):
        documents = tuple(
            Document(path.name, text)
            for path in sorted((package / folder).glob("*.py"))
            if (text := path.read_text("utf-8")).strip()
        )
        assert lint_context(Context(documents, Parameters(MODEL))) == []


def test_only_the_first_lines_of_a_document_are_read_but_all_instructions() -> None:
    late = "\n" * FIRST_LINES + "Today is 2026-11-21."
    assert lint("Title" + late) == []
    assert len(lint("Title", "Be kind." + late)) == 1


def test_it_says_why_it_costs() -> None:
    (warning,) = lint_context(Context((Document("a", "2026-11-21"),), Parameters(MODEL)))
    assert "cold cache" in warning.why


def test_warnings_are_few_and_short_however_much_there_is() -> None:
    documents = tuple(Document(f"{number}.txt", "2026-11-21\n" * 10) for number in range(1000))
    instructions = "\n".join(["2026-11-21", "version: " + "0" * 100_000, "12:30" + " " * 100_000 + "x"])
    warnings = lint_context(Context(documents, Parameters(MODEL), instructions))
    assert len(warnings) == MOST_WARNINGS
    assert [warning.place for warning in warnings[:3]] == [f"instructions, line {number}" for number in (1, 2, 3)]
    assert max(len(warning.what) for warning in warnings) < 200


@pytest.mark.parametrize("piece", ["1", "a-", "12:30 ", "request #", "jan 1, ", "1234-", "no.id#:", "1.1.", "\t"])
def test_no_text_makes_it_slow(piece: str) -> None:
    instructions = "x" + piece * (400_000 // len(piece)) + "!"
    started = process_time()
    lint("Title", instructions)
    assert process_time() - started < 2


@given(contexts)
@settings(max_examples=50)
def test_it_never_fails(context: Context) -> None:
    assert len(lint_context(context)) <= MOST_WARNINGS
