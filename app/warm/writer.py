"""The call that writes one cache entry, and what it leaves behind: usage in the ledger, and a state for everyone to see.

It does not decide whether to call, and holds no lease: `Coordinator` does both.
"""

import asyncio
import logging
import time
from dataclasses import replace

from app.ledger.book import Call, Ledger, was_cached
from app.ledger.price import cost_usd
from app.ledger.usage import Usage
from app.ledger.verdict import Reason
from app.prompt.prefix import Prefix
from app.prompt.render import warm_tail
from app.store.connection import persistently
from app.store.contexts import Contexts
from app.store.sessions import SessionRecord
from app.store.upstreams import Capabilities
from app.store.warms import WarmRecord, WarmState
from app.upstream.client import Reply, Upstream
from app.upstream.errors import UpstreamCode, UpstreamError
from app.warm.policy import Trigger
from app.warm.prefixes import Prefixes
from app.warm.running import Running
from app.warm.speculation import Speculation

log = logging.getLogger("headstart.warm")

TTL_MS = {"5m": 5 * 60 * 1000, "1h": 60 * 60 * 1000}


class Writer:
    """Makes warm calls to one upstream."""

    def __init__(
        self,
        *,
        prefixes: Prefixes,
        contexts: Contexts,
        capabilities: Capabilities,
        ledger: Ledger,
        upstream: Upstream,
        speculation: Speculation,
        running: Running,
    ) -> None:
        self._prefixes = prefixes
        self._contexts = contexts
        self._capabilities = capabilities
        self._ledger = ledger
        self._upstream = upstream
        self._speculation = speculation
        self._running = running

    async def prefix(self, session: SessionRecord) -> Prefix:
        """What is to be written: the prefix that `session` has now. Raises `ContextGone`."""
        return (await self._prefixes.of(session)).prefix()

    async def write(
        self, session: SessionRecord, digest: str, prefix: Prefix, started_ms: int, trigger: Trigger
    ) -> WarmRecord:
        """Make the call for `prefix`, claimed at `started_ms`; the state that this leaves."""
        started = time.monotonic()
        try:
            reply = await self._send(session, digest, prefix, trigger)
        except UpstreamError as error:
            log.warning("warm %s of session %s: %s", digest[:12], session.id, error.detail)
            return failed(error)
        usage = Usage().updated(reply.usage)
        await self.learn_tokens(session, usage)
        record = written(usage, reply.message_id, started_ms + TTL_MS[session.parameters["ttl"]])
        duration_ms = round((time.monotonic() - started) * 1000)
        log.debug("warm %s of session %s: %s in %d ms", digest[:12], session.id, record.state, duration_ms)
        return replace(record, cost_usd=cost_usd(session.parameters["model"], usage), duration_ms=duration_ms)

    async def _send(self, session: SessionRecord, digest: str, prefix: Prefix, trigger: Trigger) -> Reply:
        """The warm call: with `max_tokens` 0, or with 1 where the upstream is known to refuse 0, or turns out to."""
        if await self._capabilities.refuses_zero_tokens():
            return await self._call(session, digest, prefix, trigger, max_tokens=1)
        try:
            return await self._call(session, digest, prefix, trigger, max_tokens=0)
        except UpstreamError as error:
            if error.code is not UpstreamCode.INVALID or "max_tokens" not in error.detail:
                raise
        reply = await self._call(session, digest, prefix, trigger, max_tokens=1)
        await self._capabilities.learn_that_it_refuses_zero_tokens()
        return reply

    async def _call(
        self, session: SessionRecord, digest: str, prefix: Prefix, trigger: Trigger, *, max_tokens: int
    ) -> Reply:
        call = Call(
            kind="warm",
            model=session.parameters["model"],
            digest=digest,
            context=session.context,
            owner=session.owner,
            session=session.id,
            trigger=trigger,
            lives_s=TTL_MS[session.parameters["ttl"]] / 1000,
        )
        await self._ledger.open(call)
        started = time.monotonic()
        outcome, reply, error = "ok", None, None
        try:
            reply = await self._upstream.warm(prefix.body(warm_tail(first=prefix.first, max_tokens=max_tokens)))
            return reply
        except UpstreamError as raised:
            outcome, error = raised.code, raised
            raise
        except asyncio.CancelledError:
            outcome = "stopped"
            raise
        finally:
            self._running.enters()
            duration = time.monotonic() - started
            ended = replace(
                call,
                usage=Usage().updated(reply.usage if reply else None),
                first_byte_s=duration if reply else None,
                duration_s=duration,
                outcome=outcome,
                message_id=reply.message_id if reply else None,
            )
            await persistently(lambda: self._ledger.record(ended))
            if outcome != "stopped":
                await persistently(lambda: self._speculation.heard(error))

    async def learn_tokens(self, session: SessionRecord, usage: Usage) -> None:
        """Keep how many tokens the upstream counted, if they are the context's alone."""
        if len(session.digests) == 1 and session.isolation is None and was_cached(usage):
            await self._contexts.learn_tokens(session.context, usage.read + usage.written)


def written(usage: Usage, message_id: str | None, expires_ms: int) -> WarmRecord:
    """The state after a call with this usage: warm until `expires_ms`, or skipped for good when nothing was cached."""
    if not usage.reported:
        return WarmRecord(WarmState.WARM, reason=Reason.NO_USAGE, expires_ms=expires_ms, message_id=message_id)
    counted = WarmRecord(
        WarmState.WARM,
        expires_ms=expires_ms,
        tokens_read=usage.read,
        tokens_written=usage.written,
        message_id=message_id,
    )
    if was_cached(usage):
        return counted
    short = replace(counted, state=WarmState.SKIPPED, reason=Reason.BELOW_MINIMUM, expires_ms=None)
    return replace(short, tokens_uncached=usage.uncached)


def failed(error: UpstreamError) -> WarmRecord:
    """The state after a call that failed."""
    return WarmRecord(WarmState.FAILED, reason=error.code, detail=error.detail)


def may_have_been_billed(record: WarmRecord) -> bool:
    """Whether a call ended without an answer that says what it cost: then its reservation stands."""
    silent = (UpstreamCode.UNREACHABLE, UpstreamCode.TIMEOUT, UpstreamCode.GARBLED)
    return record.reason in (Reason.WARM_ABANDONED, *silent)
