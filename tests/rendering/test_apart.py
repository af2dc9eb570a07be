"""An answer for a file of its own: what it says stays, no button does, and every mark leads to its source."""

from html.parser import HTMLParser
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.rendering.answer import blocks_of
from app.rendering.apart import apart
from app.rendering.citations import sources_of
from tests.rendering.payloads import PAYLOADS
from tests.rendering.test_growing import text_block, texts

titles = st.one_of(st.sampled_from(PAYLOADS), st.text("<>\"&' =ab\n/", max_size=20), st.none())
places = st.fixed_dictionaries(
    {"type": st.sampled_from(["char_location", "page_location", "odd"]), "document_title": titles},
    optional={
        "cited_text": titles,
        "start_char_index": st.integers(0, 3),
        "end_char_index": st.integers(0, 3),
        "document_index": st.integers(0, 1),
        "start_page_number": st.integers(1, 3),
        "end_page_number": st.integers(1, 3),
    },
)
citations: st.SearchStrategy[Any] = st.one_of(places, st.sampled_from([None, 3, "x", []]))
contents = st.lists(st.tuples(texts, st.lists(citations, max_size=3)).map(lambda pair: text_block(*pair)), max_size=3)


class Read(HTMLParser):
    """What a browser would find: the text but that of buttons, and the number and goal of every mark."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.text = ""
        self.marks: list[tuple[str, str]] = []
        self.buttons = 0
        self._within: list[str] = []
        self._goal: str | None = None
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._goal = (given.get("href") or "") if given.get("class") == "cite" else None
        self.buttons += tag == "button"
        self._within += [tag] if tag == "button" else []

    def handle_endtag(self, tag: str) -> None:
        self._goal = None
        if tag == "button":
            self._within.pop()

    def handle_data(self, data: str) -> None:
        if self._goal is not None:
            self.marks.append((data, self._goal))
        elif not self._within:
            self.text += data


@settings(max_examples=120)
@given(contents)
def test_it_says_the_same_and_every_mark_leads_to_its_source(content: list[dict[str, Any]]) -> None:
    blocks, sources = blocks_of(content), sources_of(content)
    here, there = Read("".join(blocks)), Read(apart(blocks, sources, "source-7"))
    assert there.buttons == 0
    assert there.text == here.text
    assert [number for number, _ in there.marks] == [number for number, _ in here.marks]
    assert {goal for _, goal in there.marks} <= {f"#source-7-{number}" for number in range(1, len(sources) + 1)}
    assert all(goal == f"#source-7-{number}" for number, goal in there.marks)


def test_a_passage_that_is_cited_twice_is_one_source() -> None:
    place = {"type": "page_location", "document_title": 'a "b" <c>', "start_page_number": 2, "end_page_number": 3}
    other = {"type": "char_location", "document_title": "d", "cited_text": "Two."}
    first: Any = {**place, "cited_text": "One."}
    odd: Any = None
    content = [text_block("One.", [first]), text_block("Two.", [other, first, odd])]
    assert sources_of(content) == [('a "b" <c>, page 2', "One."), ("d", "Two.")]
    html = apart(blocks_of(content), sources_of(content), "s")
    assert [number for number, _ in Read(html).marks] == ["1", "2", "1"]
