"""`headstart doctor NAME`: what the cache did for a session, or will do for a context, in plain words."""

from app.contexts.library import Library, UnknownContext
from app.ledger.verdict import Reason
from app.models import find_model
from app.prompt.context import Parameters
from app.store import keys
from app.store.connection import Store
from app.store.contexts import PUBLIC, Contexts
from app.store.sessions import Sessions
from app.store.turns import Turns
from app.store.uses import Uses
from app.turns.conversations import TurnView, view_turn
from app.warm.changes import first_difference
from app.warm.lifetime import Gaps, choose_ttl, cost_per_use
from app.warm.policy import USUAL_BYTES_PER_TOKEN
from app.warm.prefixes import ContextGone, Prefixes

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
    return lines + [_explain_turn(turn) for turn in turns]


def _explain_turn(turn: TurnView) -> str:
    said = f"turn {turn.number}: "
    if turn.verdict is None:
        return said + (turn.problem["detail"] if turn.problem else turn.state.value)
    verdict = turn.verdict
    said += f"{verdict['cache']}, {verdict['read']:,} tokens read, {verdict['written']:,} written"
    if verdict["reason"]:
        said += f": {PLAIN.get(verdict['reason'], verdict['reason'])}"
        said += f" ({verdict['detail']})" if verdict.get("detail") else ""
    if verdict.get("diagnosed"):
        said += f"; the upstream's own diagnostics say {verdict['diagnosed']}"
    return said


async def _explain_context(store: Store, name: str) -> list[str]:
    contexts = Contexts(store)
    try:
        view = await Library(contexts).get(name, PUBLIC)
    except UnknownContext:
        raise NothingKnown(f"there is no session and no context for everyone called “{name}”") from None
    model = find_model(view.parameters.model)
    tokens = view.tokens or round(view.bytes / USUAL_BYTES_PER_TOKEN)
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
    before = await contexts.replaced(view.id, PUBLIC)
    if before is not None:
        lines += await _explain_replacement(Prefixes(contexts, Sessions(store)), before, view.id, view.parameters)
    return lines


async def _explain_replacement(prefixes: Prefixes, before: str, after: str, parameters: Parameters) -> list[str]:
    try:
        old, new = [b"".join(await prefixes.opening(context, parameters, None)) for context in (before, after)]
    except ContextGone:
        return []
    return [f"it replaced another version: {first_difference(old, new)}"] if old != new else []
