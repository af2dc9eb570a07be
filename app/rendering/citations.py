"""Citations as marks in the answer: a small number where the claim ends, which knows the passage that it points to."""

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, NamedTuple

MAX_TITLE_CHARS = 300
MAX_CITED_CHARS = 2_000


class Source(NamedTuple):
    """What a mark points to, in words: the document, with the pages of a PDF, and what is cited of it."""

    named: str
    cited: str


class Marks(list[str]):
    """The HTML of an answer's marks, by number from 1: the same passage keeps its number."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: dict[str, int] = {}

    def number(self, citation: Any) -> int | None:
        """The number of `citation`, as the Messages API sent it; None when it is not the shape of one."""
        if not isinstance(citation, dict):
            return None
        key = json.dumps({name: value for name, value in citation.items() if name != "cited_text"}, sort_keys=True)
        if key not in self._numbers:
            self.append(_mark(len(self) + 1, citation))
            self._numbers[key] = len(self)
        return self._numbers[key]


def sources_of(content: Iterable[Mapping[str, Any]]) -> list[Source]:
    """The sources of an answer's content blocks, the first one that of the mark 1."""
    marks, sources = Marks(), list[Source]()
    for block in content:
        for citation in (block.get("citations") or []) if block.get("type") == "text" else []:
            marks.number(citation)
            if len(marks) > len(sources):
                sources.append(_source(citation))
    return sources


def _source(citation: dict[str, Any]) -> Source:
    title = _text(citation.get("document_title") or citation.get("title") or citation.get("source"), MAX_TITLE_CHARS)
    named = ", ".join(part for part in (title or "a document", _pages(citation)) if part)
    return Source(named, _text(citation.get("cited_text"), MAX_CITED_CHARS))


def _mark(number: int, citation: dict[str, Any]) -> str:
    place = _place(citation)
    named, cited = _source(citation)
    pages = _pages(citation)
    attributes = {
        "title": named,
        "aria-label": f"Source {number}: {named}",
        **({f"data-{name}": str(value) for name, value in place.items()} or {"data-text": cited}),
        **({"data-pages": pages} if pages else {}),
    }
    written = " ".join(f'{name}="{escape(value)}"' for name, value in attributes.items())
    return f'<sup><button type="button" class="cite" {written}>{number}</button></sup>'


def _place(citation: dict[str, Any]) -> dict[str, int]:
    """Which characters of which document, when that is what it says: our documents are plain texts."""
    if citation.get("type") != "char_location":
        return {}
    names = {"document": "document_index", "start": "start_char_index", "end": "end_char_index"}
    place = {name: citation.get(said) for name, said in names.items()}
    numbers = {name: value for name, value in place.items() if type(value) is int and value >= 0}
    return numbers if len(numbers) == len(place) else {}


def _pages(citation: dict[str, Any]) -> str:
    """Which pages of a PDF, when that is what it says."""
    first, after = citation.get("start_page_number"), citation.get("end_page_number")
    if type(first) is not int or type(after) is not int:
        return ""
    return f"page {first}" if after <= first + 1 else f"pages {first}–{after - 1}"


def _text(value: Any, most: int) -> str:
    return mended(value[:most]) if isinstance(value, str) else ""


def mended(text: str) -> str:
    """`text` with surrogates that were cut apart joined again, and lone ones replaced: they have no UTF-8 form."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
