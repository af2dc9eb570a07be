"""The shapes of what the API gives, for its OpenAPI document: every member, with an example.

Nothing is checked against them while serving: what is stored may be older than this file, and is given as it is. The tests
hold every answer against them, and let none have a member that is not here.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from app.ledger.verdict import Cache
from app.web import examples
from app.web.examples import ABSENT, Time, like


class ProblemError(BaseModel):
    """One field that is not valid."""

    model_config = like({"field": "question", "message": "the question is empty"})

    field: str
    """Its name, with dots between names and positions; empty for the body as a whole."""
    message: str


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: Annotated[str, Field(json_schema_extra={"format": "uri-reference"})]
    """Leads to the sentence about the code."""
    title: str
    status: int
    detail: str
    """What happened, and what to do about it: for people."""
    code: str
    """Stable, for programs."""
    retryable: bool
    """Whether the same request may succeed later."""
    errors: Annotated[list[ProblemError] | SkipJsonSchema[None], ABSENT] = None
    """Of a 422: every field at fault."""
    turn: Annotated[str | SkipJsonSchema[None], ABSENT] = None
    """Of `turn_running`: the turn that runs."""
    request_id: Annotated[str | SkipJsonSchema[None], ABSENT] = None
    """As in `X-Request-Id`, and in the server's log."""
    limit: Annotated[str | SkipJsonSchema[None], ABSENT] = None
    """Of `limit_reached`: which."""
    most: Annotated[float | SkipJsonSchema[None], ABSENT] = None
    """Of `limit_reached`: how much it is."""
    retry_after_s: Annotated[int | SkipJsonSchema[None], ABSENT] = None
    """Of `limit_reached`: when to come back, as `Retry-After` says too."""


class Warm(BaseModel):
    """What is known of the cache entry that the next question needs."""

    model_config = like(examples.WARM)

    state: Literal["cold", "warming", "warm", "skipped", "failed"]
    reason: str | None
    """Why it is not warm: a code."""
    started_at: Time | None
    predicted_ms: int | None
    """What a warm under way should take from its start, by what was learned of the upstream's speed."""
    expires_at: Time | None
    tokens_read: int | None
    tokens_written: int | None
    cost_usd: float | None
    """Null for models without known prices."""
    shared: bool
    """Another session's call made it."""
    message_id: str | None


class Warmed(BaseModel):
    model_config = like({"warm": examples.WARM})

    warm: Warm


class Prefix(BaseModel):
    """The bytes that the next warm and the next question will both send."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    digest: str
    """SHA-256, in hexadecimal."""
    bytes: int
    tokens: int | None
    """As the upstream counted them; null until it has."""
    breakpoints: int


class Verdict(BaseModel):
    """What the cache did for a turn, why, how long it took and what it cost."""

    model_config = like(examples.VERDICT)

    cache: Cache
    """Whether the whole prefix was read, its beginning, or nothing; `uncacheable` where nothing is cached or told."""
    reason: str | None
    """Why it was no hit: a code."""
    detail: str | None
    """More about the reason, for people."""
    diagnosed: dict[str, Any] | None
    """What the upstream's own cache diagnostics say."""
    read: int
    written: int
    uncached: int
    output: int
    expected_read: int
    waited_ms: int
    """The part of `ttft_ms` spent waiting for a warm under way."""
    ttfb_ms: int | None
    ttft_ms: int | None
    """To the first visible text, counted from when the question was accepted."""
    total_ms: int
    cold_ms: int | None
    """An estimate of `ttft_ms` without any cache."""
    cost_usd: float | None
    saved_usd: float | None
    message_id: str | None


class Session(BaseModel):
    """A conversation over a context."""

    model_config = like(examples.BEGUN)

    session: str
    conversation: str
    """The same for a session and all that was forked from it."""
    context: str
    context_name: str
    model: str
    isolation: Literal["shared", "session"]
    created_at: Time
    prefix: Prefix
    warm: Warm


class Fork(BaseModel):
    """What a session was forked from."""

    session: str
    after_turn: int


class Listed(BaseModel):
    """A conversation, or a branch of one, in the list."""

    model_config = like(examples.LISTED)

    session: str
    title: str
    """As its owner calls it, or its first question."""
    conversation: str
    """The same for a session and all that was forked from it."""
    context: str
    context_name: str
    model: str
    created_at: Time
    asked_at: Time
    """When its last question was asked."""
    turns: int
    running: bool
    """Whether its last question is still being answered."""
    branches: int
    """How many there are of the same `conversation`, this one among them, each asked something."""
    match: str | None
    """Of a search that found words in a question or an answer: what stands around them."""
    match_turn: int | None
    """The `number` of the turn that has them."""


