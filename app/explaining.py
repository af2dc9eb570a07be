"""`headstart doctor NAME`: what the cache did for a session, or will do for a context, in plain words."""

import time
from datetime import UTC, datetime
from typing import Any

from app.contexts.library import ContextView, Library, UnknownContext
from app.ledger.book import Ledger
from app.ledger.figures import figures
from app.ledger.verdict import Reason
from app.models import find_model
from app.prompt.context import Parameters, Ttl
from app.prompt.prefix import Transcript
from app.store import keys
from app.store.connection import Store
from app.store.contexts import PUBLIC, Contexts
from app.store.ledger import LedgerStore
from app.store.sessions import Sessions
from app.store.turns import Turns
from app.store.uses import Uses
from app.store.warms import WarmRecord, WarmState, known_anywhere
from app.turns.conversations import TurnView, view_turn
from app.warm.changes import TTLS, first_difference
from app.warm.lifetime import Gaps, choose_ttl, cost_per_use
from app.warm.policy import foresee
from app.warm.prefixes import ContextGone, Prefixes
from app.web.numbers import duration, money, several

PLAIN = {
    Reason.NOT_WARMED: "nobody had warmed its prefix",
    Reason.WARM_FAILED: "its warm had failed",
    Reason.WARM_ABANDONED: "the process that warmed it went away",
    Reason.JOIN_GAVE_UP: "the warm under way took too long to wait for",
    Reason.EXPIRED: "the cache had expired",
    Reason.BELOW_MINIMUM: "its prefix is shorter than its model caches",
    Reason.PREFIX_CHANGED: "the context was replaced by another version",
    Reason.MODEL_CHANGED: "the context was warm for another model",
    Reason.PARAMETERS_CHANGED: "the context was warm for other parameters",
    Reason.EVICTED_UPSTREAM: "all was right here, and the upstream had dropped it",
    Reason.NO_USAGE: "the upstream does not say what its cache did",
}


class NothingKnown(LookupError):
    """There is no session of that id and no context of that name."""


async def explain(redis_url: str, name: str) -> list[str]:
    """What is to be said of the session or context `name`, in lines. Raises `NothingKnown`."""
    store = Store(redis_url)
    try:
        if keys.is_session_id(name):
            return await _explain_session(store, name)
        return await _explain_context(store, name)
    finally:
        await store.close()


async def _explain_session(store: Store, session: str) -> list[str]:
    record = await Sessions(store).get(session)
    if record is None:
        raise NothingKnown(f"there is no session {session}")
    shared = "of its own" if record.isolation else "shared with every session over this context"
    lines = [
        f"session over {record.context_name}, asked of {record.parameters['model']}, cache kept {record.parameters['ttl']}",
        f"its first prefix is {shared}; its next one has {record.size:,} bytes and {record.breakpoints} breakpoints",
    ]
    turns = [view_turn(fields) for fields in await Turns(store).of_session(session)]
    verdicts = [turn.verdict for turn in turns if turn.verdict is not None]
    costs = [verdict["cost_usd"] for verdict in verdicts if verdict["cost_usd"] is not None]
    if verdicts:
        cost = money(sum(costs)) if len(costs) == len(verdicts) else "an unknown sum"
        lines.append(f"its {several(len(verdicts), 'answer')} cost {cost}, warms not included")
    return lines + [_explain_turn(turn) for turn in turns]


def _explain_turn(turn: TurnView) -> str:
    said = f"turn {turn.number}{f', of {turn.model}' if turn.model else ''}: "
    if turn.verdict is None:
        return said + (turn.problem["detail"] if turn.problem else turn.state.value)
    verdict = turn.verdict
    said += f"{verdict['cache']}, {verdict['read']:,} tokens read, {verdict['written']:,} written"
    if verdict["reason"]:
        said += f": {PLAIN.get(verdict['reason'], verdict['reason'])}"
        said += f" ({verdict['detail']})" if verdict.get("detail") else ""
    if verdict.get("diagnosed"):
        said += f"; the upstream's own diagnostics say {verdict['diagnosed']}"
    return f"{said}; {_times(verdict)}; {_money(verdict)}"


def _times(verdict: dict[str, Any]) -> str:
    said = f"first text after {duration(verdict['ttft_ms'])}" if verdict["ttft_ms"] is not None else "no text"
    said += f", {duration(verdict['waited_ms'])} of it waiting for the warm under way" if verdict["waited_ms"] else ""
    return f"{said}, whole after {duration(verdict['total_ms'])}"


