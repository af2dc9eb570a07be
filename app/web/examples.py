"""What the shapes of answers are made with: an example of each, from one conversation, and what several have in common."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="RFC 3339, UTC.")]


def _no_default(schema: dict[str, Any]) -> None:
    del schema["default"]


# A member that is there or not, and never null.
ABSENT = Field(json_schema_extra=_no_default)

SESSION = "s_" + "3f" * 16
TURN = "t_" + "3f" * 16 + "a7" * 16
CONTEXT = "c_" + "9b" * 20
WARM = {
    "state": "warm",
    "reason": None,
    "started_at": "2026-03-01T09:30:00.000Z",
    "predicted_ms": None,
    "expires_at": "2026-03-01T09:35:21.000Z",
    "tokens_read": 0,
    "tokens_written": 197144,
    "cost_usd": 0.49286,
    "shared": False,
    "message_id": "msg_01",
}
VERDICT = {
    "cache": "hit",
    "reason": None,
    "detail": None,
    "diagnosed": None,
    "read": 197144,
    "written": 0,
    "uncached": 25,
    "output": 449,
    "expected_read": 197144,
    "waited_ms": 0,
    "ttfb_ms": 771,
    "ttft_ms": 934,
    "total_ms": 2944,
    "cold_ms": 7837,
    "cost_usd": 0.0243,
    "saved_usd": 0.3746,
    "message_id": "msg_02",
}
PASSAGE = {
    "title": "asyncio/taskgroups.py",
    "before": "class TaskGroup:\n",
    "passage": "    def _abort(self):\n",
    "after": "        self._aborting = True\n",
    "first_line": 2,
    "last_line": 2,
    "from_char": 0,
    "chars": 66,
}
BEGUN = {
    "session": SESSION,
    "conversation": "d1" * 16,
    "context": CONTEXT,
    "context_name": "asyncio",
    "model": "claude-sonnet-5-5",
    "isolation": "shared",
    "created_at": "2026-03-01T09:29:58.120Z",
    "prefix": {"digest": "5d" * 32, "bytes": 511345, "tokens": 197144, "breakpoints": 1},
    "warm": WARM,
}
ANSWERED = {
    "turn": TURN,
    "number": 1,
    "state": "done",
    "question": "How does a TaskGroup cancel its tasks?",
    "answer": "It calls `cancel()` on each …",
    "thinking": "",
    "verdict": VERDICT,
    "problem": None,
    "stopped": None,
    "asked_at": "2026-03-01T09:30:31.402Z",
    "model": "claude-sonnet-5-5",
    "rating": None,
    "branches": [SESSION],
}
WITH_TURNS = BEGUN | {
    "title": "How does a TaskGroup cancel its tasks?",
    "forked_from": {"session": "s_" + "c4" * 16, "after_turn": 0},
    "link": None,
    "linked_branches": [],
    "turns": [ANSWERED],
}
LINK = {"path": "/shared/l_" + "7e" * 32, "turns": 3, "linked_at": "2026-03-01T09:41:10.200Z"}
EXPORTED = {
    name: value
    for name, value in WITH_TURNS.items()
    if name not in ("isolation", "prefix", "warm", "conversation", "forked_from", "link", "linked_branches")
}
LISTED = {
    "session": SESSION,
    "title": "How does a TaskGroup cancel its tasks?",
    "conversation": "d1" * 16,
    "context": CONTEXT,
    "context_name": "asyncio",
    "model": "claude-sonnet-5-5",
    "created_at": "2026-03-01T09:29:58.120Z",
    "asked_at": "2026-03-01T09:30:31.402Z",
    "turns": 3,
    "running": False,
    "branches": 2,
    "match": "…waits for them, then raises an ExceptionGroup …",
    "match_turn": 2,
}
HELD = {
    "context": CONTEXT,
    "name": "asyncio",
    "public": True,
    "model": "claude-sonnet-5-5",
    "bytes": 489812,
    "tokens": 197144,
    "documents": 34,
    "pages": 0,
    "created_at": "2026-03-01T08:00:00.000Z",
    "parameters": {
        "model": "claude-sonnet-5-5",
        "max_tokens": 4096,
        "thinking": None,
        "effort": None,
        "ttl": "auto",
        "citations": False,
    },
    "warnings": [],
}

WHOLE = HELD | {"instructions": None, "titles": [{"title": "asyncio/tasks.py", "bytes": 40213}]}
LEFT_OUT = {"name": "docs/logo.png", "reason": "binary"}


def like(example: Any) -> ConfigDict:
    """Of a model of which `example` is one, and whose members are described where they stand."""
    return ConfigDict(json_schema_extra={"examples": [example]}, use_attribute_docstrings=True)
