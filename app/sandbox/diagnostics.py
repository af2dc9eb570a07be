"""Cache diagnostics: whether this request changed what the previous one had sent. A fingerprint of hashes and token
counts is kept for each request that asks, by the response's id and workspace, for an hour and in bounded number; the
comparison knows nothing of whether the cache hit."""

import json
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from app.sandbox.blocks import Prompt
from app.sandbox.request import Body
from app.sandbox.settings import prompt_settings

KEPT_S = 3600.0
_KEPT = 10_000


@dataclass(frozen=True)
class Fingerprint:
    """`entries`: (hash, tokens) of each message in order."""

    at: float
    model: str
    tools: bytes
    system: bytes
    settings: bytes
    entries: tuple[tuple[bytes, int], ...]
    tools_tokens: int
    system_tokens: int

    @property
    def messages_tokens(self) -> int:
        return sum(tokens for _, tokens in self.entries)

    @property
    def total(self) -> int:
        return self.tools_tokens + self.system_tokens + self.messages_tokens


class Diagnostics:
    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[bytes, str], Fingerprint] = OrderedDict()

    def compare(self, workspace: bytes, previous_id: str | None, mine: Fingerprint) -> dict[str, Any] | None:
        """What the response carries: None on the first turn and where nothing diverged."""
        if previous_id is None:
            return None
        previous = self._kept.get((workspace, previous_id))
        if previous is None or mine.at - previous.at >= KEPT_S:
            return {"cache_miss_reason": {"type": "previous_message_not_found"}}
        reason = _first_divergence(previous, mine)
        return None if reason is None else {"cache_miss_reason": reason}

    def keep(self, workspace: bytes, message_id: str, mine: Fingerprint) -> None:
        self._kept[workspace, message_id] = mine
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)


def fingerprint(body: Body, prompt: Prompt, betas: frozenset[str], at: float) -> Fingerprint:
    entries: dict[str, list[Any]] = {}
    for block in prompt.blocks:
        if block.level == "messages":
            entry = entries.setdefault(block.place.partition(".content")[0], [blake2b(digest_size=16), 0])
            entry[0].update(block.content)
            entry[1] += block.tokens
    system = [block.content for block in prompt.blocks if block.level == "system"]
    return Fingerprint(
        at=at,
        model=body["model"],
        tools=_hash([{**tool, "cache_control": None} for tool in body.get("tools", ())]),
        system=blake2b(b"".join(system), digest_size=16).digest(),
        settings=_hash([prompt_settings(body, prompt.model), sorted(betas)]),
        entries=tuple((digest.digest(), tokens) for digest, tokens in entries.values()),
        tools_tokens=prompt.level_tokens("tools"),
        system_tokens=prompt.level_tokens("system"),
    )


def _first_divergence(previous: Fingerprint, mine: Fingerprint) -> dict[str, Any] | None:
    """In the order of rendering. What a change costs is what both requests had after it."""
    if previous.model != mine.model:
        return _changed("model", min(previous.total, mine.total))
    if previous.tools != mine.tools:
        return _changed("tools", min(previous.total, mine.total))
    if previous.system != mine.system:
        return _changed("system", min(previous.total - previous.tools_tokens, mine.total - mine.tools_tokens))
    if previous.settings != mine.settings:
        return {"type": "unavailable"}
    for i, (digest, _) in enumerate(previous.entries):
        if i >= len(mine.entries) or mine.entries[i][0] != digest:
            rest = (sum(tokens for _, tokens in one.entries[i:]) for one in (previous, mine))
            return _changed("messages", min(rest))
    return None


def _changed(what: str, tokens: int) -> dict[str, Any]:
    return {"type": f"{what}_changed", "cache_missed_input_tokens": tokens}


def _hash(value: Any) -> bytes:
    return blake2b(json.dumps(value, ensure_ascii=False).encode(), digest_size=16).digest()