def _money(verdict: dict[str, Any]) -> str:
    if verdict["cost_usd"] is None:
        return "its price is not known"
    saved = verdict["saved_usd"] or 0.0
    than = f"{money(abs(saved))} {'less' if saved > 0 else 'more'} than without a cache"
    return f"cost {money(verdict['cost_usd'])}" + (f", {than}" if saved else "")


async def _explain_context(store: Store, name: str) -> list[str]:
    contexts = Contexts(store)
    try:
        view = await Library(contexts).get(name, PUBLIC)
    except UnknownContext:
        raise NothingKnown(f"there is no session and no context for everyone called “{name}”") from None
    model = find_model(view.parameters.model)
    foreseen = foresee(view.bytes, view.tokens, 0, 0, live=False, pdf_bytes=view.pdf_bytes, pages=view.pages)
    tokens = foreseen.tokens
    counted = "counted by the upstream" if view.tokens else "estimated from its size"
    lines = [f"context {view.name}: {len(view.titles)} documents, {tokens:,} tokens ({counted}), {model.id}"]
    if model.min_cacheable is None:
        lines.append(f"how long a prompt has to be for {model.id} to cache it is not known here")
    elif tokens < model.min_cacheable:
        lines.append(f"will miss: {model.id} caches nothing below {model.min_cacheable:,} tokens")
    lines += [f"may miss: {one['place']} {one['what']}. {one['why']}" for one in view.warnings]
    if view.parameters.ttl == "auto" and model.prices is not None:
        gaps = Gaps(*await Uses(store).gaps(view.id))
        costs = cost_per_use(gaps, model.prices)
        lines.append(
            f"lifetime: {choose_ttl(gaps, model.prices)}, because the next use should cost "
            f"${costs['5m']:.2f} a million tokens with 5m and ${costs['1h']:.2f} with 1h"
        )
    prefixes = Prefixes(contexts, Sessions(store))
    lines += await _explain_warmth(store, prefixes, view)
    lines.append(await _explain_spending(store, view))
    before = await contexts.replaced(view.id, PUBLIC)
    if before is not None:
        lines += await _explain_replacement(prefixes, before, view.id, view.parameters)
    return lines


async def _explain_warmth(store: Store, prefixes: Prefixes, view: ContextView) -> list[str]:
    """Whether what sessions over the context share is warm, for those that ask it with its own parameters."""
    fixed = view.parameters.ttl
    ttls: tuple[Ttl, ...] = TTLS if fixed == "auto" else (fixed,)
    opening = await prefixes.opening(view.id, view.parameters, None)
    found = [
        (ttl, record, now_ms)
        for ttl in ttls
        for record, now_ms in await known_anywhere(store, Transcript(opening, b"", (), ttl).prefix().digest)
    ]
    lines = [_warmth(*known) for known in found if known[1].state is not WarmState.COLD]
    expired = max((record.expires_ms or 0 for _, record, _ in found), default=0)
    if not lines and expired:
        return [f"not warm now: it was, until {_time_of_day(expired)}"]
    return lines or ["not warm now: nobody has warmed it in the last two hours"]


def _warmth(ttl: Ttl, record: WarmRecord, now_ms: int) -> str:
    if record.live and record.expires_ms is not None:
        left = f"{duration(record.expires_ms - now_ms)} more"
        tokens = f"{record.tokens:,} tokens" if record.tokens is not None else "its tokens were not counted"
        return f"warm now, until {_time_of_day(record.expires_ms)} ({left}): {tokens}, kept for {ttl}"
    since = f"since {_time_of_day(record.started_ms)}" if record.started_ms is not None else "now"
    if record.state is WarmState.WARMING:
        return f"being warmed {since}, for {ttl}"
    return f"not warm now: {record.state} {since}: {record.detail or record.reason}"


async def _explain_spending(store: Store, view: ContextView) -> str:
    """What all its sessions came to, at every upstream."""
    ledger = Ledger(LedgerStore(store, ""), time.time)
    spent = figures((await ledger.sheets([view.id], periods=False)).contexts[view.id])
    wasted = f", {money(spent.wasted_usd)} of it wasted" if spent.wasted_usd else ""
    return (
        f"spent on it: {money(spent.warm_cost_usd)} for {several(spent.warm_calls, 'warm')}{wasted}, "
        f"{money(spent.ask_cost_usd)} for {several(spent.ask_calls, 'question')}; "
        f"saved against no caching: {money(spent.saved_usd)}"
    )


def _time_of_day(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%H:%M:%S} UTC"


async def _explain_replacement(prefixes: Prefixes, before: str, after: str, parameters: Parameters) -> list[str]:
    try:
        old, new = [b"".join(await prefixes.opening(context, parameters, None)) for context in (before, after)]
    except ContextGone:
        return []
    return [f"it replaced another version: {first_difference(old, new)}"] if old != new else []
