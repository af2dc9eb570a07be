"""Why a turn could not be finished, as the problem details that end its stream."""

from typing import Any

from app.store.connection import StoreUnavailable
from app.upstream.errors import UpstreamError
from app.warm.prefixes import ContextGone

Problem = dict[str, Any]


def problem(title: str, status: int, code: str, detail: str, *, retryable: bool) -> Problem:
    """RFC 9457 problem details with our `code` and `retryable`."""
    return {
        "type": f"/docs#problem-{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "retryable": retryable,
    }


def problem_of(error: UpstreamError | ContextGone | StoreUnavailable) -> Problem:
    """What to tell a reader whose turn ended with `error`."""
    if isinstance(error, UpstreamError):
        return problem("The upstream could not answer", 502, error.code, error.detail, retryable=error.retryable)
    if isinstance(error, ContextGone):
        return problem(
            "The context is gone",
            404,
            "context_gone",
            "The context of this session was deleted; start one over another.",
            retryable=False,
        )
    return problem("Storage is away", 503, "store_unavailable", "Redis is away; ask again in a moment.", retryable=True)


def abandoned() -> Problem:
    """The process that produced the turn ended, or was not heard of again."""
    detail = "The server that was answering went away; ask again."
    return problem("The answer was interrupted", 503, "turn_abandoned", detail, retryable=True)


def internal_error() -> Problem:
    """A bug of ours."""
    detail = "Something went wrong on our side; the server's log says what."
    return problem("Internal error", 500, "internal_error", detail, retryable=True)
