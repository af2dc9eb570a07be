"""One attempt at a turn: a call to the upstream, what came of it, and when. When calls break off, a turn has several."""

import asyncio
import time
from dataclasses import replace

from app.ledger.book import Call
from app.ledger.verdict import Expectation, Timing
from app.turns.answer import Answer
from app.upstream.errors import UpstreamError
from app.warm.expecting import Plan


class Attempt:
    """An attempt under `plan`. `opened` is its call as the ledger was told that it is about to be made; `noting` ends when
    others know that its answer has begun. Moments are of `time.monotonic`, None for what has not happened."""

    def __init__(self, plan: Plan | None) -> None:
        self.plan = plan
        self.answer = Answer()
        self.expected = Expectation(0, None)
        self.error: UpstreamError | None = None
        self.opened: Call | None = None
        self.called_at: float | None = None
        self.streaming = False
        self.first_byte_at: float | None = None
        self.noting: asyncio.Task[None] | None = None
        self.first_thinking_at: float | None = None
        self.first_text_at: float | None = None
        self.closed = False

    def call(self, outcome: str) -> Call | None:
        """The call for the ledger; None when none was made."""
        if self.opened is None or self.called_at is None:
            return None
        return replace(
            self.opened,
            usage=self.answer.usage,
            first_byte_s=self.first_byte_at - self.called_at if self.first_byte_at else None,
            duration_s=time.monotonic() - self.called_at,
            outcome=outcome,
            message_id=self.answer.message_id,
        )

    def timing(self, asked_at: float, waited_s: float) -> Timing:
        """Its times for the verdict, for a turn that was accepted at `asked_at` and waited so long for warms."""
        return Timing(
            waited=round(waited_s * 1000),
            first_byte=_ms_between(asked_at, self.first_byte_at),
            first_text=_ms_between(asked_at, self.first_text_at),
            total=round((time.monotonic() - asked_at) * 1000),
        )

    def thinking_ms(self, asked_at: float) -> int | None:
        """Milliseconds from when the turn was accepted at `asked_at` to the first thinking; None without any."""
        return _ms_between(asked_at, self.first_thinking_at)


def _ms_between(start: float, moment: float | None) -> int | None:
    return None if moment is None else round((moment - start) * 1000)
