"""What changed since a prefix was warm: another model, other parameters, or another version of the context.

Asked only after a miss, so it may look at whole prefixes. It names the block and the byte where the new prefix leaves the
warm one, and what stands there in both.
"""

import asyncio
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from app.ledger.verdict import Reason
from app.prompt.context import Parameters, Ttl
from app.prompt.prefix import Transcript
from app.store.contexts import PUBLIC, Contexts
from app.store.sessions import SessionRecord
from app.store.uses import Uses
from app.store.warms import WarmRecord, Warms, WarmState
from app.warm.prefixes import ContextGone, Prefixes

SHOWN_CHARS = 60
# Of a long line, this much before the place where it differs.
SHOWN_BEFORE = 20
TTLS: tuple[Ttl, ...] = ("5m", "1h")

Text = TypeVar("Text", str, bytes)


@dataclass(frozen=True, slots=True)
class Change:
    """Why a prefix is not the warm one, as a verdict's reason and a sentence."""

    reason: str
    detail: str


class Changes:
    """Compares the first prefix of a session with those that its context's earlier users had warm."""

    def __init__(self, contexts: Contexts, prefixes: Prefixes, warms: Warms, uses: Uses) -> None:
        self._uses = uses
        self._contexts = contexts
        self._prefixes = prefixes
        self._warms = warms

    async def since_warm(self, session: SessionRecord, at_ms: int) -> Change | None:
        """What sets the first prefix of `session` apart from one that was warm at `at_ms`; None when there was none."""
        if session.isolation is not None:
            return None
        mine = Parameters(**session.parameters)
        for context, usual in await self._versions(session):
            for other in dict.fromkeys((mine, *(replace(usual, ttl=ttl) for ttl in TTLS))):
                digest = await self._digest(context, other)
                # Under its own digest stands what the question itself has just written.
                if digest not in (None, session.digests[0]) and await self._was_warm(digest, at_ms):
                    return await self._change(session.context, mine, context, other)
        return await self._asked_otherwise(session, mine, at_ms)

    async def _asked_otherwise(self, session: SessionRecord, mine: Parameters, at_ms: int) -> Change | None:
        """Other sessions have the context warm with parameters of their own: another model, mostly."""
        written = await self._uses.prefixes(session.context)
        others = [digest for digest in written if digest != session.digests[0]]
        for digest, (record, _) in zip(others, await self._warms.get_all(others), strict=True):
            if _was_live(record, at_ms):
                return _parameters_change(mine, Parameters(**written[digest]))
        return None

    async def _versions(self, session: SessionRecord) -> list[tuple[str, Parameters]]:
        """The session's context and what it replaced, each with the parameters that it is usually asked with."""
        before = [await self._contexts.replaced(session.context, owner) for owner in (session.owner, PUBLIC)]
        known = [(context, await self._contexts.about(context)) for context in (session.context, *before) if context]
        return [(context, Parameters(**about["parameters"])) for context, about in known if about is not None]

    async def _digest(self, context: str, parameters: Parameters) -> str | None:
        try:
            opening = await self._prefixes.opening(context, parameters, None)
        except ContextGone:
            return None
        ttl: Ttl = "1h" if parameters.ttl == "1h" else "5m"
        prefix = Transcript(opening, b"", (), ttl).prefix()
        return await asyncio.to_thread(lambda: prefix.digest)

    async def _was_warm(self, digest: str, at_ms: int) -> bool:
        record, _ = await self._warms.get(digest)
        return _was_live(record, at_ms)

    async def _change(self, context: str, mine: Parameters, before: str, other: Parameters) -> Change | None:
        """What sets `context` with the parameters `mine` apart from the version `before` with those of `other`."""
        if _rendering(mine) == _rendering(other):
            try:
                old, new = [await self._prefixes.opening(version, mine, None) for version in (before, context)]
            except ContextGone:
                return None
            if old != new:
                detail = await asyncio.to_thread(lambda: first_difference(b"".join(old), b"".join(new)))
                return Change(Reason.PREFIX_CHANGED, detail)
        return _parameters_change(mine, other)


def _was_live(record: WarmRecord, at_ms: int) -> bool:
    return record.state in (WarmState.WARM, WarmState.COLD) and (record.expires_ms or 0) > at_ms


def first_difference(old: bytes, new: bytes) -> str:
    """Where the prompt `new` leaves the prompt `old`, both openings: byte, block, and what stands there in each."""
    byte = _common(old, new)
    before, after = _blocks(old), _blocks(new)
    block = next(
        (number for number, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]),
        min(len(before), len(after)),
    )
    return f"byte {byte:,}, block {block + 1}: {_said(before, block, after)} became {_said(after, block, before)}"


def _common(old: Text, new: Text) -> int:
    """How many bytes, or characters, both begin with."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _blocks(opening: bytes) -> list[tuple[str, str]]:
    """The blocks of an opening in the order of the cache, as (what it is called, text)."""
    parsed: dict[str, Any] = json.loads(opening + b"}]}]}")
    system = [("the instructions", block["text"]) for block in parsed.get("system", [])]
    documents = parsed["messages"][0]["content"]
    return system + [(f"document “{document['title']}”", _text(document["source"])) for document in documents]


def _text(source: dict[str, str]) -> str:
    """A document's text; of a PDF, which nobody reads as it is encoded, what tells it from another."""
    if source["type"] == "text":
        return source["data"]
    return f"PDF {hashlib.sha256(source['data'].encode()).hexdigest()[:12]}"


def _said(blocks: list[tuple[str, str]], number: int, others: list[tuple[str, str]]) -> str:
    if number >= len(blocks):
        return "nothing"
    name, text = blocks[number]
    same = 0
    if number < len(others) and others[number][0] == name:
        same = _common(text, others[number][1])
    line = text.count("\n", 0, same) + 1
    return f"{name}, line {line} “{_shown(text, same)}”"


def _shown(text: str, place: int) -> str:
    """The line of `text` at `place`, so that what stands there can be seen: also a line's end, a tab, or nothing visible."""
    start = max(text.rfind("\n", 0, place) + 1, place - SHOWN_BEFORE)
    newline = text.find("\n", place)
    end = len(text) if newline < 0 else max(newline, place + 1)
    shown = text[start : min(end, start + SHOWN_CHARS)]
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in shown)


def _rendering(parameters: Parameters) -> tuple[object, ...]:
    """The parameters that the opening's bytes show."""
    return parameters.model, parameters.thinking, parameters.effort, parameters.citations


def _parameters_change(mine: Parameters, other: Parameters) -> Change:
    if mine.model != other.model:
        return Change(Reason.MODEL_CHANGED, f"it is warm for {other.model}, and was asked of {mine.model}")
    differing = [
        name for name in ("thinking", "effort", "ttl", "citations") if getattr(mine, name) != getattr(other, name)
    ]
    said = ", ".join(f"{name} {getattr(other, name)} became {getattr(mine, name)}" for name in differing)
    return Change(Reason.PARAMETERS_CHANGED, f"it is warm for other parameters: {said}")
