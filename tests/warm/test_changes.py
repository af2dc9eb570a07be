"""Where a prompt leaves the one that was warm: the byte, the block, the line, and what stands there in both."""

import re
from dataclasses import replace
from itertools import takewhile

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.prompt.context import AnyDocument, Context, Document, Parameters
from app.prompt.prefix import Transcript
from app.prompt.render import render_fragments, render_opening
from app.warm.changes import first_difference

SAID = re.compile(r"byte ([\d,]+), block (\d+): (.*) became (.*)", re.DOTALL)
PARAMETERS = Parameters("claude-sonnet-5-5")

text = st.text('ab \n\r\t"\\{}[],:é€🎉\u2028\x85<', min_size=1, max_size=40).map(lambda some: f"x{some}")
title = st.text("abc/.“”é", min_size=1, max_size=8)
documents = st.builds(Document, title, text)
contexts = st.builds(
    Context,
    st.lists(documents, min_size=1, max_size=5).map(tuple),
    st.just(PARAMETERS),
    st.none() | text,
)


def opening(context: Context) -> bytes:
    return b"".join(render_opening(PARAMETERS, render_fragments(context), None))


def sent(context: Context) -> bytes:
    """The prefix as it goes out, with its breakpoint."""
    pieces = render_opening(PARAMETERS, render_fragments(context), None)
    return Transcript(pieces, b"", (), "5m").prefix().body(b"")


def blocks(context: Context) -> list[tuple[str | None, str]]:
    instructions = [(None, context.instructions)] if context.instructions is not None else []
    return [*instructions, *((document.title, text_of(document)) for document in context.documents)]


def text_of(document: AnyDocument) -> str:
    assert isinstance(document, Document)
    return document.text


def plain_byte(old: bytes, new: bytes) -> int:
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))))


def plain_block(old: Context, new: Context) -> int:
    pairs = zip(blocks(old), blocks(new), strict=False)
    return 1 + len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def said(old: Context, new: Context) -> tuple[int, int, str, str]:
    found = SAID.fullmatch(first_difference(opening(old), opening(new)))
    assert found is not None
    byte, block, before, after = found.groups()
    return int(byte.replace(",", "")), int(block), before, after


def assert_named_rightly(old: Context, new: Context) -> None:
    byte, block, before, after = said(old, new)
    assert byte == plain_byte(opening(old), opening(new)) == plain_byte(sent(old), sent(new))
    assert block == plain_block(old, new)
    assert before != after
    for context, part in ((old, before), (new, after)):
        there = blocks(context)[block - 1 : block]
        assert part.startswith(
            "nothing" if not there else "the instructions" if there[0][0] is None else f"document “{there[0][0]}”"
        )


@given(contexts, st.data())
def test_one_character_of_one_document(context: Context, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(context.documents) - 1))
    old = text_of(context.documents[number])
    place = data.draw(st.integers(1, len(old) - 1))
    other = data.draw(st.sampled_from("abzé🎉 \n").filter(lambda one: one != old[place]))
    changed = Document(context.documents[number].title, old[:place] + other + old[place + 1 :])
    new = replace(context, documents=(*context.documents[:number], changed, *context.documents[number + 1 :]))
    assert_named_rightly(context, new)
    assert said(context, new)[1] == number + 1 + (context.instructions is not None)


@given(contexts, documents, st.data())
def test_a_document_more_or_less(context: Context, added: Document, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(context.documents)))
    longer = replace(context, documents=(*context.documents[:place], added, *context.documents[place:]))
    assert_named_rightly(context, longer)
    assert_named_rightly(longer, context)


@given(contexts, st.data())
def test_documents_in_another_order(context: Context, data: st.DataObject) -> None:
    shuffled = replace(context, documents=tuple(data.draw(st.permutations(context.documents))))
    assume(shuffled != context)
    assert_named_rightly(context, shuffled)


@given(contexts, st.none() | text)
def test_other_instructions(context: Context, instructions: str | None) -> None:
    assume(instructions != context.instructions)
    assert_named_rightly(context, replace(context, instructions=instructions))


@given(contexts, contexts)
def test_any_two_contexts(old: Context, new: Context) -> None:
    assume(old != new)
    assert_named_rightly(old, new)


def one(text: str, title: str = "a.txt") -> Context:
    return Context((Document(title, text),), PARAMETERS)


@pytest.mark.parametrize(
    ("old", "new", "line", "before", "after"),
    [
        pytest.param("One\nTwo\nThree", "One\nTwe\nThree", 2, "Two", "Twe", id="within a line"),
        pytest.param("One\nTwo", "One\nTwo\nThree", 2, "Two", "Two…", id="more lines"),
        pytest.param("One\nTwo", "One\n\nTwo", 2, "Two", "", id="an empty line"),
        pytest.param("One", "Only", 1, "One", "Only", id="the first line"),
    ],
)
def test_the_line_is_counted_from_one_and_shown(old: str, new: str, line: int, before: str, after: str) -> None:
    _, _, was, became = said(one(old), one(new))
    assert was.startswith(f"document “a.txt”, line {line} “{before}")
    assert became.startswith(f"document “a.txt”, line {line} “{after.removesuffix('…')}")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("word " * 400 + "is warm", "word " * 400 + "is cold", id="far along a long line"),
        pytest.param("One\rTwo", "One\rTwe", id="after a carriage return"),
        pytest.param("One\u2028Two", "One\u2028Twe", id="after a line separator"),
        pytest.param("One\tTwo", "One Two", id="a tab became a space"),
        pytest.param("One\nTwo ", "One\nTwo\u00a0", id="a space became one that does not break"),
        pytest.param("One", "One\ufeff", id="a mark that cannot be seen"),
        pytest.param("é", "e\u0301", id="an accent that looks the same"),
        pytest.param("One\r\nTwo", "One\nTwo", id="line ends"),
        pytest.param("One\nTwo", "One\nTwo\n", id="a line end at the end"),
    ],
)
def test_what_is_shown_of_both_differs_where_they_differ(old: str, new: str) -> None:
    _, _, before, after = said(one(old), one(new))
    assert before != after
    assert before.isprintable() and after.isprintable()


def test_a_block_that_is_only_there_once_was_or_became_nothing() -> None:
    longer = replace(one("One"), documents=(Document("a.txt", "One"), Document("b.txt", "Two")))
    assert said(one("One"), longer)[1:] == (2, "nothing", "document “b.txt”, line 1 “Two”")
    assert said(longer, one("One"))[1:] == (2, "document “b.txt”, line 1 “Two”", "nothing")


def test_another_title_is_another_block_from_its_beginning() -> None:
    assert said(one("One\nTwo", "a.txt"), one("One\nTwe", "b.txt"))[1:] == (
        1,
        "document “a.txt”, line 1 “One”",
        "document “b.txt”, line 1 “One”",
    )


def test_a_long_prompt_is_compared_quickly_and_rightly() -> None:
    old = "".join(f"line {number}\n" for number in range(300_000))
    new = old.replace("line 299999\n", "line 2999x9\n")
    byte, block, before, _ = said(one(old), one(new))
    assert byte == plain_byte(opening(one(old)), opening(one(new)))
    assert (block, before) == (1, "document “a.txt”, line 300000 “line 299999”")
