"""The contract's JSON: what is taken, strictly, and what is given."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from app.contexts.documents import Skipped
from app.contexts.library import ContextView
from app.turns.conversations import Session, TurnView
from app.turns.finding import MAX_TITLE_CHARS, Listed
from app.turns.linking import Link
from app.warm.state import rfc3339

MAX_NAME_CHARS = 200
MAX_DOCUMENTS = 10_000
MAX_PATHS = 200_000
MAX_URLS = 20
MAX_URL_CHARS = 2_000
# Beyond every model's longest answer; for models that are not known, nothing else bounds it.
MOST_TOKENS = 10_000_000

Index = Annotated[int, Field(ge=0, lt=1 << 31)]
Render = Annotated[Literal["", "html"], Query(description="`html`: with the answer as sanitized HTML, in blocks.")]


# What the document says of texts, which are checked elsewhere to say where in them the trouble is.
_TEXT = Field(min_length=1, json_schema_extra={"pattern": r"^[^\u0000]*$"})
_SAID = Field(min_length=1, json_schema_extra={"pattern": r"^[^\u0000]*[^\s\u0000\u001c-\u001f][^\u0000]*$"})

_SEEN = r"\S"
_UNCONTROLLED = r"^[^\x00-\x1f\x7f]+$"
KEY = r"^[!-~]+$"
# What to say of a text that a pattern refuses.
NEEDS = {
    _SEEN: "needs a visible character",
    _UNCONTROLLED: "must have no control characters",
    KEY: "must be ASCII, without spaces",
}

_MODEL = Field(min_length=1, max_length=200, pattern=_UNCONTROLLED, examples=["claude-sonnet-5-5"])


class Taken(BaseModel):
    """A request's body: unknown fields are refused, and types are not bent to fit."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


class DocumentBody(Taken):
    """One text of a context."""

    title: Annotated[str, _TEXT, Field(max_length=1000, examples=["handbook/leave.md"])]
    text: Annotated[str, _TEXT, Field(examples=["# Leave\n\nEveryone has 30 days."])]


class UrlBody(Taken):
    """Text or PDF that the server fetches from the public internet."""

    url: Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARS, examples=["https://example.com/manual.html"])]


class SiftBody(Taken):
    """A folder before it is sent: the paths of its files, and what its `.gitignore` files say."""

    paths: Annotated[list[str], Field(max_length=MAX_PATHS, examples=[["docs/a.md", "docs/.env"]])]
    gitignores: Annotated[dict[str, str], Field(max_length=MAX_DOCUMENTS)] = {}


class ContextParameters(Taken):
    """What multipart and JSON share."""

    name: Annotated[str, _SAID, Field(max_length=MAX_NAME_CHARS, pattern=_SEEN, examples=["handbook"])]
    """A context of yours that had the name before is replaced."""
    instructions: Annotated[str, _TEXT, Field(examples=["Answer in one paragraph."])] | None = None
    """What the model is told before it reads the documents."""
    model: Annotated[str, _MODEL] | None = None
    """By default the server's."""
    max_tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS, examples=[4096])] | None = None
    """The longest answer, thinking included; by default as long as suits most."""
    thinking: Literal["adaptive", "disabled", "between_tools"] | None = None
    """Not every model takes every kind; a 422 says which."""
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    ttl: Literal["5m", "1h", "auto"] = "auto"
    """How long cache entries live; `auto` chooses when a session begins, by how often the context is used."""
    citations: bool = False
    """Whether answers say where in the documents they have it from."""


def _kind(value: Any) -> str | None:
    if isinstance(value, dict) and {"url", "text"} <= value.keys():
        return None
    return "@url" if isinstance(value, UrlBody) or (isinstance(value, dict) and "url" in value) else "@text"


AnyDocumentBody = Annotated[
    Annotated[DocumentBody, Tag("@text")] | Annotated[UrlBody, Tag("@url")],
    Discriminator(
        _kind,
        custom_error_type="text_and_url",
        custom_error_message="a document has either a text or a url, not both",
    ),
]


class ContextBody(ContextParameters):
    """A context from texts and URLs."""

    documents: Annotated[list[AnyDocumentBody], Field(min_length=1, max_length=MAX_DOCUMENTS)]


def _without_nulls(schema: dict[str, Any]) -> None:
    """A form's field is given or left out."""
    for name, described in schema["properties"].items():
        if "anyOf" in described:
            schema["properties"][name] = described["anyOf"][0] | {"description": described.get("description", name)}


class ContextForm(ContextParameters):
    """A context from files, as multipart."""

    model_config = ConfigDict(json_schema_extra=_without_nulls)

    files: Annotated[list[Annotated[str, Field(json_schema_extra={"format": "binary"})]], Field(min_length=1)]
    """Text in UTF-8, PDFs, zip archives; the files' names, which may be paths, are the documents' titles."""
    urls: Annotated[list[str], Field(max_length=MAX_URLS)] = []
    """Fetched like the `url` of a document. With one, `files` may be left out."""


