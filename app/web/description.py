"""The OpenAPI document: what FastAPI cannot read off a route's signature, and the document's own opening.

A route says with `problems(…)` what can go wrong there, code by code, with `gives(…)` what it answers, and with `streams(…)`
that it answers with events.
"""

from collections import defaultdict
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.web import answers, context_answers, examples
from app.web.codes import CODES, STATUSES
from app.web.owners import COOKIE
from app.web.problems import MEDIA_TYPE
from app.web.schemas import ContextBody, ContextForm

Responses = dict[int | str, dict[str, Any]]

DESCRIPTION = """A chat over a large context whose prompt cache is warmed while the user types.

JSON in, JSON out. Errors are problem details (RFC 9457) with a stable `code`. Times are RFC 3339 in UTC, durations end in
`_ms`, money in `_usd`. Unknown fields are refused. The first answer sets an owner cookie, and what is made with it belongs
to whoever holds it; to others it does not exist."""

TAGS = [
    {"name": "contexts", "description": "What can be asked about."},
    {"name": "sessions", "description": "Conversations: made, warmed, asked, forked, erased."},
    {"name": "turns", "description": "Questions and their answers: followed, stopped."},
    {"name": "operations", "description": "For those who run it."},
]

# What no route's signature has: every problem, the data of events, bodies read by hand. And what has nulls in its example,
# which FastAPI leaves out.
_MENTIONED: tuple[type[BaseModel], ...] = (
    answers.ProblemDetails,
    answers.TurnBegun,
    answers.Restart,
    answers.Stopped,
    answers.Block,
    answers.Session,
    answers.Conversation,
    answers.Warmed,
    context_answers.Contexts,
    answers.Listing,
    answers.Exported,
    context_answers.WholeContext,
    context_answers.AddedContext,
    context_answers.Sifted,
    ContextBody,
    ContextForm,
)
# FastAPI describes its own form of a 422 wherever there are parameters; ours is another, and said where it can happen.
_NOT_OURS = ("HTTPValidationError", "ValidationError")
_ALWAYS = ("internal_error", "store_unavailable")
_RETRYABLE = ("turn_running", "limit_reached", *_ALWAYS)

_EXAMPLE = """id: 1
event: turn
data: {"turn":"t_3f…","warm":{"state":"warm","reason":null},"plan":"hit"}

id: 2
event: message_start
data: {"type":"message_start","message":{"id":"msg_02","role":"assistant"}}

id: 3
event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"It calls"}}

id: 4
event: verdict
data: {"cache":"hit","reason":null,"read":197144,"written":0,"ttft_ms":934}

"""


