"""What people send to be made a context, checked in their own terms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.contexts.sources import Skipped, decode
from app.models import find_model
from app.prompt.context import (
    DEFAULT_MAX_TOKENS,
    Context,
    ContextTtl,
    Document,
    Effort,
    InvalidContext,
    Parameters,
    Thinking,
)
from app.prompt.parameters import check_parameters
from app.prompt.text import UnsafeText, check_text


class InvalidDraft(ValueError):
    """A draft that makes no context. `field` names the part as the HTTP API calls it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Draft:
    """A context as it was sent: texts, and the parameters it is to be asked with."""

    documents: Sequence[tuple[str, str]]
    model: str
    instructions: str | None = None
    max_tokens: int | None = None
    thinking: Thinking | None = None
    effort: Effort | None = None
    ttl: ContextTtl = "auto"

    def context(self) -> Context:
        """The context it makes. Raises `InvalidDraft` with the field and, for a text, the position."""
        try:
            parameters = Parameters(
                self.model,
                DEFAULT_MAX_TOKENS if self.max_tokens is None else self.max_tokens,
                self.thinking,
                self.effort,
                self.ttl,
            )
            check_parameters(parameters, find_model(self.model))
            documents = tuple(Document(title, text) for title, text in self.documents)
            return Context(documents, parameters, self.instructions)
        except InvalidContext as error:
            raise InvalidDraft(error.field, str(error)) from None
        except UnsafeText as error:
            raise InvalidDraft(error.field, str(error)) from None


def check_texts(value: Any) -> None:
    """Look through a draft as it was sent, whatever its shape, for texts that cannot be sent on. Raises `InvalidDraft`."""
    if not isinstance(value, dict):
        return
    documents = value.get("documents")
    texts = [(name, f"the {name}", value.get(name)) for name in ("name", "instructions", "model")]
    for number, document in enumerate(documents if isinstance(documents, list) else []):
        if isinstance(document, dict):
            title = str(document.get("title", number + 1)).encode("utf-8", "backslashreplace").decode()
            texts.append((f"documents.{number}.title", f"the title of document {number + 1}", document.get("title")))
            texts.append((f"documents.{number}.text", f"document “{title}”", document.get("text")))
    for field, where, text in texts:
        if isinstance(text, str):
            try:
                check_text(text, field, where)
            except UnsafeText as error:
                raise InvalidDraft(error.field, str(error)) from None


def uploaded_documents(files: Sequence[tuple[str, bytes]]) -> list[tuple[str, str]]:
    """The documents in uploaded `files`, given as (name, content). Raises `InvalidDraft` naming what is not text."""
    documents = []
    for name, content in files:
        decoded = decode(name, content)
        if isinstance(decoded, Skipped):
            raise InvalidDraft("files", f"“{name}” is {decoded.reason}; only UTF-8 text can be asked about")
        documents.append((decoded.title, decoded.text))
    return documents
