"""Problem details (RFC 9457) for everything that can be wrong with a request."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from app.access.apikeys import UnknownKey
from app.access.limits import LimitReached
from app.contexts.drafts import InvalidDraft
from app.contexts.library import ContextTooLarge, TooManyBytes, TooManyContexts, UnknownContext, UnknownDocument
from app.contexts.sift import TooManyRules
from app.logs import request_id
from app.turns.asking import Draining, OtherQuestion, RequestTooLarge, TurnRunning, UnknownTurn
from app.turns.conversations import InvalidModel, NoSuchTurn, UnknownSession
from app.turns.finding import CannotPin
from app.turns.journal import JournalGone
from app.turns.linking import CannotLink, UnknownLink
from app.turns.problems import internal_error, problem
from app.warm.prefixes import ContextGone
from app.web.numbers import duration
from app.web.schemas import NEEDS
from app.web.templates import templates

MEDIA_TYPE = "application/problem+json"

# What pydantic calls a value that has no fields.
_NO_OBJECT = ("model_type", "model_attributes_type")
_UNSAID = {"field": "content-type", "message": "send application/json"}


class Problem(Exception):
    """An answer that is a problem. `more` are further members, such as the `errors` of a 422."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        *,
        retryable: bool = False,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers
        self.body = problem(title, status, code, detail, retryable=retryable) | more


def invalid(field: str, message: str) -> Problem:
    """422 for one `field`."""
    return invalid_fields([{"field": field, "message": message}])


def invalid_fields(errors: list[dict[str, str]]) -> Problem:
    """422 for each of `errors`, which name a field and say what is wrong with it."""
    said = "; ".join(
        f"{error['field']}: {error['message']}" if error["field"] else error["message"] for error in errors
    )
    return Problem(422, "invalid_request", "The request is not valid", f"{said}.", errors=errors)


def _missing(what: str) -> Callable[[Any], Problem]:
    name = f"No such {what}"
    return lambda _: Problem(404, f"{what}_not_found", name, f"There is no such {what}, or it is not yours.")


def _limit_reached(error: LimitReached) -> Problem:
    wait_s = math.ceil(error.retry_after_s)
    detail = f"{error}; come back in {duration(wait_s * 1000)}."
    return Problem(
        429,
        "limit_reached",
        "Enough for now",
        detail,
        retryable=True,
        limit=error.limit,
        most=error.most,
        retry_after_s=wait_s,
        headers={"retry-after": str(wait_s)},
    )


def _too_large(code: str) -> Callable[[Any], Problem]:
    return lambda error: Problem(413, code, "Too large", _sentence(str(error)))


# The rooms' exceptions, each as the problem that it is to whoever asked.
PROBLEMS: dict[type[Exception], Callable[[Any], Problem]] = {
    Problem: lambda error: error,
    UnknownKey: lambda _: Problem(
        401,
        "unauthorized",
        "Not a key of this server",
        "The bearer token is no API key of this server, or the key was revoked.",
        headers={"www-authenticate": "Bearer"},
    ),
    UnknownContext: _missing("context"),
    UnknownDocument: lambda _: Problem(
        404, "document_not_found", "No such document", "The context has no document of that number, or no text of it."
    ),
    UnknownSession: _missing("session"),
    UnknownTurn: _missing("turn"),
    OtherQuestion: lambda _: Problem(
        409, "key_used", "Another question", "Another question was asked under that Idempotency-Key; take a new one."
    ),
    NoSuchTurn: lambda _: invalid("after_turn", "the session has no ended turn of that number"),
    JournalGone: lambda _: Problem(
        404,
        "journal_gone",
        "No longer kept",
        "The turn's events are no longer kept; its result is part of the session.",
    ),
    ContextGone: lambda _: Problem(
        404, "context_gone", "The context is gone", "The context of this session was deleted; start one over another."
    ),
    TooManyRules: lambda error: invalid("", str(error)),
    InvalidDraft: lambda error: invalid(error.field, str(error)),
    InvalidModel: lambda error: invalid("model", str(error)),
    ContextTooLarge: _too_large("context_too_large"),
    RequestTooLarge: _too_large("session_too_large"),
    TooManyContexts: lambda error: Problem(409, "too_many_contexts", "Too many contexts", _sentence(str(error))),
    TooManyBytes: lambda error: Problem(409, "too_many_bytes", "Too many bytes", _sentence(str(error))),
    LimitReached: lambda error: _limit_reached(error),
    CannotLink: lambda error: Problem(409, "cannot_link", "Nothing to link to", _sentence(str(error))),
    UnknownLink: lambda _: Problem(
        404, "link_not_found", "This link leads nowhere", "It was taken back, or the conversation was deleted."
    ),
    CannotPin: lambda error: Problem(409, "cannot_pin", "Not pinned", _sentence(str(error))),
    TurnRunning: lambda error: Problem(
        409,
        "turn_running",
        "A turn is running",
        "The session answers another question; wait for it, or stop it.",
        retryable=True,
        turn=error.turn,
    ),
    Draining: lambda _: Problem(
        503, "shutting_down", "Shutting down", "This server is about to end; ask again, of another.", retryable=True
    ),
}


