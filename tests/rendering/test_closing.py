"""Wherever a text in Markdown was cut, what is written after it is read on its own."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from app.rendering.closing import closed
from tests.rendering.payloads import PAYLOADS
from tests.rendering.test_growing import PIECES

OPEN = [
    *("```", "```python", "````", "~~~", "~~~~ text", "   ```", "> ```", "- ```", "1. ~~~", "- - > ```", "    ```"),
    *("<!-- noted", "<?php", "<!DOCTYPE html", "<![CDATA[ x", "<pre>", "<SCRIPT>", "<style", "<textarea>", "<div>"),
    *("```\n\ncode\n``", "> <!-- x", "- <pre>", "text\n<!-- x", "[x]: <", "$$\nx", "\\", "- x\n\n  ```", "`` `"),
]
pieces = st.one_of(st.sampled_from(OPEN), st.sampled_from(PIECES), st.sampled_from(PAYLOADS), st.text(max_size=20))


@st.composite
def cut(draw: st.DrawFn) -> str:
    whole = "".join(piece + draw(st.sampled_from(["\n", "\n\n", "\r\n", ""])) for piece in draw(st.lists(pieces)))
    return whole[: draw(st.integers(0, len(whole)))]


@given(cut())
def test_a_heading_after_a_text_that_was_cut_anywhere_is_a_heading(text: str) -> None:
    for parser in (MarkdownIt("commonmark"), MarkdownIt("gfm-like", {"linkify": False})):
        tokens = parser.parse(f"{closed(text)}\n\n*Stopped here.*\n\n## 2\n")
        assert [token.type for token in tokens[-6:]] == [
            *("paragraph_open", "inline", "paragraph_close", "heading_open", "inline", "heading_close")
        ]
        assert (tokens[-5].content, tokens[-2].content) == ("*Stopped here.*", "2")


@pytest.mark.parametrize("text", OPEN)
def test_what_is_closed_stays_as_it_was_written(text: str) -> None:
    assert re.fullmatch(r"(\n(`+|~+|-->|\?>|>|\]\]>|</\w+>))?", closed(text).removeprefix(text))
    assert closed(closed(text)) == closed(text)


def test_the_end_is_that_of_what_is_open() -> None:
    assert closed("````python\n```") == "````python\n```\n````"
    assert closed("~~~\n```\n\nx") == "~~~\n```\n\nx\n~~~"
    assert closed("<Style>\n* {}") == "<Style>\n* {}\n</style>"
    assert closed("- ```\n  x") == "- ```\n  x", "a list ends by itself"
    assert closed("```\nx\n```\n\nText.") == "```\nx\n```\n\nText."
