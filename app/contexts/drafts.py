"""What people send to be made a context, checked in their own terms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.contexts.documents import Collected
from app.contexts.uploads import collect_uploaded
from app.models import find_model, refusal
from app.prompt.context import (
    DEFAULT_MAX_TOKENS,
    AnyDocument,
    Context,
    ContextTtl,
    Document,
    Effort,
    InvalidContext,
    Parameters,
    Thinking,
    pages,
)
from app.prompt.parameters import check_pages, check_parameters
from app.prompt.text import UnsafeText, check_text

NAMED = 3


class InvalidDraft(ValueError):
    """A draft that makes no context. `field` names the part as the HTTP API calls it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Draft:
    """A context as it was sent: documents, and the parameters it is to be asked with."""

    documents: Sequence[AnyDocument]
    model: str
    instructions: str | None = None
    max_tokens: int | None = None
    thinking: Thinking | None = None
    effort: Effort | None = None
    ttl: ContextTtl = "auto"
    citations: bool = False

    def context(self) -> Context:
        """The context it makes. Raises `InvalidDraft` with the field and, for a text, the position."""
        if (refused := refusal(self.model)) is not None:
            raise InvalidDraft("model", refused)
        try:
            parameters = Parameters(
                self.model,
                DEFAULT_MAX_TOKENS if self.max_tokens is None else self.max_tokens,
                self.thinking,
                self.effort,
                self.ttl,
                self.citations,
            )
            check_parameters(parameters, find_model(self.model))
            check_pages(pages(self.documents), find_model(self.model))
            return Context(tuple(self.documents), parameters, self.instructions)
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


def text_document(title: str, text: str) -> AnyDocument:
    return Document(title, text)


def uploaded_documents(files: Sequence[tuple[str, bytes]]) -> Collected:
    """The documents in uploaded `files`, given as (path, content). Raises `InvalidDraft` when there is none in them."""
    collected = collect_uploaded(files)
    if files and not collected.documents:
        raise InvalidDraft("files", f"there is nothing to ask about in what was sent: {_told(collected)}")
    return collected


def _told(collected: Collected) -> str:
    """What was left out, in words: the first few by name."""
    told = [f"“{one.title}” is left out ({one.reason})" for one in collected.skipped[:NAMED]]
    if len(collected.skipped) > NAMED:
        told.append(f"and {len(collected.skipped) - NAMED:,} more are left out")
    if collected.ignored:
        told.append(f".gitignore files leave out {collected.ignored:,}")
    return "; ".join(told) or "only empty folders"
