"""Stored turns and their journals.

A turn is a hash; its journal is a Redis Stream of finished SSE frames. Ids of stream entries are `epoch-sequence`: a
producer writes under the epoch it was given, and Redis itself refuses an entry that is not after the last one, so a
producer whose turn was taken over (a higher epoch) can write nothing more. Clients see one integer for both. An epoch
begins with an entry that shows nothing: it is there so that the one before it is over.

States: running → done | stopped | failed. A turn starts in `accept_turn.lua` and ends in `finish_turn.lua`, once.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from secrets import token_hex
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from app.store import keys
from app.store.address import Endpoint
from app.store.connection import Command, Store, StoreUnavailable

_SEQUENCE_BITS = 32
_SEQUENCES = (1 << _SEQUENCE_BITS) - 1


class TurnState(StrEnum):
    RUNNING = "running"  # accepted; its journal still grows
    DONE = "done"  # answered: its last event is `verdict`
    STOPPED = "stopped"  # ended by the user: its last event is `stopped`
    FAILED = "failed"  # could not be answered: its last event is `error`


def event_id(epoch: int, sequence: int) -> int:
    """Where an event stands in its journal: by epoch, then by sequence from 1. It is the integer that clients see."""
    return epoch << _SEQUENCE_BITS | sequence


def _entry_id(number: int) -> str:
    """The event's id as Redis has it."""
    return f"{number >> _SEQUENCE_BITS}-{number & _SEQUENCES}"


class Entry(NamedTuple):
    """One event of a journal: its id, the frame as clients get it, and whether it ends the turn."""

    id: int
    frame: bytes
    last: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """How a turn stands: the epoch it is in, None when it was erased, and whether somebody wants it stopped."""

    turn: str
    epoch: int | None
    stop: bool


class Grown(Exception):
    """The session does not have as many complete turns as it had when it was looked at."""


