"""Transcripts and prefixes: bytes that are only ever appended to, and where their breakpoints go.

A transcript is a session's opening and its complete turns, without a single `cache_control`. A prefix is that transcript
with breakpoints spliced in at known offsets: one at the end of the context, which every session over it shares, and one
at the end of the last complete turn. The API looks back at most 20 blocks from a breakpoint for an earlier entry, so
when the last turn alone is longer than that, the turn before it keeps its breakpoint too. Never more than three.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from app.prompt.context import Ttl
from app.prompt.render import answer_blocks, question_bytes

LOOKBACK = 20
MARKS: dict[Ttl, bytes] = {
    "5m": b',"cache_control":{"type":"ephemeral"}',
    "1h": b',"cache_control":{"type":"ephemeral","ttl":"1h"}',
}


@dataclass(frozen=True, slots=True)
class End:
    """Where one complete turn ends: `size` bytes and `blocks` content blocks after the end of the opening. Its last
    byte is the closing brace of a block that a breakpoint can be put on."""

    size: int
    blocks: int

    def as_list(self) -> list[int]:
        """The same as a list that can be stored, and given back as `End(*list)`."""
        return [self.size, self.blocks]


class Begun:
    """SHA-256 of what prefixes begin with that have the same opening and mark: worked out once, and gone on from."""

    def __init__(self) -> None:
        self._digest: Any = None

    def after(self, opened: Sequence[bytes]) -> Any:
        """A hash that has taken `opened`, which is the same each time."""
        if self._digest is None:
            digest = hashlib.sha256()
            for part in opened:
                digest.update(part)
            self._digest = digest
        return self._digest.copy()


@dataclass(frozen=True)
class Prefix:
    """The bytes that warm and ask share, in the pieces they are joined from: the first `opened` of them are what `begun`
    is about. `turn` is the turn they are for, from 1."""

    parts: tuple[bytes, ...]
    turn: int
    breakpoints: int
    opened: int
    begun: Begun = field(compare=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hex."""
        digest = self.begun.after(self.parts[: self.opened])
        for part in self.parts[self.opened :]:
            digest.update(part)
        whole: str = digest.hexdigest()
        return whole

    @property
    def size(self) -> int:
        """The number of bytes."""
        return sum(map(len, self.parts))

    @property
    def first(self) -> bool:
        """Whether this prefix holds no turn yet, only the context."""
        return self.turn == 1

    def body(self, tail: bytes) -> bytes:
        """A whole request: this prefix and `tail`, copied once."""
        return b"".join((*self.parts, tail))


@dataclass(frozen=True, slots=True)
class Transcript:
    """A session's bytes so far: `opening` from `render_opening`, `turns` as appended, and where each turn ends.
    `begun` may be shared with others of the same opening and `ttl`."""

    opening: tuple[bytes, ...]
    turns: bytes
    ends: tuple[End, ...]
    ttl: Ttl
    begun: Begun = field(default_factory=Begun, compare=False)

    def prefix(self) -> Prefix:
        """The prefix for the next turn."""
        mark = MARKS[self.ttl]
        opened = (*self.opening, mark + b"}")
        if not self.ends:
            return Prefix(opened, turn=1, breakpoints=1, opened=len(opened), begun=self.begun)
        offsets = [end.size - 1 for end in self._marked()]
        parts = [*opened]
        for start, stop in zip([0, *offsets], [*offsets, self.ends[-1].size], strict=True):
            parts += [self.turns[start:stop], mark]
        turn, breakpoints = len(self.ends) + 1, 1 + len(offsets)
        return Prefix(tuple(parts[:-1]), turn, breakpoints, opened=len(opened), begun=self.begun)

    def until(self, turns: int) -> "Transcript":
        """The transcript as it was after so many turns."""
        ends = self.ends[:turns]
        return replace(self, turns=self.turns[: ends[-1].size] if ends else b"", ends=ends)

    def _marked(self) -> Sequence[End]:
        last = self.ends[-1]
        if len(self.ends) > 1 and last.blocks - self.ends[-2].blocks >= LOOKBACK:
            return self.ends[-2:]
        return self.ends[-1:]


def append_turn(transcript: Transcript, question: str, answer: Sequence[dict[str, Any]]) -> tuple[bytes, End] | None:
    """The bytes that a complete turn adds to `transcript`, and where it then ends.

    None when the answer has no block that the API would take back: such a turn leaves the transcript as it was.
    """
    blocks = answer_blocks(answer)
    if not blocks:
        return None
    before = transcript.ends[-1] if transcript.ends else End(0, 0)
    added = question_bytes(question, first=not transcript.ends)
    added += b']},{"role":"assistant","content":[' + b",".join(blocks)
    return added, End(before.size + len(added), before.blocks + 1 + len(blocks))