class Listing(BaseModel):
    """Conversations, the last asked first."""

    model_config = like({"pinned": [], "sessions": [examples.LISTED], "next": None})

    pinned: list[Listed]
    """Those that their owner pinned, each with the branch that was asked last; with the list's first part alone, and
    with no search. They stand in `sessions` as well."""
    sessions: list[Listed]
    next: str | None
    """The `cursor` with which the list goes on; null at its end."""


class Changed(BaseModel):
    model_config = like({"session": examples.SESSION, "title": "Cancelling tasks", "pinned": True})

    session: str
    title: str
    pinned: bool


class Turn(BaseModel):
    """A question and its answer; of a running, stopped or failed one, the answer as far as it came."""

    model_config = like(examples.ANSWERED)

    turn: str
    number: int
    state: Literal["running", "done", "stopped", "failed"]
    question: str
    answer: str
    thinking: str
    verdict: Verdict | None
    problem: ProblemDetails | None
    stopped: Literal["unread"] | None
    """Why it was stopped, when nobody asked for that."""
    asked_at: Time
    model: str
    """The one that answered: a fork may have another one from some turn on."""
    rating: Literal["good", "bad"] | None
    """What its reader says of the answer."""
    branches: list[str]
    """A session for each question that was asked at this point, this one among them, in the order of their making."""
    html: Annotated[list[str] | SkipJsonSchema[None], ABSENT] = None
    """With `render=html`: the answer's blocks, each one element."""


class Link(BaseModel):
    """What leads whoever has it to the turns that there were when it was made."""

    model_config = like(examples.LINK)

    path: str
    """Of a page of this server."""
    turns: int
    """How many of the session's turns can be read there."""
    linked_at: Time


class Conversation(Session):
    """A session with its turns."""

    model_config = like(examples.WITH_TURNS)

    title: str
    """As its owner calls it, or its first question; empty before that."""
    forked_from: Fork | None
    """Null also when that was erased."""
    link: Link | None
    """Null while it is not shared."""
    linked_branches: list[str]
    """Its branches that are shared."""
    turns: list[Turn]


class Exported(BaseModel):
    """All of a conversation that there is to read."""

    model_config = like(examples.EXPORTED)

    session: str
    title: str
    context: str
    context_name: str
    model: str
    created_at: Time
    turns: list[Turn]


class Block(BaseModel):
    """What a block of the answer looks like now, as sanitized HTML."""

    model_config = like({"block": 2, "html": "<p>It calls <code>cancel()</code>.</p>", "open": False})

    block: int
    html: str
    open: bool
    """It still grows, and is all that follows the blocks before it. Otherwise it is one element, and never changes again."""


class Passage(BaseModel):
    """Part of a document: what a citation points to, and what is around it. Long texts are cut on both sides."""

    model_config = like(examples.PASSAGE)

    title: str
    before: str
    passage: str
    after: str
    first_line: int
    """The passage's, from 1."""
    last_line: int
    from_char: int
    """Where in the document `before` begins."""
    chars: int
    """How long the document is."""


class Rated(BaseModel):
    """What the reader says of an answer now."""

    model_config = like({"turn": examples.TURN, "rating": "good"})

    turn: str
    rating: Literal["good", "bad"] | None


class Stopping(BaseModel):
    """The turn's state as it stood: one that was `running` ends in a moment."""

    model_config = like({"turn": examples.TURN, "state": "running"})

    turn: str
    state: Literal["running", "done", "stopped", "failed"]


class Health(BaseModel):
    model_config = like({"status": "ok"})

    status: str


class TurnBegun(BaseModel):
    """The data of a turn's first event."""

    model_config = like({"turn": examples.TURN, "warm": examples.WARM, "plan": "hit"})

    turn: str
    warm: Warm
    plan: Literal["hit", "join", "cold"]
    """Warm already; waits for a warm under way; or reads the context itself."""


class Restart(BaseModel):
    """The text of the turn so far is void: it streams anew."""

    model_config = like({"turn": examples.TURN})

    turn: str


class Stopped(BaseModel):
    """The turn was ended before its answer was whole."""

    model_config = like({"turn": examples.TURN, "reason": None, "verdict": None})

    turn: str
    reason: Literal["unread"] | None
    """None: somebody asked for it. `unread`: nobody read the turn for a while."""
    verdict: Verdict | None
    """By what the upstream had reported until then; None when that was nothing."""
