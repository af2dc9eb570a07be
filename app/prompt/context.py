"""A context as a value: what is asked about, and how.

It is immutable and its id is a hash of everything that can change a byte of the prompt, so two people who add the same
texts with the same parameters share one context, one stored copy and one warm cache. A context's name is not part of it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from app.prompt.text import check_text

Ttl = Literal["5m", "1h"]
# `auto` is chosen for each session, when it begins, from how often the context is used.
ContextTtl = Literal["5m", "1h", "auto"]
Thinking = Literal["adaptive", "disabled", "between_tools"]
Effort = Literal["low", "medium", "high", "xhigh", "max"]

# Thinking counts towards it, so an answer needs more room than its text.
DEFAULT_MAX_TOKENS = 16_000


class InvalidContext(ValueError):
    """A context that the Messages API could not take. `field` names the part, as the HTTP API calls it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Document:
    """One document, `text` as given. Raises `InvalidContext` when empty, `UnsafeText` when it cannot be sent."""

    title: str
    text: str

    @property
    def size(self) -> int:
        """Bytes of UTF-8."""
        return len(self.text.encode())


@dataclass(frozen=True, slots=True)
class Pdf:
    """One document that the model reads page by page, as text and as pictures: a PDF file's bytes, and its pages."""

    title: str
    content: bytes
    pages: int

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.content)


AnyDocument = Document | Pdf


@dataclass(frozen=True, slots=True)
class Parameters:
    """How the model is asked. `thinking=None` and `effort=None` leave the model's own default, and send nothing; with
    `citations` it says where in the documents it has what it says from."""

    model: str
    max_tokens: int = DEFAULT_MAX_TOKENS
    thinking: Thinking | None = None
    effort: Effort | None = None
    ttl: ContextTtl = "5m"
    citations: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """Instructions, documents and parameters; at least one document."""

    documents: tuple[AnyDocument, ...]
    parameters: Parameters
    instructions: str | None = None

    def __post_init__(self) -> None:
        if not self.documents:
            raise InvalidContext("documents", "a context needs at least one document")
        if self.instructions is not None:
            if not self.instructions.strip():
                raise InvalidContext("instructions", "instructions are empty; leave them out instead")
            check_text(self.instructions, "instructions", "the instructions")
        for number, document in enumerate(self.documents):
            if not document.title.strip():
                raise InvalidContext(f"documents.{number}.title", f"document {number + 1} has no title")
            check_text(document.title, f"documents.{number}.title", f"the title of document {number + 1}")
            if isinstance(document, Document):
                if not document.text.strip():
                    raise InvalidContext(f"documents.{number}.text", f"document “{document.title}” is empty")
                check_text(document.text, f"documents.{number}.text", f"document “{document.title}”")

    @property
    def id(self) -> str:
        """`c_` and the first 40 hex digits (160 bits) of a SHA-256 over every part, each preceded by its length."""
        digest = hashlib.sha256()
        for part in self._parts():
            digest.update(b"%d:" % len(part))
            digest.update(part)
        return f"c_{digest.hexdigest()[:40]}"

    @property
    def size(self) -> int:
        """Bytes of UTF-8 in the instructions and the documents' texts, and of the PDFs' files."""
        return len((self.instructions or "").encode()) + sum(document.size for document in self.documents)

    def _parts(self) -> Iterator[bytes]:
        parameters = self.parameters
        said = (parameters.model, str(parameters.max_tokens), parameters.thinking or "", parameters.effort or "")
        instructions = "" if self.instructions is None else f"i{self.instructions}"
        kept = f"{parameters.ttl} cited" if parameters.citations else parameters.ttl
        yield from (part.encode() for part in (*said, kept, instructions))
        for document in self.documents:
            yield document.title.encode()
            # No text has a NUL, so a file can never be taken for the text of the same bytes.
            yield document.text.encode() if isinstance(document, Document) else b"\0" + document.content


def pages(documents: Sequence[AnyDocument]) -> int:
    """How many pages of PDF there are in `documents`."""
    return sum(document.pages for document in documents if isinstance(document, Pdf))
