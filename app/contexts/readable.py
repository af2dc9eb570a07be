"""A web page as text: headings, lists, tables and code as Markdown has them, without menus, scripts and styles.

What a page calls its main part is taken alone. Nothing is fetched, and nothing that is hidden in attributes is kept.
"""

import re
from html.parser import HTMLParser
from typing import NamedTuple

_UNREAD = {"button", "canvas", "footer", "iframe", "nav", "noscript", "object", "script", "select"}
_UNREAD |= {"style", "svg", "template", "textarea"}
_BLOCKS = {
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "figcaption",
}
_BLOCKS |= {"figure", "header", "hr", "li", "main", "ol", "p", "pre", "section", "summary", "table", "tr", "ul"}
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_SPACE = re.compile(r"\s+")
_EMPTY_LINES = re.compile(r"\n{3,}")


class Readable(NamedTuple):
    """A page's title, empty when it has none, and its text."""

    title: str
    text: str


def read_html(html: str) -> Readable:
    """`html` as text. Takes anything: what is no HTML is text."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    text = reader.main.text() or reader.whole.text()
    return Readable(_SPACE.sub(" ", reader.title).strip(), text)


class _Text:
    """Pieces of text put together: blocks apart from each other, spaces within them collapsed."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._at_start = True

    def add(self, text: str, *, verbatim: bool) -> None:
        text = text if verbatim else _SPACE.sub(" ", text)
        if not verbatim and self._at_start:
            text = text.lstrip(" ")
        if text:
            self._pieces.append(text)
            self._at_start = text[-1:] in " \n"

    def apart(self, mark: str = "", *, lines: int = 2) -> None:
        if self._pieces or mark:
            self._pieces.append("\n" * lines + mark)
        self._at_start = True

    def text(self) -> str:
        lines = [line.rstrip() for line in "".join(self._pieces).split("\n")]
        text = _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip("\n")
        return text + "\n" if text.strip() else ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.whole, self.main = _Text(), _Text()
        self._unread = self._in_main = self._in_pre = 0
        self._in_title = False
        self._titled = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs  # what an element is says enough
        if tag == "title" and not self._titled:
            self._in_title = self._titled = True
        if tag in _UNREAD:
            self._unread += 1
        if self._unread:
            return
        if tag in ("main", "article"):
            self._in_main += 1
        if tag == "pre":
            self._in_pre += 1
            self._apart("```\n")
        elif tag in _HEADINGS:
            self._apart(_HEADINGS[tag])
        elif tag == "li":
            self._apart("- ", lines=1)
        elif tag in ("tr", "br"):
            self._apart(lines=1)
        elif tag in ("td", "th"):
            self._add(" | ")
        elif tag in _BLOCKS:
            self._apart()
        elif tag == "code" and not self._in_pre:
            self._add("`")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # `<script/>` opens a script: only void elements close themselves.
        self.handle_starttag(tag, attrs)
        if tag in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        if tag in _UNREAD:
            self._unread = max(0, self._unread - 1)
            return
        if self._unread:
            return
        if tag == "pre" and self._in_pre:
            self._in_pre -= 1
            self._apart("```\n", lines=1)
        elif tag in _HEADINGS or (tag in _BLOCKS and tag not in ("li", "tr")):
            self._apart()
        elif tag == "code" and not self._in_pre:
            self._add("`")
        if tag in ("main", "article"):
            self._in_main = max(0, self._in_main - 1)

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        elif not self._unread:
            self._add(data)

    def _add(self, text: str) -> None:
        for found in (self.whole, self.main) if self._in_main else (self.whole,):
            found.add(text, verbatim=self._in_pre > 0)

    def _apart(self, mark: str = "", *, lines: int = 2) -> None:
        for found in (self.whole, self.main) if self._in_main else (self.whole,):
            found.apart(mark, lines=lines)
