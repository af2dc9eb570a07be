"""A context as a value: what is asked about, and how.

It is immutable and its id is a hash of everything that can change a byte of the prompt, so two people who add the same
texts with the same parameters share one context, one stored copy and one warm cache. A context's name is not part of it.
"""

import hashlib
from collections.abc import Iterator
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


@dataclass(frozen=True, slots=True)
class Parameters:
    """How the model is asked. `thinking=None` and `effort=None` leave the model's own default, and send nothing."""

    model: str
    max_tokens: int = DEFAULT_MAX_TOKENS
    thinking: Thinking | None = None
    effort: Effort | None = None
    ttl: ContextTtl = "5m"


@dataclass(frozen=True, slots=True)
class Context:
    """Instructions, documents and parameters; at least one document."""

    documents: tuple[Document, ...]
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
            if not document.text.strip():
                raise InvalidContext(f"documents.{number}.text", f"document “{document.title}” is empty")
            check_text(document.title, f"documents.{number}.title", f"the title of document {number + 1}")
            check_text(document.text, f"documents.{number}.text", f"document “{document.title}”")

    @property
    def id(self) -> str:
        """`c_` and the first 40 hex digits (160 bits) of a SHA-256 over every part, each preceded by its length."""
        digest = hashlib.sha256()
        for part in self._parts():
            encoded = part.encode()
            digest.update(b"%d:" % len(encoded))
            digest.update(encoded)
        return f"c_{digest.hexdigest()[:40]}"

    @property
    def size(self) -> int:
        """Bytes of UTF-8 in the instructions and the documents' texts."""
        return len((self.instructions or "").encode()) + sum(len(document.text.encode()) for document in self.documents)

    def _parts(self) -> Iterator[str]:
        parameters = self.parameters
        yield from (parameters.model, str(parameters.max_tokens), parameters.thinking or "", parameters.effort or "")
        yield parameters.ttl
        yield "" if self.instructions is None else f"i{self.instructions}"
        for document in self.documents:
            yield document.title
            yield document.text
