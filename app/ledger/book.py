"""The ledger itself: one entry for every call to the upstream, whatever came of it, and the figures they add up to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.ledger.pace import FADE, Pace, fit
from app.ledger.price import cost_usd, saved_usd
from app.ledger.usage import Usage
from app.ledger.verdict import Verdict, classify
from app.store.ledger import LedgerStore


@dataclass(frozen=True, slots=True)
class Call:
    """One call to the upstream. `kind` is "warm" or "ask"; `outcome` "ok", "stopped" or an error's code.

    `first_byte_s` is None when no answer began; `usage` is what was reported until the call ended.
    """

    kind: str
    model: str
    digest: str
    session: str
    usage: Usage
    first_byte_s: float | None
    duration_s: float
    outcome: str
    message_id: str | None = None
    turn: str | None = None


class Ledger:
    """Writes calls and verdicts, reads figures. `clock` gives seconds since the epoch."""

    def __init__(self, store: LedgerStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    async def record(self, call: Call) -> None:
        """Enter `call`."""
        usage, cost = call.usage, cost_usd(call.model, call.usage)
        entry = {
            **{name: getattr(call, name) for name in ("kind", "model", "digest", "session", "turn", "outcome")},
            **{name: getattr(usage, name) for name in ("read", "written_5m", "written_1h", "uncached", "output")},
            "cost_usd": cost,
            "message_id": call.message_id,
            "first_byte_s": call.first_byte_s,
            "duration_s": call.duration_s,
            "at": self._clock(),
        }
        totals: dict[str, float] = {
            f"{call.kind}_calls": 1,
            f"{call.kind}_failed": call.outcome not in ("ok", "stopped"),
            f"{call.kind}_cost_usd": cost or 0,
            f"{call.kind}_unpriced": cost is None and usage.input > 0,
            "tokens_read": usage.read,
            "tokens_written": usage.written,
            "tokens_uncached": usage.uncached,
            "tokens_output": usage.output,
            "saved_usd": saved_usd(call.model, usage) or 0,
        }
        await self._store.enter(entry)
        await self._store.count(totals)
        if call.first_byte_s is not None and usage.input:
            await self._store.learn_pace(call.model, usage.uncached + usage.written, call.first_byte_s, FADE)

    async def record_verdict(self, verdict: Verdict) -> None:
        """Count a turn's `verdict`."""
        spared = max(0, verdict.cold_ms - (verdict.ttft_ms or 0)) if verdict.cold_ms else 0
        await self._store.count({"turns": 1, f"turns_{verdict.cache}": 1, "waiting_saved_ms": spared})

    async def count_skip(self, reason: str) -> None:
        """A warm was skipped for `reason`."""
        await self._store.count({f"skipped_{reason}": 1})

    async def count_used(self, cost_usd: float | None) -> None:
        """A question made use of a warm that cost this much: what is never used was wasted."""
        await self._store.count({"warms_used": 1, "warm_used_usd": cost_usd or 0.0})

    async def pace(self, model: str) -> Pace | None:
        """What has been learned of `model`'s speed; None while too little is known."""
        return fit(*await self._store.pace_sums(model))

    async def totals(self) -> dict[str, Any]:
        """Everything counted since the ledger began; money in USD, only of models whose prices are known."""
        totals = await self._store.totals()
        whole = {name: value if name.endswith("_usd") else int(value) for name, value in totals.items()}
        return dict(sorted(whole.items()))


def was_cached(usage: Usage) -> bool:
    """Whether the upstream's counters say that the prefix is in its cache now."""
    return classify(usage).value != "uncacheable"