class SessionBody(Taken):
    """What a conversation is to be over."""

    context: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS, examples=["asyncio"])]
    """Its id or name."""
    model: Annotated[str, _MODEL] | None = None
    """By default the context's, or one that takes it where that may not be asked (`HEADSTART_MODELS`)."""
    isolation: Literal["shared", "session"] = "shared"
    """`session`: share the cache with nobody; it costs a warm of its own."""


class WarmBody(Taken):
    """Why to warm now, and whether to wait for it."""

    trigger: Literal["focus", "keystroke", "visible", "api"] = "api"
    """What the reader did; the odds that a question follows are learned by it."""
    wait: bool = False
    """Answer when the warm has ended, not at once."""


class AskBody(Taken):
    """A question."""

    question: Annotated[str, _SAID, Field(examples=["How does a TaskGroup cancel its tasks?"])]


class RatingBody(Taken):
    """What the reader says of an answer."""

    rating: Annotated[Literal["good", "bad", None], Field(examples=["good"])]
    """Null: nothing any more."""


class ForkBody(Taken):
    """Where to branch off."""

    after_turn: Annotated[int, Field(ge=0, examples=[1])]
    """The last turn that is shared; 0 shares the context alone."""
    model: Annotated[str, _MODEL] | None = None
    """Who answers from there on, by default who answered until then. Another one has a cache of its own."""
    isolation: Literal["shared", "session"] = "shared"
    """`session`: a copy that shares the cache with nobody, is in no list, is no branch, and is erased with this one."""


def _any_of_these(schema: dict[str, Any]) -> None:
    """What is left out stays as it is: there are no defaults."""
    schema["minProperties"] = 1
    for described in schema["properties"].values():
        described.pop("default")


class ChangesBody(Taken):
    """What is to change of a conversation and all its branches: one of these at least."""

    model_config = ConfigDict(json_schema_extra=_any_of_these)

    title: Annotated[str, _SAID, Field(max_length=MAX_TITLE_CHARS, pattern=_SEEN, examples=["Cancelling tasks"])] = ""
    """What it is called."""
    pinned: bool = False
    """Whether it stands at the head of the list: at most 20 do."""


def listed_json(listed: Listed) -> dict[str, Any]:
    """A session in a list."""
    session = listed.session
    return {
        "session": session.id,
        "title": listed.title,
        "conversation": session.family,
        "context": session.context,
        "context_name": session.context_name,
        "model": session.parameters["model"],
        "created_at": rfc3339(session.created_ms),
        "asked_at": rfc3339(listed.asked_ms),
        "turns": listed.turns,
        "running": session.running is not None,
        "branches": listed.branches,
        "match": listed.match,
        "match_turn": listed.match_turn,
    }


def context_json(view: ContextView, *, whole: bool = False) -> dict[str, Any]:
    """A context; `whole` adds its instructions and the documents' titles."""
    shown = {
        "context": view.id,
        "name": view.name,
        "public": view.public,
        "model": view.parameters.model,
        "bytes": view.bytes,
        "tokens": view.tokens,
        "documents": len(view.titles),
        "pages": view.pages,
        "created_at": rfc3339(view.created_ms),
        "parameters": {
            name: getattr(view.parameters, name)
            for name in ("model", "max_tokens", "thinking", "effort", "ttl", "citations")
        },
        "warnings": list(view.warnings),
    }
    if whole:
        shown["instructions"] = view.instructions
        shown["titles"] = [{"title": title, "bytes": size} for title, size in view.titles]
    return shown


def left_out_json(skipped: Iterable[Skipped], ignored: int) -> dict[str, Any]:
    """What gave no document, by name, and how many files `.gitignore` files left out unnamed."""
    return {"skipped": [{"name": one.title, "reason": one.reason} for one in skipped], "ignored": ignored}


def session_json(session: Session, warm: dict[str, Any], tokens: int | None) -> dict[str, Any]:
    """A session, with its `warm` as the contract shows it."""
    return {
        "session": session.id,
        "conversation": session.family,
        "context": session.context,
        "context_name": session.context_name,
        "model": session.parameters["model"],
        "isolation": "session" if session.isolation else "shared",
        "created_at": rfc3339(session.created_ms),
        "prefix": {
            "digest": session.digests[-1],
            "bytes": session.size,
            "tokens": tokens,
            "breakpoints": session.breakpoints,
        },
        "warm": warm,
    }


def link_json(link: Link) -> dict[str, Any]:
    """What leads others to the first turns of a session."""
    return {"path": f"/shared/{link.id}", "turns": link.turns, "linked_at": rfc3339(link.at_ms)}


def turn_json(view: TurnView, model: str, branches: list[str]) -> dict[str, Any]:
    """A turn of a session with `model`; `branches` lead to each question that was asked at this point."""
    return {
        "turn": view.turn,
        "number": view.number,
        "state": view.state.value,
        "question": view.question,
        "answer": view.answer,
        "thinking": view.thinking,
        "verdict": view.verdict,
        "problem": view.problem,
        "stopped": view.stopped,
        "asked_at": rfc3339(view.asked_ms),
        "model": view.model or model,
        "rating": view.rating,
        "branches": branches,
    }
