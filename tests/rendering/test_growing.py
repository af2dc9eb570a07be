"""However an answer's text is cut on its way, the reader ends with the same blocks, and what was finished stays so."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.rendering.answer import AnswerHtml, blocks_of
from app.rendering.markdown import html_of, split
from tests.rendering.payloads import PAYLOADS

PIECES = [
    *("# Title", "Some *words*, **bold `code`** and ``a ` tick``.", "2 * 3 * 4, snake_case, **unclosed", "plain"),
    *(
        "> quoted",
        "> > deeper",
        "1. one",
        "2",
        "2. two",
        "   with more",
        "   ```python",
        "   x = 1",
        "   ```",
        "- a",
        "  - b",
    ),
    *(
        "-",
        "*",
        "- [x] done",
        "```",
        "```python",
        "def f(): pass",
        "~~~~",
        "~~~",
        "---",
        "===",
        "| a | b |",
        "|:-:|--:|",
    ),
    *(
        "| 1 | 2 |",
        "a | b",
        "-|-",
        "    code",
        "\tcode",
        "[ref]: https://a.example",
        "[ref]",
        "[x](https://a.example/?a&b)",
        "at https://a.example/b_c?d=*e*, **https://f.example**",
    ),
    *(
        "$$",
        "a_1 * b_2 $$",
        "\\[",
        "\\]",
        "\\(x_1 * y\\)",
        "costs $5 or $6*",
        "&amp; &#42; \\*",
        "<b>bold</b>",
        "~~gone~~",
    ),
    *("\u2028sep", "ünïcødé 😀", "line  ", "line\\", "***", "+ x", "10) y", "#", "\x0b", "\0", "\U00011fff1\U00011fff"),
    *PAYLOADS,
]
ENDS = ["\n", "\n\n", "\r\n", "\r", "", " ", "\n\n\n", "\n    "]
texts = st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(ENDS)), max_size=14).map(
    lambda pairs: "".join(piece + end for piece, end in pairs)
)


def text_block(text: str, citations: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"type": "text", "text": text, **({"citations": citations} if citations else {})}


def grown(text: str, dice: random.Random, most: int = 12) -> list[str]:
    """The blocks of `text` when it comes in pieces and is rendered after some of them."""
    answer = AnswerHtml()
    answer.take("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
    at = 0
    while at < len(text):
        size = dice.randint(1, most)
        delta = {"type": "text_delta", "text": text[at : at + size]}
        answer.take("content_block_delta", {"index": 0, "delta": delta})
        at += size
        if dice.random() < 0.6:
            before = list(answer.blocks)
            answer.advance()
            answer.rest()
            assert answer.blocks[: len(before)] == before
    answer.take("content_block_stop", {"index": 0})
    answer.finish()
    return answer.blocks


@settings(max_examples=80)
@given(texts, st.randoms(use_true_random=False))
def test_any_split_gives_the_blocks_of_the_whole(text: str, dice: random.Random) -> None:
    whole = blocks_of([text_block(text)])
    assert grown(text, dice) == whole
    trimmed = text.replace("\U00011fff", "\ufffd").rstrip(" \t\r\n|")
    assert whole == [html_of(block) for block in split(trimmed.replace("\r\n", "\n").replace("\r", "\n"))]


@settings(max_examples=100)
@given(st.text(max_size=120), st.randoms(use_true_random=False))
def test_any_text_at_all_comes_to_the_same(text: str, dice: random.Random) -> None:
    assert grown(text, dice, 3) == blocks_of([text_block(text)])


cited = st.lists(st.tuples(texts, st.booleans()), max_size=3)


@settings(max_examples=40)
@given(cited, st.randoms(use_true_random=False))
def test_citations_stand_where_they_stood_however_they_came(parts: list[tuple[str, bool]], dice: random.Random) -> None:
    place = {"type": "char_location", "cited_text": "x", "document_index": 0, "document_title": "<b>"}
    content = [
        text_block(text, [{**place, "start_char_index": n, "end_char_index": n + 1}] if quotes else None)
        for n, (text, quotes) in enumerate(parts)
    ]
    answer = AnswerHtml()
    for block in content:
        answer.take("content_block_start", {"content_block": {"type": "text", "text": ""}})
        for citation in block.get("citations", []):
            answer.take("content_block_delta", {"delta": {"type": "citations_delta", "citation": citation}})
        for letter in str(block["text"]):
            answer.take("content_block_delta", {"delta": {"type": "text_delta", "text": letter}})
            if dice.random() < 0.1:
                answer.advance()
        answer.take("content_block_stop", {})
    answer.finish()
    assert answer.blocks == blocks_of(content)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a **bo", "<p>a <strong>bo</strong></p>"),
        ("a **bold*", "<p>a <strong>bold</strong></p>"),
        ("a **", "<p>a</p>"),
        ("`x` and ``co`de", "<p><code>x</code> and <code>co`de</code></p>"),
        ("a `", "<p>a</p>"),
        ("- see [the *docs*](https://a.exa", "<ul>\n<li>see the <em>docs</em></li>\n</ul>"),
        ("# ~~go", "<h3><s>go</s></h3>"),
        ("2 * 3, a_b, x[1](", "<p>2 * 3, a_b, x[1](</p>"),
        ("```\n**x", None),
        ("$$\n**x", None),
    ],
)
def test_what_is_half_written_is_shown_as_what_it_becomes(text: str, shown: str | None) -> None:
    answer = AnswerHtml()
    answer.take("content_block_start", {"content_block": text_block(text)})
    answer.advance()
    assert answer.rest() == (shown or "".join(blocks_of([text_block(text)])))


@pytest.mark.parametrize("again", ["restart", "message_start"])
def test_what_begins_anew_forgets_what_was(again: str) -> None:
    answer = AnswerHtml()
    answer.take("content_block_start", {"content_block": text_block("lost\n\nlost\n\n```")})
    answer.advance()
    assert answer.blocks
    answer.take(again, {})
    answer.take("content_block_start", {"content_block": text_block("kept")})
    answer.finish()
    assert answer.blocks == ["<p>kept</p>"]


def test_a_character_that_was_cut_in_two_is_one_again() -> None:
    answer = AnswerHtml()
    for text in ("a \ud83d", "\ude00 b \ud83d", " c \ude00"):
        answer.take("content_block_delta", {"delta": {"type": "text_delta", "text": text}})
        answer.advance()
        answer.rest()
    answer.finish()
    assert answer.blocks == ["<p>a 😀 b \ufffd c \ufffd</p>"]


def test_a_finished_block_is_never_parsed_again() -> None:
    answer = AnswerHtml()
    answer.take("content_block_start", {"content_block": text_block("")})
    for n in range(400):
        answer.take("content_block_delta", {"delta": {"type": "text_delta", "text": f"Paragraph {n}.\n\n"}})
        answer.advance()
        assert len(answer.rest()) < 100
    answer.finish()
    assert len(answer.blocks) == 400
