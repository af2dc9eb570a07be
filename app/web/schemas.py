"""The contract's JSON: what is taken, strictly, and what is given."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.contexts.library import ContextView
from app.turns.conversations import Session, TurnView
from app.warm.state import rfc3339

MAX_NAME_CHARS = 200
MAX_DOCUMENTS = 10_000


class Taken(BaseModel):
    """A request's body: unknown fields are refused, and types are not bent to fit."""

    model_config = ConfigDict(extra="forbid", strict=True)


class DocumentBody(Taken):
    title: Annotated[str, Field(min_length=1, max_length=1000)]
    text: Annotated[str, Field(min_length=1)]


class ContextParameters(Taken):
    """What multipart and JSON share."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS, pattern=r"\S", examples=["handbook"])]
    instructions: Annotated[str, Field(min_length=1)] | None = None
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    thinking: Literal["adaptive", "disabled", "between_tools"] | None = None
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    ttl: Literal["5m", "1h", "auto"] = "auto"


class ContextBody(ContextParameters):
    documents: Annotated[list[DocumentBody], Field(min_length=1, max_length=MAX_DOCUMENTS)]


class SessionBody(Taken):
    context: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS, examples=["asyncio"])]
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    isolation: Literal["shared", "session"] = "shared"


class WarmBody(Taken):
    trigger: Literal["focus", "keystroke", "visible", "api"] = "api"
    wait: bool = False


class AskBody(Taken):
    question: Annotated[str, Field(min_length=1, examples=["How does a TaskGroup cancel its tasks?"])]


class ForkBody(Taken):
    after_turn: Annotated[int, Field(ge=0)]


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
        "created_at": rfc3339(view.created_ms),
        "parameters": {
            name: getattr(view.parameters, name) for name in ("model", "max_tokens", "thinking", "effort", "ttl")
        },
        "warnings": list(view.warnings),
    }
    if whole:
        shown["instructions"] = view.instructions
        shown["titles"] = [{"title": title, "bytes": size} for title, size in view.titles]
    return shown


def session_json(session: Session, warm: dict[str, Any], tokens: int | None) -> dict[str, Any]:
    """A session, with its `warm` as the contract shows it."""
    return {
        "session": session.id,
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


def turn_json(view: TurnView) -> dict[str, Any]:
    """A turn of a session."""
    return {
        "turn": view.turn,
        "number": view.number,
        "state": view.state.value,
        "question": view.question,
        "answer": view.answer,
        "thinking": view.thinking,
        "verdict": view.verdict,
        "problem": view.problem,
        "asked_at": rfc3339(view.asked_ms),
    }
