"""What Markdown becomes, and what can never come out, whatever went in."""

import re
import time
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.rendering.answer import AnswerHtml, blocks_of
from app.rendering.code import coloured
from app.rendering.markdown import html_of, split
from app.rendering.sanitize import clean
from tests.rendering.payloads import PAYLOADS

KNOWN = """
p br hr h3 h4 h5 h6 strong em s code pre blockquote ul ol li a figure figcaption span button sup div table thead tbody tr th
td
"""
TAGS = set(KNOWN.split())
ATTRIBUTES = {"class", "href", "rel", "target", "start", "type", "tabindex", "role", "aria-label", "title"}
ATTRIBUTES |= {f"data-{name}" for name in ("document", "start", "end", "text", "pages")}
VOID = {"br", "hr"}


def html(text: str) -> str:
    return "\n".join(html_of(block) for block in split(text))


class Read(HTMLParser):
    """What a browser would find: elements at the top, everything that is not allowed, and the text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.roots: list[str] = []
        self.wrong: list[str] = []
        self.text = ""
        self._depth = 0
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._depth == 0:
            self.roots.append(tag)
        self._depth += tag not in VOID
        if tag not in TAGS:
            self.wrong.append(f"<{tag}>")
        for name, value in attrs:
            link = name != "href" or (value or "").startswith(("http://", "https://", "mailto:"))
            if name not in ATTRIBUTES or not link:
                self.wrong.append(f"{name}={value}")

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag not in VOID

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"<!--{data}")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_becomes_markup(payload: str) -> None:
    for around in ("{}", "- {}", "> {}", "# {}", "`{}`", "[{}](https://a.example)", "**{}**", "| {} |\n|---|\n| {} |"):
        for block in blocks_of([{"type": "text", "text": around.replace("{}", payload)}]):
            assert Read(block).wrong == []
    assert Read(clean(payload)).wrong == []


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_half_of_a_payload_does_either(payload: str) -> None:
    for cut in range(1, len(payload), 5):
        answer = AnswerHtml()
        answer.take(
            "content_block_start", {"content_block": {"type": "text", "text": f"see **this [x]({payload[:cut]}"}}
        )
        assert Read(answer.rest()).wrong == []


citations = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["char_location", "page_location", "x"]),
        "cited_text": st.sampled_from(PAYLOADS),
        "document_title": st.one_of(st.none(), st.sampled_from(PAYLOADS), st.integers()),
        "document_index": st.one_of(st.integers(), st.text(max_size=3), st.booleans()),
        "start_char_index": st.one_of(st.integers(), st.none(), st.sampled_from(PAYLOADS)),
        "end_char_index": st.integers(),
    }
)


@settings(max_examples=150)
@given(st.lists(st.sampled_from(PAYLOADS), max_size=4), st.lists(st.one_of(citations, st.text(max_size=3)), max_size=3))
def test_no_mixture_of_payloads_does_and_each_block_is_one_element(texts: list[str], cited: list[object]) -> None:
    for block in blocks_of([{"type": "text", "text": "\n\n".join(texts), "citations": cited}]):
        found = Read(block)
        assert found.wrong == []
        assert len(found.roots) == 1


def test_text_becomes_the_elements_it_means() -> None:
    assert html("# Title\n## Sub") == "<h3>Title</h3>\n<h4>Sub</h4>"
    assert html("a *b* **c** `d` ~~e~~\nf") == ("<p>a <em>b</em> <strong>c</strong> <code>d</code> <s>e</s><br>\nf</p>")
    assert '<ol start="3">' in html("3. x")
    assert html("- [x] a\n- [ ] b").count("<li>☑ a</li>") == 1
    assert '<th class="center">a</th>' in html("| a | b |\n|:-:|--:|\n| 1 | 2 |")
    assert '<td class="right">2</td>' in html("| a | b |\n|:-:|--:|\n| 1 | 2 |")
    assert "style" not in html("| a |\n|:-:|\n| 1 |")


def test_a_link_leaves_nothing_behind_and_an_image_is_one() -> None:
    link = '<a href="https://a.example/?a=1&amp;b" target="_blank" rel="noopener noreferrer nofollow">x</a>'
    assert html("[x](https://a.example/?a=1&b)") == f"<p>{link}</p>"
    assert html("![x](https://a.example/?a=1&b)") == f"<p>{link}</p>"
    assert html("[![x](https://b.example)](https://a.example/?a=1&b)") == f"<p>{link}</p>"
    assert html("[x](file.py)") == "<p>[x](file.py)</p>"
    assert html("<b>x</b>") == "<p>&lt;b&gt;x&lt;/b&gt;</p>"


def linked(text: str) -> list[str]:
    """What the links of `text` show; each leads to just that."""
    found = re.findall(r'<a href="([^"]*)" target="_blank" rel="noopener noreferrer nofollow">([^<]*)</a>', html(text))
    assert all(target == shown for target, shown in found)
    return [unescape(shown) for _, shown in found]


def test_an_address_that_is_written_out_is_a_link_and_ends_where_the_sentence_goes_on() -> None:
    assert linked("See https://a.example/x_y_z?a=1&b=2#c. Or http://localhost:8000/docs!") == [
        "https://a.example/x_y_z?a=1&b=2#c",
        "http://localhost:8000/docs",
    ]
    assert linked("(https://a.example/w_(x)), **https://b.example**, _https://c.example/_ “https://d.example”") == [
        *("https://a.example/w_(x)", "https://b.example", "https://c.example/", "https://d.example"),
    ]
    assert linked("| a |\n|---|\n| https://a.example/b |\n") == ["https://a.example/b"]
    assert linked("`https://a.example`\n\n    https://b.example\n\n$https://c.example$") == []
    assert linked("xhttps://a.example ftp://b.example javascript://c.example www.d.example https:// e@f.example") == []
    assert linked("https://a.example/" + "x" * 3_000) == []
    assert html("[https://a.example](https://b.example)").count("<a ") == 1


@pytest.mark.parametrize(
    "formula",
    ["\\(x_1 * y_2 * z\\)", "$a*b*c$", "$$\\sum_{i} *x* \\\\ y$$", "\\[a*b*c\\]", "$$\na_1\n- b *c* d\n\n# e\n$$"],
)
def test_math_is_left_as_it_was_written(formula: str) -> None:
    for text in (formula, f"- item\n\n{formula}" if "\n" in formula else f"before {formula} after"):
        assert formula in unescape(Read(html(text)).text)
        assert "<em>" not in html(text)


def test_money_is_not_math() -> None:
    assert html("from $5 to *$10* or $20") == "<p>from $5 to <em>$10</em> or $20</p>"


def test_code_says_its_language_and_can_be_copied() -> None:
    block = html("```python title=x\ndef f():\n    return '<b>'\n```")
    assert "<figcaption><span>python</span>" in block
    assert '<button type="button" class="copy">Copy</button>' in block
    assert '<span class="k">def</span>' in block
    assert Read(block.partition("<code>")[2]).text == "def f():\n    return '<b>'"


@settings(max_examples=120)
@given(st.text(max_size=200), st.sampled_from(["python", "JS", "html", "diff", "c++", "pycon", "nothing", "", "json"]))
def test_colours_never_change_the_code(code: str, language: str) -> None:
    assert Read(coloured(code, language)).text == code


def test_a_citation_in_code_or_at_a_fence_spoils_neither() -> None:
    place = {"type": "char_location", "cited_text": "x", "document_index": 2, "document_title": 'a"b.md'}
    quote = {**place, "start_char_index": 5, "end_char_index": 6}
    blocks = blocks_of(
        [
            {"type": "text", "text": "Look:\n\n```\n"},
            {"type": "text", "text": "quoted line", "citations": [quote]},
            {"type": "text", "text": "\n```\n\nand\n\n"},
            {"type": "text", "text": "```\nwhole\n```\n\n", "citations": [quote]},
            {"type": "text", "text": "| a |\n|---|\n| b |", "citations": [{**quote, "start_char_index": 4}]},
            {"type": "text", "text": "\n\nEnd."},
        ]
    )
    assert [Read(block).roots[0] for block in blocks] == ["p", "figure", "p", "figure", "p", "figure", "p"]
    assert "<code>quoted line</code>" in blocks[1]
    assert 'data-document="2" data-start="5" data-end="6"' in blocks[1]
    assert ">1</button>" in blocks[1]
    assert ">1</button>" in blocks[4]
    assert ">2</button></sup></td>" in blocks[5]
    assert 'title="a&quot;b.md"' in blocks[1]


@pytest.mark.parametrize(
    "text",
    [
        *(">" * 5_000, "- " * 5_000 + "x", "*a " * 5_000, "`" * 5_000, "**a " * 5_000, "#" * 5_000, "[" * 5_000),
        *(
            "[a](" * 3_000,
            "![" * 3_000,
            "\\(" * 3_000,
            "$a " * 3_000,
            "<a " * 3_000,
            "|a" * 5_000 + "\n" + "|-" * 5_000,
        ),
        *("https://" * 3_000, "https://a" + ")" * 5_000, "https://a " * 2_000, "a:" * 5_000),
        *("`" + "``a" * 3_000, "&" * 5_000, "~~a" * 3_000, "_a*b" * 3_000, " " * 5_000 + "x", "$$\n" * 3_000),
    ],
)
def test_text_made_to_be_slow_is_not(text: str) -> None:
    began = time.process_time()
    html(text)
    assert time.process_time() - began < 3