def ref(model: type[BaseModel]) -> dict[str, str]:
    """Where the document has `model`'s schema."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _event(name: str, data: dict[str, Any], meaning: str, *, has_id: bool = True) -> dict[str, Any]:
    return {
        "title": name,
        "description": meaning,
        "required": ["event", "data", "id"] if has_id else ["event", "data"],
        "properties": {
            "event": {"const": name},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": data},
        },
    }


_OURS = [
    _event("turn", ref(answers.TurnBegun), "The first, at once."),
    _event("restart", ref(answers.Restart), "Forget this turn's text so far: it streams anew."),
    _event("html", ref(answers.Block), "With `render=html`: a block of the answer.", has_id=False),
    _event("verdict", ref(answers.Verdict), "The last: the answer is whole."),
    _event("stopped", ref(answers.Stopped), "The last: somebody ended the turn, or nobody read it."),
    _event("error", ref(answers.ProblemDetails), "The last: the answer could not be finished."),
]
_THEIRS = {
    "title": "an event of the Messages API",
    "description": "`message_start`, `content_block_delta`, …: name and data untouched.",
    "required": ["event", "data"],
    "properties": {
        "event": {"type": "string", "not": {"enum": [event["title"] for event in _OURS]}},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
_ITEM = {
    "type": "object",
    "description": "One server-sent event. All but `ping` and `html` have an id, a whole number that grows within the turn.",
    "properties": {"id": {"type": "string", "pattern": "^[0-9]+$"}},
    "oneOf": [*_OURS, _THEIRS],
}


def gives(
    status: int, model: type[BaseModel], description: str, *, location: str = "", links: dict[str, Any] | None = None
) -> Responses:
    """That a route answers with `model`; `location` says of what the header of that name is the address."""
    response: dict[str, Any] = {"model": model, "description": description}
    if location:
        response["headers"] = {
            "Location": _header(f"The address of the {location}.", {"type": "string"}, required=True)
        }
    if links:
        response["links"] = links
    return {status: response}


def streams(description: str, *, links: Sequence[str] = ()) -> Responses:
    """That a route answers with a turn's events, and the turn's id in a header; `links` are what can be done with it."""
    turn = _header("The turn's id, for `/api/turns/{turn}`.", {"type": "string"}, required=True)
    content = {"text/event-stream": {"itemSchema": _ITEM, "example": _EXAMPLE}}
    response: dict[str, Any] = {"description": description, "headers": {"Turn-Id": turn}, "content": content}
    if links:
        parameters = {"turn": "$response.header.Turn-Id"}
        response["links"] = {name: {"operationId": f"{name}_turn", "parameters": parameters} for name in links}
    return {200: response}


def problems(*codes: str) -> Responses:
    """What can go wrong on a route: `codes`, and what can everywhere."""
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in (*codes, *_ALWAYS):
        by_status[STATUSES[code]].append(code)
    found: Responses = {status: _problem_response(status, here) for status, here in sorted(by_status.items())}
    retried = [503, 429] if "limit_reached" in codes else [503]
    for status in retried:
        found[status]["headers"] = {"Retry-After": _header("In so many seconds.", {"type": "integer"})}
    return found


def _header(description: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": schema}


def _problem_response(status: int, codes: list[str]) -> dict[str, Any]:
    examples = {code: {"summary": CODES[code], "value": _problem(status, code)} for code in codes}
    content = {MEDIA_TYPE: {"schema": ref(answers.ProblemDetails), "examples": examples}}
    return {
        "description": "; ".join(f"`{code}`: {CODES[code].rstrip('.')}" for code in codes) + ".",
        "content": content,
    }


def _problem(status: int, code: str) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "type": f"/docs#problem-{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": CODES[code],
        "code": code,
        "retryable": code in _RETRYABLE,
    }
    if code == "invalid_request":
        shown["errors"] = [{"field": "question", "message": "the question is empty"}]
    if code == "turn_running":
        shown["turn"] = examples.TURN
    if code == "limit_reached":
        shown |= {"limit": "turns_per_minute", "most": 20, "retry_after_s": 3}
    return shown


def operation_id(route: APIRoute) -> str:
    """What a generated client calls the route's function."""
    return route.name


class DescribedApp(FastAPI):
    """An application whose document has what only events and problems are made of too, and who may ask."""

    def openapi(self) -> dict[str, Any]:
        """The document, made when it is first asked for."""
        if self.openapi_schema is not None:
            return self.openapi_schema
        document = super().openapi()
        _complete(document)
        return document


def _complete(document: dict[str, Any]) -> None:
    components = document.setdefault("components", {})
    _, mentioned = models_json_schema(
        [(model, "validation") for model in _MENTIONED], ref_template="#/components/schemas/{model}"
    )
    schemas = components["schemas"] | mentioned["$defs"]
    components["schemas"] = {name: schemas[name] for name in sorted(schemas) if name not in _NOT_OURS}
    components["securitySchemes"] = {
        "owner": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Set by the first answer."},
        "key": {"type": "http", "scheme": "bearer", "description": "An API key, or the admin key."},
    }
    for path, methods in document["paths"].items():
        if path.startswith("/api/"):
            for method, operation in methods.items():
                _complete_operation(method, operation)


def _complete_operation(method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    if method != "get":
        known = responses.get("403", {}).get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
        responses["403"] = _problem_response(403, [*known, "cross_site"])
    responses["421"] = _problem_response(421, ["unknown_host"])
    responses.setdefault("401", _problem_response(401, ["unauthorized", "login_required"]))
    for response in responses.values():
        # A stream has events, of which FastAPI says that they are one string.
        response.get("content", {}).get("text/event-stream", {}).pop("schema", None)
    operation["responses"] = dict(sorted(responses.items()))
    operation["security"] = [{}, {"owner": []}, {"key": []}]
