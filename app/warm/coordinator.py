"""One writer per prefix: warms, and questions that wait for them.

Whoever wants a prefix cached claims it in the store. The claim is refused while another process writes it (join it) or
while it is warm (nothing to do). A question that finds its prefix cold claims it too, because its own request writes the
cache; others join it until its answer begins. The claim is a lease, renewed while the call runs. A question takes it from
a warm that has only just begun, or that takes too long, which then gives up its call.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from app.ledger.book import Ledger
from app.ledger.usage import Usage
from app.ledger.verdict import Reason
from app.models import find_model, is_known
from app.prompt.context import Parameters, Ttl
from app.store.connection import StoreUnavailable, persistently
from app.store.sessions import SessionRecord
from app.store.uses import Uses
from app.store.warms import COLD, Claim, WarmRecord, Warms, WarmState
from app.upstream.errors import UpstreamCode, UpstreamError
from app.warm.expecting import Plan
from app.warm.lifetime import Gaps, choose_ttl
from app.warm.patience import Patience
from app.warm.policy import Skip, Trigger
from app.warm.prefixes import ContextGone
from app.warm.prospects import Prospects
from app.warm.running import Running
from app.warm.speculation import Grant, Speculation
from app.warm.writer import TTL_MS, Writer, failed, may_have_been_billed, written

log = logging.getLogger("headstart.warm")

# With the time it takes to notice, nobody waits for a process that is gone longer than ten seconds.
LEASE_MS = 9_000
# A warm that would expire before a question can be typed is refreshed by the next trigger.
MARGIN_MS = 30_000
# After a failure, triggers rest this long; a question never does.
REST_MS = 2_000
# No call takes that long.
ANY_AGE_MS = 24 * 60 * 60 * 1000
POLL_S = 0.05


class Coordinator:
    """Warms prefixes for sessions, in the background of this process."""

    def __init__(
        self,
        *,
        warms: Warms,
        writer: Writer,
        ledger: Ledger,
        speculation: Speculation,
        uses: Uses,
        prospects: Prospects,
        patience: Patience,
        running: Running,
    ) -> None:
        self._warms = warms
        self._writer = writer
        self._ledger = ledger
        self._speculation = speculation
        self._uses = uses
        self._prospects = prospects
        self._patience = patience
        self._running = running
        self._leaving = asyncio.Event()

    async def warm(
        self,
        session: SessionRecord,
        *,
        trigger: Trigger,
        address: str,
        wait: bool,
        may_spend: Callable[[], Awaitable[bool]],
    ) -> WarmRecord:
        """Have the current prefix of `session` warmed, unless it is, is being, or should not be; the state after that.

        `address` is the client's, for its share of the limits; `may_spend` says whether the owner has money left, and is
        asked when a call would be made. Returns at once; with `wait`, when the warming has ended,
        after the time that a question would wait for it, or when this process is about to end.
        """
        digest = session.digests[-1]
        record, now_ms = await self._warms.get(digest)
        if _wants_call(record, now_ms):
            if await may_spend():
                record = await self._speculate(session, digest, record, trigger, address)
            else:
                record = await self._skipped(session, digest, record, Skip.BUDGET_SPENT)
        elif record.state is WarmState.SKIPPED:
            await self._ledger.count_skip(session.context, record.reason or "")
        elif record.state is WarmState.WARM:
            await self._ledger.count_skip(session.context, Skip.ALREADY_WARM)
        if wait and record.state is WarmState.WARMING:
            return await self._ended_or_leaving(digest, await self._patience.deadline(session, record))
        return record

    async def lifetime(self, context: str, parameters: Parameters) -> Ttl:
        """The cache lifetime for a new session over `context`: as fixed, or the one that costs less."""
        if parameters.ttl != "auto":
            return parameters.ttl
        return choose_ttl(Gaps(*await self._uses.gaps(context)), find_model(parameters.model).prices)

    async def state(self, session: SessionRecord) -> WarmRecord:
        """What is known of the current prefix of `session`."""
        record, _ = await self._warms.get(session.digests[-1])
        return record

    async def plan(self, session: SessionRecord, *, again: bool = False) -> Plan:
        """What a question to `session` can count on now. A plan to go cold holds a claim: settle or release it.

        With `again`, the question was asked before: the claim that it may have left behind is its own.
        """
        digest = session.digests[-1]
        # They go out in this order, and together.
        (before, _), claim = await asyncio.gather(self._warms.get(digest), self._claim(session, again=again))
        if claim.fence is not None or claim.record.state is WarmState.SKIPPED:
            return Plan("cold", digest, before, claim.fence, claim.now_ms)
        if claim.record.live:
            return Plan("hit", digest, claim.record, None, claim.now_ms)
        return await self._take_over(session, claim) or Plan("join", digest, claim.record, None, claim.now_ms)

    async def _claim(self, session: SessionRecord, *, young_ms: int = 0, again: bool = False) -> Claim:
        """A question's claim."""
        return await self._warms.claim(
            session.digests[-1], session.id, lease_ms=LEASE_MS, margin_ms=0, rest_ms=0, young_ms=young_ms, again=again
        )

    async def _take_over(self, session: SessionRecord, busy: Claim) -> Plan | None:
        """A plan to go cold instead of the warm under way, if that has only begun: the rest of it and a hit would take
        longer than a call of our own. Its call is given up, here at once, and elsewhere when its lease is to be renewed."""
        young_ms = await self._patience.young_ms(session, busy.record)
        if young_ms <= 0:
            return None
        claim = await self._claim(session, young_ms=young_ms)
        return self._instead(busy.record, session, claim)

    def _instead(self, record: WarmRecord, session: SessionRecord, claim: Claim) -> Plan | None:
        """A plan to go cold in place of a warm, for what `record` says, if `claim` took the lease from it."""
        digest = session.digests[-1]
        if claim.fence is None:
            return None
        if (task := self._running.of(digest)) is not None:
            self._running.give_up(task)
        return Plan("cold", digest, record, claim.fence, claim.now_ms)

    async def join(self, session: SessionRecord, plan: Plan) -> Plan:
        """Wait for the call that `plan` joins, within bounds: a plan to hit, or to go cold and why.

        Of those who waited too long for a warm the first takes over, and the others wait for that question, once. Who
        waited too long for a question goes cold beside it.
        """
        given_up = replace(COLD, reason=Reason.JOIN_GAVE_UP)
        deadline, again = await self._patience.deadline(session, plan.record), False
        while plan.kind == "join":
            ended = await self._ended(plan.digest, deadline)
            if ended.state is not WarmState.WARMING:
                # If it failed, the first of those who waited goes cold, and the others join that.
                plan = await self.plan(session, again=True)
                continue
            claim = await self._claim(session, young_ms=ANY_AGE_MS, again=True)
            if instead := self._instead(given_up, session, claim):
                return instead
            if claim.record.live:
                return replace(plan, kind="hit", record=claim.record, now_ms=claim.now_ms)
            if again or claim.record.started_ms == plan.record.started_ms:
                return replace(plan, kind="cold", record=given_up, now_ms=claim.now_ms)
            deadline, again = await self._patience.deadline(session, claim.record), True
        return plan

    async def wrote(self, session: SessionRecord, plan: Plan, usage: Usage, message_id: str | None) -> None:
        """The answer to a question under `plan` has begun, so its prefix is cached from the start of its request."""
        record = written(usage, message_id, plan.now_ms + TTL_MS[session.parameters["ttl"]])
        noting = self._uses.note(session.context)
        if plan.fence is None:
            _, trigger = await asyncio.gather(noting, self._used(plan.digest, record))
            if trigger is not None:
                await self._speculation.learn(session, trigger, used=True)
            return
        await asyncio.gather(noting, self._warms.settle(plan.digest, plan.fence, record))
        await self._writer.learn_tokens(session, usage)
        await self._remember(session)

    async def _used(self, digest: str, found: WarmRecord) -> str | None:
        return await self._warms.use(digest, found) if found.state is WarmState.WARM else None

    async def release(self, plan: Plan, error: UpstreamError | None = None) -> None:
        """A question under `plan` ended before its answer began: others need not wait for it."""
        if plan.fence is not None:
            await self._warms.settle(plan.digest, plan.fence, failed(error) if error else COLD)

    async def heard(self, error: UpstreamError | None) -> None:
        """A question's call was answered, or failed with `error`: warms rest while the upstream refuses."""
        await self._speculation.heard(error)

    @asynccontextmanager
    async def holding(
        self, digest: str, fence: int | None, lost: Callable[[], None] | None = None
    ) -> AsyncIterator[None]:
        """Keep the lease on `digest` while the block runs; `lost` is called if another has it."""
        if fence is None:
            yield
            return
        renewal = asyncio.create_task(self._renew(digest, fence, lost))
        try:
            yield
        finally:
            renewal.cancel()

    def leave(self) -> None:
        """This process is about to end: who waits here for a warm hears how it stands, and can wait elsewhere."""
        self._leaving.set()

    async def over(self, within_s: float) -> None:
        """Wait until no warm runs here any more, at most `within_s`."""
        await self._running.over(within_s)

    async def close(self) -> None:
        """Give up the warms under way: their prefixes are free for others at once."""
        await self._running.close()

    async def _speculate(
        self, session: SessionRecord, digest: str, record: WarmRecord, trigger: Trigger, address: str
    ) -> WarmRecord:
        """Start the call if it may and should be made; the state after that. Claimed first: of triggers that come at once
        one alone takes from what calls may cost, and the others find a warm under way."""
        prospect = await self._prospects.of(session, record)
        skip = await self._speculation.consider(session, trigger, prospect)
        if skip is not None:
            return await self._skipped(session, digest, record, skip)
        claim = await self._warms.claim(
            digest, session.id, trigger=trigger, lease_ms=LEASE_MS, margin_ms=MARGIN_MS, rest_ms=REST_MS
        )
        if claim.fence is None:
            return claim.record
        grant: Grant | Skip | None = None
        try:
            grant = await self._speculation.grant(session, address, prospect)
            # A question may have taken over meanwhile.
            if isinstance(grant, Grant) and await self._warms.renew(digest, claim.fence, lease_ms=LEASE_MS):
                self._running.start(digest, self._write(session, digest, claim, grant, trigger))
                return claim.record
        except BaseException:
            await asyncio.shield(self._take_back(digest, claim.fence, grant))
            raise
        await self._take_back(digest, claim.fence, grant)
        if isinstance(grant, Skip):
            return await self._skipped(session, digest, record, grant)
        return await self.state(session)

    async def _take_back(self, digest: str, fence: int, grant: Grant | Skip | None) -> None:
        """A claim leads to no call: nothing is set aside for it, and the prefix is as it was."""
        if isinstance(grant, Grant):
            with suppress(StoreUnavailable):
                await self._speculation.settle(grant, None)
        with suppress(StoreUnavailable):
            await self._warms.withdraw(digest, fence)

    async def _skipped(self, session: SessionRecord, digest: str, before: WarmRecord, skip: Skip) -> WarmRecord:
        """A warm was not made, for `skip`: counted, unless another's call has begun meanwhile; the state to show."""
        record, _ = await self._warms.get(digest)
        if record != before and record.state in (WarmState.WARMING, WarmState.WARM):
            return record
        await self._ledger.count_skip(session.context, skip)
        refusing = skip is Skip.UPSTREAM_REFUSING and record.state is WarmState.FAILED
        # What is warm, if not for long, is no less warm for not being refreshed; and a failure says more than a rest.
        keep = record.state is WarmState.WARM or refusing
        return record if keep else WarmRecord(WarmState.SKIPPED, reason=skip)

    async def _write(self, session: SessionRecord, digest: str, claim: Claim, grant: Grant, trigger: Trigger) -> None:
        record, fence, this = COLD, claim.fence or 0, asyncio.current_task()
        assert this is not None
        try:
            async with self.holding(digest, fence, lambda: self._running.give_up(this)):
                prefix = await self._writer.prefix(session)
                # From here on there may have been a call, whatever becomes of it.
                record = replace(COLD, reason=Reason.WARM_ABANDONED)
                record = await self._writer.write(session, digest, prefix, claim.now_ms, trigger)
        except ContextGone:
            record = WarmRecord(WarmState.FAILED, reason="context_gone", detail="The context was deleted.")
        except StoreUnavailable:
            log.warning("warm %s of session %s: Redis is away", digest[:12], session.id)
        except Exception:
            record = replace(failed(UpstreamError(UpstreamCode.FAILED)), reason="internal_error")
            log.exception("warm %s of session %s failed", digest[:12], session.id)
        finally:
            self._running.enters()
            await persistently(lambda: self._warms.settle(digest, fence, record))
            if not may_have_been_billed(record):
                await persistently(lambda: self._speculation.settle(grant, record.cost_usd))
            if record.state is WarmState.WARM:
                await persistently(lambda: self._speculation.learn(session, trigger, used=False))
                await persistently(lambda: self._remember(session))

    async def _remember(self, session: SessionRecord) -> None:
        """Keep what the context's own prefix was asked with, to be able to say what changed."""
        # Anybody can name a model, and what is kept here is shown to others.
        if len(session.digests) == 1 and session.isolation is None and is_known(session.parameters["model"]):
            await self._uses.remember(session.context, session.digests[0], session.parameters)

    async def _renew(self, digest: str, fence: int, lost: Callable[[], None] | None) -> None:
        while True:
            await asyncio.sleep(LEASE_MS / 3000)
            with suppress(StoreUnavailable):
                if not await self._warms.renew(digest, fence, lease_ms=LEASE_MS):
                    if lost is not None:
                        lost()
                    return

    async def _ended_or_leaving(self, digest: str, deadline: float) -> WarmRecord:
        """As `_ended`; as it stands, when this process is about to end."""
        ended = asyncio.ensure_future(self._ended(digest, deadline))
        leaving = asyncio.ensure_future(self._leaving.wait())
        try:
            await asyncio.wait([ended, leaving], return_when=asyncio.FIRST_COMPLETED)
            return ended.result() if ended.done() else (await self._warms.get(digest))[0]
        finally:
            ended.cancel()
            leaving.cancel()

    async def _ended(self, digest: str, deadline: float) -> WarmRecord:
        """The state once the warming of `digest`, here or elsewhere, has ended; still warming at the `deadline`."""
        while True:
            if task := self._running.of(digest):
                await asyncio.wait([task], timeout=max(0.0, deadline - time.monotonic()))
            record, _ = await self._warms.get(digest)
            if record.state is not WarmState.WARMING or time.monotonic() >= deadline:
                return record
            await asyncio.sleep(POLL_S)


def _wants_call(record: WarmRecord, now_ms: int) -> bool:
    if record.state is WarmState.WARM:
        return (record.expires_ms or 0) <= now_ms + MARGIN_MS
    return record.state not in (WarmState.WARMING, WarmState.SKIPPED)
