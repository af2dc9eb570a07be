"""What a question counts on when it is asked, and why it cannot count on more."""

from dataclasses import dataclass, replace
from typing import Literal

from app.ledger.verdict import Expectation, Reason
from app.store.sessions import SessionRecord
from app.store.warms import WarmRecord, Warms, WarmState
from app.warm.changes import Changes

PlanKind = Literal["hit", "join", "cold"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a question can count on: the state of its prefix as it stood, and the claim it holds, if it will write it."""

    kind: PlanKind
    digest: str
    record: WarmRecord
    fence: int | None
    now_ms: int


class Expecting:
    """Says what a question should read from the cache, by its plan."""

    def __init__(self, warms: Warms, changes: Changes) -> None:
        self._warms = warms
        self._changes = changes

    async def of(self, session: SessionRecord, plan: Plan) -> Expectation:
        """How many tokens a question under `plan` should read from the cache, and why not its whole prefix, if so."""
        if plan.kind == "hit":
            return Expectation(plan.record.tokens or 0, None)
        earlier = await self._warms.get_all(list(session.digests[:-1]))
        known = [record.tokens or 0 for record, _ in earlier if record.state is WarmState.WARM]
        reason, detail = _why_cold(plan.record, plan.now_ms)
        return Expectation(max(known, default=0), reason, detail)

    async def explain(self, session: SessionRecord, plan: Plan, expected: Expectation) -> Expectation:
        """`expected`, with a better reason than "not warmed" if there is one: what differs from a prefix that is warm.

        Looks at whole prefixes, so it is for afterwards.
        """
        if expected.reason != Reason.NOT_WARMED or expected.detail is not None or len(session.digests) > 1:
            return expected
        change = await self._changes.since_warm(session, plan.now_ms)
        return expected if change is None else replace(expected, reason=change.reason, detail=change.detail)


def _why_cold(record: WarmRecord, now_ms: int) -> tuple[str, str | None]:
    if record.state is WarmState.FAILED:
        return Reason.WARM_FAILED, record.detail
    if record.state is WarmState.WARMING and record.started_ms is not None:
        age_s = (now_ms - record.started_ms) / 1000
        return Reason.NOT_WARMED, f"its warm began only {age_s:.1f} s before the question, which did not wait for it"
    if record.reason == Reason.EXPIRED and record.expires_ms is not None:
        return Reason.EXPIRED, f"expired {(now_ms - record.expires_ms) / 1000:.1f} s before the question"
    return record.reason or Reason.NOT_WARMED, None
