"""One exception for all that can go wrong at the upstream, with a code that says what to do about it."""

import math
from enum import StrEnum
from typing import Any

import anthropic

SPEND_CAP = "enforced_spend_limit_reached"
# Of what the upstream says, in characters: some say it with a page of HTML.
MOST_SAID = 400


class UpstreamCode(StrEnum):
    AUTH = "upstream_auth"  # the key was refused (401, 403): set another one
    REFUSED = "upstream_refused"  # the account may not spend (402, or a spend cap): its owner has to act
    INVALID = "upstream_invalid"  # the request was refused (400, 404, 413): asking again gives the same answer
    RATE_LIMITED = "upstream_rate_limited"  # too much at a time (429): later
    OVERLOADED = "upstream_overloaded"  # the API has too much to do (529, 503): later
    FAILED = "upstream_failed"  # the API failed (500, 504, …): again
    UNREACHABLE = "upstream_unreachable"  # no connection, or it broke off: again
    TIMEOUT = "upstream_timeout"  # connected, but silent for too long: again
    GARBLED = "upstream_garbled"  # an answer that is not the Messages API's: look at ANTHROPIC_BASE_URL


_RETRYABLE = {
    UpstreamCode.RATE_LIMITED,
    UpstreamCode.OVERLOADED,
    UpstreamCode.FAILED,
    UpstreamCode.UNREACHABLE,
    UpstreamCode.TIMEOUT,
    UpstreamCode.GARBLED,
}

# What the API calls its errors, in a body or in an `error` event after a 200.
_BY_TYPE = {
    "authentication_error": UpstreamCode.AUTH,
    "permission_error": UpstreamCode.AUTH,
    "billing_error": UpstreamCode.REFUSED,
    "invalid_request_error": UpstreamCode.INVALID,
    "not_found_error": UpstreamCode.INVALID,
    "request_too_large": UpstreamCode.INVALID,
    "rate_limit_error": UpstreamCode.RATE_LIMITED,
    "overloaded_error": UpstreamCode.OVERLOADED,
    "timeout_error": UpstreamCode.FAILED,
    "api_error": UpstreamCode.FAILED,
}
_BY_STATUS = {401: "authentication_error", 402: "billing_error", 403: "permission_error", 429: "rate_limit_error"}
_BY_STATUS |= {503: "overloaded_error", 529: "overloaded_error"}

_MEANING = {
    UpstreamCode.AUTH: "The upstream refused the API key",
    UpstreamCode.REFUSED: "The upstream account may not spend",
    UpstreamCode.INVALID: "The upstream refused the request",
    UpstreamCode.RATE_LIMITED: "The upstream's rate limit was reached",
    UpstreamCode.OVERLOADED: "The upstream is overloaded",
    UpstreamCode.FAILED: "The upstream failed",
    UpstreamCode.UNREACHABLE: "The upstream could not be reached",
    UpstreamCode.TIMEOUT: "The upstream did not answer in time",
    UpstreamCode.GARBLED: "The upstream sent something that is not the Messages API",
}


class UpstreamError(Exception):
    """A call that failed. `detail` is a sentence for people; `status` the upstream's HTTP status, if it gave one, and
    `retry_after_s` the seconds it asked to be left alone for."""

    def __init__(
        self, code: UpstreamCode, reason: str = "", status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s
        self.detail = f"{_MEANING[code]}: {reason.rstrip('.')}." if reason else f"{_MEANING[code]}."
        super().__init__(self.detail)

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code in _RETRYABLE


def from_sdk(error: anthropic.APIError) -> UpstreamError:
    """What the SDK raised, as one of ours."""
    if isinstance(error, anthropic.APIStatusError):
        wait = seconds(error.response.headers.get("retry-after"))
        said = (error.api_message or error.message)[:MOST_SAID]
        if error.error_code == SPEND_CAP:
            return UpstreamError(UpstreamCode.REFUSED, said, error.status_code, wait)
        # Other servers have types of their own; the status is the same everywhere.
        kind = error.type if error.type in _BY_TYPE else _BY_STATUS.get(error.status_code)
        if kind is None:
            kind = "api_error" if error.status_code >= 500 else "invalid_request_error"
        code = _BY_TYPE.get(kind, UpstreamCode.FAILED)
        return UpstreamError(code, said, error.status_code, wait)
    if isinstance(error, anthropic.APITimeoutError):
        return UpstreamError(UpstreamCode.TIMEOUT)
    if isinstance(error, anthropic.APIConnectionError):
        return UpstreamError(UpstreamCode.UNREACHABLE, str(error.__cause__ or ""))
    return UpstreamError(UpstreamCode.GARBLED, str(error))


def from_event(data: dict[str, Any]) -> UpstreamError:
    """The API's `error` event, which ends a stream that began well."""
    error = data.get("error")
    details = error if isinstance(error, dict) else {}
    code = _BY_TYPE.get(str(details.get("type")), UpstreamCode.FAILED)
    return UpstreamError(code, str(details.get("message") or ""))


def seconds(retry_after: str | None) -> float | None:
    """A `retry-after` header in seconds; None when there is none, or it names a date."""
    try:
        wait = float(retry_after or "")
    except ValueError:
        return None
    return max(0.0, wait) if math.isfinite(wait) else None