class Turns:
    """The turns in `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._taker = token_hex(8)

    def part(self, session: str) -> Endpoint | None:
        """Which server of a cluster has what is `session`'s, as far as is known; None where there is but one."""
        return self._store.part(keys.session(session))

    async def accept(
        self, session: str, turn: str, fields: Mapping[str, str | int], frame: bytes, *, complete: int
    ) -> str | None:
        """Start `turn` with its first event, unless the session runs another, or has other than `complete` complete turns.

        Answers None when it started, the running turn's id when there is one, and its own when it was started before: by
        another call, or so long ago that it has ended. Raises `LookupError` without a session, and `Grown`.
        """
        answer = await self._store.run(
            "accept_turn",
            [
                *(keys.session(session), keys.turn(session, turn), keys.journal(session, turn)),
                *(keys.turn_list(session), keys.ends(session)),
            ],
            [turn, frame, complete, token_hex(8), *(part for field in fields.items() for part in field)],
        )
        if answer == b"gone":
            raise LookupError(session)
        if answer == b"grown":
            raise Grown(session)
        return answer.decode() or None

    async def write(self, entries: Sequence[tuple[str, str, Entry]]) -> list[bool]:
        """Append entries of any number of turns, given as (session, turn, entry), in one round trip.

        Answers for each whether it is in the journal: False when the turn was erased, has ended, or has a producer of a
        higher epoch. Writing an entry that is there already counts as written, so a write may be tried again.
        """
        answers = await self._store.batch(
            [
                ("XADD", keys.journal(session, turn), "NOMKSTREAM", _entry_id(entry.id), "f", entry.frame)
                for session, turn, entry in entries
            ]
        )
        written = [answer is not None for answer in answers]
        refused = [place for place, answer in enumerate(answers) if isinstance(answer, ResponseError)]
        if refused:
            commands: list[Command] = []
            for session, turn, entry in (entries[place] for place in refused):
                at = _entry_id(entry.id)
                commands.append(("XRANGE", keys.journal(session, turn), at, at))
            for place, found in zip(refused, await self._store.batch(commands), strict=True):
                written[place] = bool(found) and not isinstance(found, ResponseError)
        return written

    async def read(self, session: str, turn: str, after: int) -> list[Entry]:
        """The journal's entries after the event `after` (0 for all)."""
        start = f"({_entry_id(after)}"
        return [_parse_entry(raw) for raw in await self._store.do("XRANGE", keys.journal(session, turn), start, "+")]

    async def follow(self, positions: Mapping[tuple[str, str], int], block_ms: int) -> dict[str, list[Entry]]:
        """New entries of several journals, by turn: waits up to `block_ms` for the first. Keys are (session, turn)."""
        names = {keys.journal(session, turn): turn for session, turn in positions}
        after = [_entry_id(position) for position in positions.values()]
        answer = await self._store.news(dict(zip(names, after, strict=True)), block_ms)
        return {names[name.decode()]: [_parse_entry(raw) for raw in entries] for name, entries in answer}

    async def without_journal(self, turns: Sequence[tuple[str, str]]) -> list[str]:
        """Those of `turns`, given as (session, turn), that have no journal any more."""
        answers = await self._store.batch([("EXISTS", keys.journal(session, turn)) for session, turn in turns])
        return [turn for (_, turn), exists in zip(turns, answers, strict=True) if not exists]

    async def finish(
        self,
        session: str,
        turn: str,
        entry: Entry,
        fields: Mapping[str, str],
        *,
        appended: "Appended | None",
        keep_journal_s: int,
    ) -> bool:
        """End `turn` with its last event, and append what it adds to the transcript, in one step.

        False when it has ended already, has another producer, or was erased.
        """
        answer = await self._store.run(
            "finish_turn",
            [
                *(keys.session(session), keys.turn(session, turn), keys.journal(session, turn)),
                *(keys.transcript(session), keys.ends(session)),
            ],
            [
                *(turn, entry.id >> _SEQUENCE_BITS, _entry_id(entry.id), entry.frame, keep_journal_s),
                *(appended.arguments() if appended else ("", "", "", 0, 0, "")),
                *(part for field in fields.items() for part in field),
            ],
        )
        return bool(answer)

    async def get(self, session: str, turn: str) -> dict[str, str] | None:
        """A turn's fields; None when there is none."""
        fields = await self._store.do("HGETALL", keys.turn(session, turn))
        return {name.decode(): value.decode() for name, value in fields.items()} or None

    async def of_session(self, session: str) -> list[dict[str, str]]:
        """Every turn of `session`, in order."""
        turns = [turn.decode() for turn in await self._store.do("LRANGE", keys.turn_list(session), 0, -1)]
        answers = await self._store.batch([("HGETALL", keys.turn(session, turn)) for turn in turns]) if turns else []
        found = [{name.decode(): value.decode() for name, value in answer.items()} for answer in answers]
        return [fields for fields in found if fields]

    async def copy(self, session: str, turns: Sequence[dict[str, str]]) -> None:
        """Give `session`, which has none yet, copies of ended `turns`: under ids of their own, without journals. A rating is
        shown there, too, and counted where it was given."""
        commands: list[Command] = []
        for fields in turns:
            turn = keys.new_turn_id(session)
            copied = {name: value for name, value in fields.items() if not name.startswith("rating")} | {"turn": turn}
            if rating := rating_of(fields):
                copied["rating_copied"] = rating
            commands.append(("HSET", keys.turn(session, turn), *(part for field in copied.items() for part in field)))
            commands.append(("RPUSH", keys.turn_list(session), turn))
        if commands:
            await self._store.together(commands)

    async def vouch(self, turns: Sequence[str], lease_ms: int) -> None:
        """Say that `turns` are being produced, and will be heard of again within `lease_ms`."""
        await self._store.run("vouch_turns", [keys.RUNNING], [lease_ms, *turns])

    async def watch(self, turns: Sequence[str], within_ms: int) -> None:
        """`turns` were met running: if nobody vouches for them, and is not heard of `within_ms` either, they are orphans."""
        await self._store.run("watch_turns", [keys.RUNNING], [within_ms, *turns])

    async def forget_running(self, turn: str) -> None:
        """`turn` has ended: nobody need watch over it any more."""
        await self._store.do("ZREM", keys.RUNNING, turn)

    async def adopt_orphans(self, lease_ms: int, patience_ms: int) -> dict[str, int]:
        """Turns that nobody vouches for any more, with the milliseconds for which that has been so: for `lease_ms` the
        caller's alone to take. When nobody asked for `patience_ms`, there are none until producers had time to vouch."""
        found = await self._store.run("adopt_orphans", [keys.RUNNING, keys.LOOKED], [lease_ms, patience_ms])
        return {turn.decode(): int(late_ms) for turn, late_ms in zip(found[::2], found[1::2], strict=True)}

    async def take(self, session: str, turn: str, epoch: int) -> tuple[int, int] | None:
        """Begin another attempt at `turn` under a higher epoch: from here on, nothing can be written under `epoch`.

        Answers the new epoch and the number of attempts made, with this one; None when the turn is not in `epoch`, has ended
        or was erased.
        """
        named = [keys.session(session), keys.turn(session, turn), keys.journal(session, turn)]
        taken = await self._store.run("take_turn", named, [epoch, self._taker])
        return (int(taken[0]), int(taken[1])) if taken else None

    async def hand_over(self, session: str, turn: str, epoch: int) -> None:
        """Leave `turn`, produced under `epoch`, for another process to go on with at once."""
        if await self._store.run("hand_over_turn", [keys.turn(session, turn)], [epoch]):
            await self.vouch([turn], 0)

    async def mark_tailed(self, turns: Sequence[tuple[str, str]], for_ms: int) -> None:
        """Say that clients of this process read `turns`, given as (session, turn), and will for `for_ms`."""
        await self._store.batch([("SET", keys.tailed(session, turn), "", "PX", for_ms) for session, turn in turns])

    async def untailed(self, turns: Sequence[tuple[str, str]]) -> list[str]:
        """Those of `turns`, given as (session, turn), that no process has marked."""
        answers = await self._store.batch([("EXISTS", keys.tailed(session, turn)) for session, turn in turns])
        return [turn for (_, turn), marked in zip(turns, answers, strict=True) if not marked]

    async def rate(self, session: str, turn: str, rating: str, saying: str) -> tuple[TurnState, str] | None:
        """Have an ended `turn` be rated so, "" is not at all; its state, and its rating before. None when there is none. The
        same `saying` is heard once."""
        found = await self._store.run("rate_turn", [keys.turn(session, turn)], [rating, saying])
        return (TurnState(found[0].decode()), found[1].decode()) if found else None

    async def ask_to_stop(self, session: str, turn: str) -> TurnState | None:
        """Have whichever process produces `turn`, now or later, end it; its state as it stood, None when there is none."""
        state = await self._store.run("stop_turn", [keys.turn(session, turn)], [])
        if state is None:
            return None
        if state == b"running":
            await self._store.do("PUBLISH", keys.STOPS, turn)
        return TurnState(state.decode())

    async def stops(self) -> AsyncIterator[str | None]:
        """Turns that somebody wants stopped, as it is said; None once, when listening has begun."""
        async for message in self._store.listen(keys.STOPS):
            yield message.decode() if message is not None else None

    async def stand(self, running: Sequence[tuple[str, str]]) -> list[Standing]:
        """How the `running` (session, turn) stand, but for those whose part of Redis is away."""
        named = [keys.turn(session, turn) for session, turn in running]
        answers = await self._store.batch([("HMGET", name, "epoch", "stop") for name in named], in_part=True)
        there = [
            (turn, answer)
            for (_, turn), answer in zip(running, answers, strict=True)
            if not isinstance(answer, StoreUnavailable)
        ]
        return [
            Standing(turn, None if epoch is None else int(epoch), stop is not None) for turn, (epoch, stop) in there
        ]


@dataclass(frozen=True, slots=True)
class Appended:
    """What a complete turn adds to its session: bytes, its end, and the digest, size and breakpoints of the next prefix."""

    transcript: bytes
    end: Any
    digest: str
    size: int
    breakpoints: int
    message_id: str | None

    def arguments(self) -> tuple[bytes | str | int, ...]:
        end = json.dumps(self.end)
        return (self.transcript, end, self.digest, self.size, self.breakpoints, self.message_id or "")


def _parse_entry(raw: Any) -> Entry:
    (entry, fields) = raw
    epoch, sequence = map(int, entry.split(b"-"))
    return Entry(event_id(epoch, sequence), fields[b"f"], b"e" in fields)


def rating_of(fields: Mapping[str, str]) -> str:
    """What the reader of a stored turn sees as its rating; "" is none."""
    return fields.get("rating", fields.get("rating_copied", ""))
