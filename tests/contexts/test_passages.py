"""The part of a document that a citation points to, or that is read: exactly its characters, and as much around them as is
bearable."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contexts.passages import READING_CHARS, WINDOW_CHARS, passage, reading
from app.prompt.context import Context, Document, Parameters, Pdf
from app.prompt.render import read_document, render_fragments

TEXT = "".join(f"Line {n} says “{n}” 😀.\n" for n in range(1, 3000))
texts = st.one_of(st.text(max_size=200), st.just(TEXT), st.just("x" * 40_000), st.text("a\n", max_size=300))


@given(texts, st.integers(0, 80_000), st.integers(0, 80_000))
def test_it_is_those_characters_within_their_document(text: str, start: int, end: int) -> None:
    found = passage(Document("a", text), start, end)
    whole = found.before + found.passage + found.after
    assert text[found.from_char : found.from_char + len(whole)] == whole
    begins = found.from_char + len(found.before)
    assert begins == min(start, len(text))
    assert found.passage == text[start : max(start, end)][:WINDOW_CHARS]
    assert len(whole) <= WINDOW_CHARS
    assert found.first_line == text[:begins].count("\n") + 1
    assert found.last_line - found.first_line == found.passage.removesuffix("\n").count("\n")
    assert found.chars == len(text)


def test_what_is_around_it_is_whole_lines() -> None:
    start = TEXT.index("Line 1500")
    found = passage(Document("a", TEXT), start, start + 9)
    assert found.passage == "Line 1500"
    assert found.first_line == found.last_line == 1500
    assert found.before.startswith("Line ")
    assert found.after.endswith(".\n")
    assert 10_000 < len(found.before) + len(found.after) <= WINDOW_CHARS


@given(texts, st.integers(0, 5_000), st.integers(0, 5_000))
def test_lines_are_read_within_their_document(text: str, first: int, last: int) -> None:
    found = reading(Document("a", text), first, last)
    whole = found.before + found.passage + found.after
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    assert found.passage == "".join(lines[max(0, first - 1) : max(first, last)])
    assert text[found.from_char : found.from_char + len(whole)] == whole
    assert first in (0, found.first_line) or first > text.count("\n")


@pytest.mark.parametrize(("line", "begins"), [(0, 0), (50_000, 0), (500_000, 900_000), (10**9, 1_900_000)])
def test_of_an_endless_document_as_much_is_read_as_is_bearable(line: int, begins: int) -> None:
    found = reading(Document("a", "x\n" * 1_000_000), line, line)
    whole = found.before + found.passage + found.after
    assert abs(found.from_char - begins) <= 2
    assert 0 <= min(READING_CHARS, 2_000_000 - begins) - len(whole) <= 2
    assert found.first_line == min(max(line, 1), 1_000_001)


def test_a_document_is_read_from_the_bytes_that_the_model_reads() -> None:
    like_a_block = '"},{"type":"document","source":{"type":"text",'
    documents = (
        Document(f'a"b{like_a_block}', "eins\n"),
        Pdf("c.pdf", b"%PDF-1.7", 1),
        Document("d", f"zwei \\ 😀{like_a_block}"),
    )
    for cited in (False, True):
        stored = render_fragments(Context(documents, Parameters("m", citations=cited))).documents
        read = [read_document(stored, number) for number in range(5)]
        assert read == [documents[0], None, documents[2], None, None]
        # What stands in the others is not looked at.
        assert read_document(stored.replace(b"zwei", b"\xff"), 0) == documents[0]
