"""What the sandbox answers: passages of the given documents, ranked by BM25 against the question and quoted with
their place. It reads nothing but the request and claims no understanding. Ranking is prepared once per set of
documents; numpy and bm25s are loaded with the first answer, not with the process."""

import importlib
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from app.sandbox import pdf
from app.sandbox.request import Body
from app.sandbox.settings import documents

LEAD = "Sandbox answer: the passages nearest to your question.\n\n"
NOTHING = (
    "Sandbox answer: nothing in the given documents matches your question. The sandbox only quotes passages; it does "
    "not think. Ask with words that occur in the documents, or set an API key to ask Claude.\n"
)
_PASSAGE_LINES = 18
_PASSAGE_CHARS = 900
_KEPT_SETS = 64
_KEPT_CHARACTERS = 32_000_000
_WORD = re.compile(r"\w+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# What a question names as code does, `Owner.name`, `name()` or `Name`, is what it is about.
_CODE = re.compile(r"(?<=\w\.)\w+|\w+(?=\()|(?<!^)\b[A-Z]\w*[a-z]\w*\b(?!\.\w)")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_START = re.compile(r"^\s*(?:async\s+def|def|class|#{1,4}\s)")
_STOP_WORDS = """
a an and are as at be by can do does explain for from given have how i if in is it its me my of on or that the there
this to use used using was what when where which who why will with would you your
"""
_STOP = frozenset(_STOP_WORDS.split())


@dataclass(frozen=True)
class Source:
    """One text of the request as a reader would name it. `origin` is the block that it came from, `number` the index
    among the request's blocks of that type, `part` the index within a block that consists of several."""

    title: str
    text: str
    origin: dict[str, Any] | None = None
    number: int = 0
    part: int | None = None


@dataclass(frozen=True)
class Passage:
    source: Source
    start: int
    end: int
    first_line: int
    last_line: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def headings(self) -> str:
        """Lines that name what follows, again: what a passage defines says more than what it mentions."""
        lines = [line for line in self.text.splitlines() if _START.match(line)]
        return "\n".join(lines * 3)


class Closed(Exception):
    """The sandbox is ending."""


class Library:
    """Passages of recently seen document sets, ready to be ranked. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._shelves: OrderedDict[bytes, _Shelf] = OrderedDict()

    def find(self, sources: list[Source], question: str, limit: int) -> list[Passage]:
        return self._shelf(sources).rank(question, limit)

    def prepare(self, sources: list[Source]) -> None:
        """Do now what the first question about these sources would have to wait for."""
        self._shelf(sources)

    def close(self) -> None:
        """Give up what is being prepared, so that the process can end."""
        self._closing.set()

    def _shelf(self, sources: list[Source]) -> "_Shelf":
        key = blake2b(digest_size=16)
        for source in sources:
            key.update(f"{source.title}\0{len(source.text)}\0".encode())
            key.update(source.text.encode())
        with self._lock:
            shelf = self._shelves.get(key.digest()) or _Shelf(sources, self._closing)
            self._shelves[key.digest()] = shelf
            self._shelves.move_to_end(key.digest())
            while len(self._shelves) > 1 and self._is_full():
                self._shelves.popitem(last=False)
        return shelf

    def _is_full(self) -> bool:
        kept = sum(shelf.characters for shelf in self._shelves.values())
        return len(self._shelves) > _KEPT_SETS or kept > _KEPT_CHARACTERS


class _Shelf:
    def __init__(self, sources: list[Source], closing: threading.Event) -> None:
        self.characters = sum(len(source.text) for source in sources)
        self.passages = [passage for source in sources for passage in _split(source)]
        self._ranking: Any = None
        words = []
        for passage in self.passages:
            if closing.is_set():
                raise Closed
            words.append(_words(f"{passage.source.title} {passage.text} {passage.headings}"))
        if any(words):
            self._ranking = importlib.import_module("bm25s").BM25(backend="numpy")
            self._ranking.index(words, show_progress=False)

    def rank(self, question: str, limit: int) -> list[Passage]:
        if self._ranking is None:
            return []
        known = self._ranking.vocab_dict
        asked = [word for word in dict.fromkeys(_words(question)) if word not in _STOP and word in known]
        if not asked:
            return []
        code = {word for name in _CODE.findall(question) for word in _words(name)}
        meant = [word for word in asked if "_" in word or word in code]
        scores = self._ranking.get_scores(asked + 2 * meant)
        best = sorted(range(len(self.passages)), key=lambda i: (-float(scores[i]), i))[:limit]
        return [self.passages[i] for i in best if scores[i] > 0]


def sources_of(body: Body) -> list[Source]:
    """The documents of a request; without any, the other text that it brings along."""
    found: list[Source] = []
    numbers = {"document": 0, "search_result": 0}
    for block in documents(body):
        number = numbers[block["type"]]
        numbers[block["type"]] += 1
        title = block.get("title") or f"{block['type'].replace('_', ' ')} {number + 1}"
        for part, text in _texts(block):
            place = f"{title}, page {part + 1}" if pdf.is_pdf(block) and part is not None else title
            found.append(Source(place, text, block, number, part))
    return found or _other_text(body)


def _texts(block: dict[str, Any]) -> list[tuple[int | None, str]]:
    """The readable texts of a document or search result, numbered where it has several."""
    source = block["source"]
    if block["type"] == "search_result":
        return [(i, part["text"]) for i, part in enumerate(block["content"])]
    if source["type"] == "text":
        return [(None, source["data"])]
    if source["type"] == "base64":
        return list(enumerate(pdf.read(source["data"]).texts))
    if source["type"] != "content":
        return []
    content = source["content"]
    if isinstance(content, str):
        return [(0, content)]
    return [(i, part["text"]) for i, part in enumerate(content) if part["type"] == "text"]


def _other_text(body: Body) -> list[Source]:
    system = body.get("system", "")
    texts = [system] if isinstance(system, str) else [block["text"] for block in system]
    found = [Source(f"system prompt, block {i + 1}", text) for i, text in enumerate(texts)]
    last = len(body["messages"]) - 1
    for i, message in enumerate(body["messages"]):
        content = message["content"]
        if message["role"] == "user" and not isinstance(content, str):
            texts = [b["text"] for b in content if b["type"] == "text" and (i < last or b is not content[-1])]
            found += [Source(f"message {i + 1}", text) for text in texts]
    return found


def question_of(body: Body) -> str:
    """The last text that the user wrote."""
    for message in reversed(body["messages"]):
        if message["role"] != "user":
            continue
        if isinstance(message["content"], str):
            return message["content"]
        texts = [block["text"] for block in message["content"] if block["type"] == "text"]
        if texts:
            return str(texts[-1])
    return ""


def _split(source: Source) -> list[Passage]:
    """Passages of some lines and bounded length, broken before definitions and headings where possible."""
    passages: list[Passage] = []
    start = first = 0
    offset = line = 0
    for line, text in _pieces(source.text):
        length = line - first
        heads = length >= _PASSAGE_LINES // 3 and _START.match(text)
        if heads or length >= _PASSAGE_LINES or offset + len(text) - start > _PASSAGE_CHARS:
            passages.append(Passage(source, start, offset, first + 1, max(line, first + 1)))
            start, first = offset, line
        offset += len(text)
    passages.append(Passage(source, start, offset, first + 1, line + 1))
    return [passage for passage in passages if passage.text.strip()]


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each line, very long lines in several pieces."""
    for i, line in enumerate(_LINE.findall(text)):
        for start in range(0, len(line), _PASSAGE_CHARS):
            yield i, line[start : start + _PASSAGE_CHARS]


def _words(text: str) -> list[str]:
    """Words and identifiers; a compound identifier counts whole and by its parts."""
    words = []
    for word in _WORD.findall(text):
        parts = _CAMEL.sub("_", word).lower().strip("_").split("_")
        words += [_stem(part) for part in parts if part]
        if len(parts) > 1:
            words.append(word.lower())
    return words


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