def respond(request: Request, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """A problem as JSON, or as a page for someone who asked for one."""
    body = body | {"request_id": request_id.get()} if request_id.get() else body
    wants_page = "text/html" in request.headers.get("accept", "") and not request.scope["path"].startswith("/api/")
    if wants_page:
        shown = {"upstream": None, "problem": body}
        return templates.TemplateResponse(request, "error.html", shown, status_code=body["status"])
    return JSONResponse(body, body["status"], dict(headers or {}), media_type=MEDIA_TYPE)


async def answer_known(request: Request, error: Exception) -> Response:
    """Exception handler for every type in `PROBLEMS`."""
    found = PROBLEMS[type(error)](error)
    return respond(request, found.body, found.headers)


def answer_bug(request: Request) -> Response:
    """What is said of everything else, which the server logs."""
    return respond(request, internal_error())


async def answer_invalid(request: Request, error: Exception) -> Response:
    """Exception handler for bodies and parameters that FastAPI refused."""
    assert isinstance(error, RequestValidationError)
    return respond(request, invalid_fields([_field_error(dict(one)) for one in error.errors()]).body)


async def answer_http(request: Request, error: Exception) -> Response:
    """Exception handler for what the router refuses: unknown paths, wrong methods, bodies that cannot be read."""
    assert isinstance(error, HTTPException)
    if error.status_code == 400:
        why = error.__cause__
        unread = why if isinstance(why, Problem) else invalid("", "the body cannot be read")
        return respond(request, unread.body)
    codes = {404: "not_found", 405: "method_not_allowed"}
    found = Problem(error.status_code, codes.get(error.status_code, "http_error"), error.detail, f"{error.detail}.")
    headers = {"Allow": _methods(request)} if error.status_code == 405 else error.headers
    return respond(request, found.body, headers)


def _methods(request: Request) -> str:
    """The methods that the path takes. The router names only those of the first route that has it."""
    found: set[str] = set()
    for method in ("GET", "POST", "PATCH", "DELETE"):
        scope = dict(request.scope, method=method)
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes):
            found.add(method)
    return ", ".join(sorted(found))


def _field_error(error: dict[str, Any]) -> dict[str, str]:
    # With an @ come the tags of unions, which are no part of what was sent.
    parts = [str(part) for part in error["loc"] if not str(part).startswith("@")]
    place = [part for part in parts if part not in ("body", "query", "path", "header")]
    if error["type"] == "json_invalid":
        return {"field": "", "message": f"the body is not JSON ({error.get('ctx', {}).get('error', 'cannot be read')})"}
    if not place and error["type"] in ("missing", *_NO_OBJECT):
        # FastAPI parses no JSON that is not said to be some, and hands on the bytes.
        unsaid = isinstance(error.get("input"), bytes)
        return _UNSAID if unsaid else {"field": "", "message": "the body must be a JSON object"}
    if error["type"] == "extra_forbidden":
        return {"field": ".".join(place), "message": "unknown field"}
    return {"field": ".".join(place), "message": _said(error)}


def _said(error: dict[str, Any]) -> str:
    """What pydantic says of a field, but in words where it has a pattern, and of JSON where it speaks of Python."""
    said = str(error["msg"])
    if error["type"] == "string_pattern_mismatch":
        return NEEDS.get(error["ctx"]["pattern"], said)
    if error["type"] in _NO_OBJECT:
        return "must be a JSON object"
    return re.sub(r"(?<= or )None$", "null", said)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
