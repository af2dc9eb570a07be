"""What is logged, and how: lines for people, or JSON for machines, each with the id of the request that it is about.

A line has a message and fields (`extra=fields(…)`). No field holds a question, an answer, a query string or a header; should
a secret get into a line all the same, it is blotted out before it is written.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

from opentelemetry import trace

# The request that this task, or the task that began it, serves.
request_id: ContextVar[str] = ContextVar("request_id", default="")

NOISY = ("httpx2", "httpcore2", "anthropic", "sse_starlette", "asyncio", "uvicorn", "opentelemetry")
SHORTEST_SECRET = 8
# What looks like a key or an owner's cookie is one, whoever's it is.
_LOOKS_SECRET = re.compile(r"hs_[a-z2-7]{32}|\b[nr][0-9a-f]{8}[A-Za-z0-9_-]{43}|sk-ant-[\w-]+")
_BLOT = "…"
_FIELDS = "headstart_fields"


def configure(level: str, format: Literal["pretty", "json"], secrets: Sequence[str]) -> None:
    """Log to standard error from `level` on, without these `secrets`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter((Json if format == "json" else Pretty)(secrets))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel("WARNING")
    logging.getLogger("uvicorn.error").addFilter(tells_of_trouble)


def tells_of_trouble(record: logging.LogRecord) -> bool:
    """Whether a line of uvicorn's does: not the one about a response that was cut. Streams are, when we are told to stop
    and when their clients take nothing any more, and are taken up again by whoever wants the rest."""
    return "without completing response" not in str(record.msg)


def fields(**named: Any) -> dict[str, dict[str, Any]]:
    """What a line says beside its message, for `extra`; what is None is left out."""
    return {_FIELDS: {name: value for name, value in named.items() if value is not None}}


class Blotting(logging.Formatter):
    """Writes lines without secrets."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__()
        long_enough = [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]
        # As they are, and as JSON has them.
        written = [json.dumps(secret, ensure_ascii=False)[1:-1] for secret in long_enough]
        self._secrets = tuple(dict.fromkeys([*long_enough, *written]))

    def blotted(self, line: str) -> str:
        """`line` without secrets."""
        for secret in self._secrets:
            if secret in line:
                line = line.replace(secret, _BLOT)
        return _LOOKS_SECRET.sub(_BLOT, line)


class Pretty(Blotting):
    """For people: time, level, logger, message, and the fields that it does not say already."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        message = record.getMessage()
        more = {name: str(value) for name, value in _fields_of(record).items()}
        said = "".join(f"  {name}={value}" for name, value in more.items() if value not in message)
        line = f"{at} {record.levelname:<7} {record.name}  {message}{said}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return self.blotted(line)


class Json(Blotting):
    """For machines: one object a line, with `at` (RFC 3339, UTC), `level`, `logger`, `message`, and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"at": at, "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        line |= _fields_of(record)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return self.blotted(json.dumps(line, ensure_ascii=False, default=str))


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    given: Mapping[str, Any] = getattr(record, _FIELDS, {})
    found = dict(given)
    if request := request_id.get():
        found.setdefault("request", request)
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        found["trace"] = trace.format_trace_id(span.trace_id)
    return found
