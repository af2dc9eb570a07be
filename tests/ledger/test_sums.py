"""Sums are their entries, to the token and the billionth of a dollar, by hour, day and context, whatever happens."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ledger.book import Call, Ledger
from app.ledger.counters import ASK, CATEGORIES, NANOS, WARM, Answered
from app.ledger.figures import Figures, figures, less
from app.ledger.usage import Usage
from app.ledger.verdict import Expectation, Timing, judge
from app.store.connection import Store
from app.store.ledger import LedgerStore, day_of, hour_of
from tests.running import RedisProcess

# A minute before a day ends, so that runs cross hours and days.
EVENING = 1_795_391_940.0
MODELS = ("claude-sonnet-5-5", "claude-haiku-5-5", "nobody-knows-it")
CONTEXTS = ("c_1", "c_2", "c_3")


@dataclass
class Clock:
    now: float = EVENING

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Step:
    """Something that happens `later_s` seconds after the step before, tried `tries` times."""

    later_s: float
    tries: int
    what: str
    kind: str
    model: str
    context: str
    outcome: str
    tokens: tuple[int, int, int, int, int]


_tokens = st.tuples(*[st.one_of(st.just(0), st.integers(0, 2_000_000))] * 5)
_steps = st.lists(
    st.builds(
        Step,
        later_s=st.one_of(st.floats(0, 90), st.floats(0, 30_000)),
        tries=st.integers(1, 3),
        what=st.sampled_from(["call", "call", "call", "verdict", "skip"]),
        kind=st.sampled_from([WARM, ASK]),
        model=st.sampled_from(MODELS),
        context=st.sampled_from(CONTEXTS),
        outcome=st.sampled_from(["ok", "ok", "stopped", "upstream_overloaded"]),
        tokens=_tokens,
    ),
    max_size=25,
)


def over(redis: RedisProcess, work: Callable[[Ledger, Clock], Coroutine[Any, Any, None]]) -> None:
    """`work` with a ledger in an empty Redis, in a loop of its own: hypothesis calls tests many times."""

    async def run() -> None:
        store, clock = Store(redis.url), Clock()
        await store.do("FLUSHALL")
        await work(Ledger(LedgerStore(store, "upstream"), clock), clock)
        await store.close()

    asyncio.run(run())


def call(step: Step) -> Call:
    return Call(
        step.kind,
        step.model,
        f"digest of {step.context}",
        "s_1",
        Usage(*step.tokens, reported=True),
        0.5 if step.outcome != "upstream_overloaded" else None,
        1.0,
        step.outcome,
        context=step.context,
        lives_s=300,
    )


async def take(ledger: Ledger, clock: Clock, step: Step, number: int) -> None:
    clock.now += step.later_s
    made = call(step)
    verdict = judge(
        step.model,
        made.usage,
        Expectation(1000, None),
        Timing(0, 100, 200, 300),
        message_id=None,
        seconds_per_token=0.001,
    )
    for _ in range(1 if step.what == "skip" else step.tries):
        if step.what == "call":
            await ledger.record(made)
        elif step.what == "verdict":
            await ledger.record_verdict(Answered(f"t_{number}", step.context, verdict, 150))
        else:
            await ledger.count_skip(step.context, "budget_spent")


def tokens_in(entries: list[dict[str, Any]]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for entry in entries:
        sums.update({category: entry[category] for category in CATEGORIES})
    return sums


def tokens_of(found: Figures) -> Counter[str]:
    names = {"read": "tokens_read", "uncached": "tokens_uncached", "output": "tokens_output"}
    names |= {"written_5m": "tokens_written_5m", "written_1h": "tokens_written_1h"}
    return Counter({category: getattr(found, name) for category, name in names.items()})


def check(entries: list[dict[str, Any]], found: Figures) -> None:
    """`found` is what `entries` add up to."""
    assert +tokens_of(found) == +tokens_in(entries)
    for kind in (ASK, WARM):
        ours = [entry for entry in entries if entry["kind"] == kind]
        assert getattr(found, f"{kind}_calls") == len(ours)
        assert found.calls[kind] == Counter(entry["outcome"] for entry in ours)
        priced = [entry for entry in ours if entry["cost_usd"] is not None]
        cost = getattr(found, f"{kind}_cost_usd")
        if cost is None:
            assert not [entry for entry in priced if sum(entry[category] for category in CATEGORIES)]
        else:
            assert cost == sum(round(entry["cost_usd"] * NANOS) for entry in priced) / NANOS


@given(_steps)
@settings(max_examples=60)
def test_every_sum_is_that_of_its_entries(redis: RedisProcess, steps: list[Step]) -> None:
    async def work(ledger: Ledger, clock: Clock) -> None:
        for number, step in enumerate(steps):
            await take(ledger, clock, step, number)
        entries = await ledger.entries(1000)
        assert len(entries) == sum(step.what == "call" for step in steps)
        sheets = await ledger.sheets(CONTEXTS)
        check(entries, figures(sheets.total))
        for hour, sheet in sheets.hours.items():
            check([entry for entry in entries if hour_of(entry["at"]) == hour], figures(sheet))
        for day, sheet in sheets.days.items():
            check([entry for entry in entries if day_of(entry["at"]) == day], figures(sheet))
        for context, sheet in sheets.contexts.items():
            check([entry for entry in entries if entry["context"] == context], figures(sheet))
        total = figures(sheets.total)
        assert total.turns == sum(step.what == "verdict" for step in steps)
        assert sum(total.skips.values()) == sum(step.what == "skip" for step in steps)
        rest = less(sheets.total, list(sheets.contexts.values()))
        assert not any(rest.counters.values()) and not any(rest.unused.values())

    over(redis, work)


@given(_steps)
@settings(max_examples=60)
def test_every_warm_is_used_unused_or_wasted_as_a_reader_of_the_entries_would_say(
    redis: RedisProcess, steps: list[Step]
) -> None:
    async def work(ledger: Ledger, clock: Clock) -> None:
        for number, step in enumerate(steps):
            await take(ledger, clock, step, number)
        used, unused = fates(list(reversed(await ledger.entries(1000))), clock.now)
        found = figures((await ledger.sheets()).total)
        assert (found.warms_used, found.warms_unused) == (len(used), len(unused))
        assert (found.warm_used_tokens, found.warm_unused_tokens) == (spent(used), spent(unused))
        assert found.wasted_tokens == found.warm_tokens - spent(used) - spent(unused)
        for figure, warms in ((found.warm_used_usd, used), (found.warm_unused_usd, unused)):
            assert figure is None or figure == sum(round((warm["cost_usd"] or 0) * NANOS) for warm in warms) / NANOS

    over(redis, work)


def spent(warms: list[dict[str, Any]]) -> int:
    return sum(warm[category] for warm in warms for category in CATEGORIES)


def fates(entries: list[dict[str, Any]], now: float) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The warms that a question used in time, and those that one still may; by reading the entries, oldest first."""
    used: list[dict[str, Any]] = []
    waiting: dict[str, tuple[int, list[dict[str, Any]]]] = {}
    for entry in entries:
        began_ms, at_ms = round((entry["at"] - entry["duration_s"]) * 1000), round(entry["at"] * 1000)
        ends_ms, warms = waiting.get(entry["digest"], (0, []))
        if entry["first_byte_s"] is None:
            continue
        if entry["kind"] == WARM and (entry["read"] or entry["written_5m"] or entry["written_1h"]):
            warms = warms if ends_ms >= at_ms else []
            waiting[entry["digest"]] = (began_ms + 300_000, [*warms, entry])
        elif entry["kind"] == ASK and entry["read"]:
            used += warms if ends_ms >= began_ms else []
            waiting.pop(entry["digest"], None)
    return used, [warm for ends_ms, warms in waiting.values() for warm in warms if ends_ms > round(now * 1000)]


async def test_a_warm_is_used_on_the_day_it_was_made(redis: RedisProcess) -> None:
    store, clock = Store(redis.url), Clock()
    ledger = Ledger(LedgerStore(store, "upstream"), clock)
    warm = Step(0, 1, "call", WARM, MODELS[0], "c_1", "ok", (0, 0, 100_000, 0, 0))
    ask = Step(0, 1, "call", ASK, MODELS[0], "c_1", "ok", (9, 100_000, 0, 0, 50))
    await ledger.record(call(warm))
    before = figures((await ledger.sheets()).total)
    assert (before.warm_cost_usd, before.warm_unused_usd, before.wasted_usd) == (0.25, 0.25, 0.0)
    clock.now += 120
    await ledger.record(call(ask))
    yesterday, today = list((await ledger.sheets()).days.values())[-2:]
    assert (figures(yesterday).warm_used_usd, figures(yesterday).wasted_usd) == (0.25, 0.0)
    assert (figures(today).warm_used_usd, figures(today).wasted_usd) == (0.0, 0.0)
    await store.close()


async def test_a_warm_that_nobody_used_in_time_was_wasted_and_a_refreshed_one_waits_on(redis: RedisProcess) -> None:
    store, clock = Store(redis.url), Clock()
    ledger = Ledger(LedgerStore(store, "upstream"), clock)
    write = Step(0, 1, "call", WARM, MODELS[0], "c_1", "ok", (0, 0, 100_000, 0, 0))
    refresh = Step(0, 1, "call", WARM, MODELS[0], "c_1", "ok", (0, 100_000, 0, 0, 0))
    await ledger.record(call(write))
    clock.now += 290
    await ledger.record(call(refresh))
    clock.now += 290
    waiting = figures((await ledger.sheets()).total)
    assert (waiting.warms_unused, waiting.warm_unused_usd, waiting.wasted_usd) == (2, 0.26, 0.0)
    clock.now += 10
    wasted = figures((await ledger.sheets()).total)
    assert (wasted.warms_unused, wasted.wasted_usd) == (0, 0.26)
    await store.close()


async def test_figures_of_models_without_prices_are_tokens_and_never_dollars(redis: RedisProcess) -> None:
    store, clock = Store(redis.url), Clock()
    ledger = Ledger(LedgerStore(store, "upstream"), clock)
    await ledger.record(call(Step(0, 1, "call", WARM, "nobody-knows-it", "c_1", "ok", (0, 0, 500, 0, 1))))
    only = figures((await ledger.sheets()).total)
    assert (only.warm_cost_usd, only.wasted_usd, only.saved_usd, only.warm_used_usd) == (None, None, None, None)
    assert (only.warm_tokens, only.warm_unused_tokens, only.unpriced_calls, only.ask_cost_usd) == (501, 501, 1, 0.0)
    await ledger.record(call(Step(0, 1, "call", WARM, MODELS[0], "c_2", "ok", (0, 0, 100_000, 0, 0))))
    both = figures((await ledger.sheets()).total)
    assert (both.warm_cost_usd, both.unpriced_calls) == (0.25, 1)
    await store.close()


async def test_a_count_beyond_all_bounds_breaks_nothing(redis: RedisProcess) -> None:
    store, clock = Store(redis.url), Clock()
    ledger = Ledger(LedgerStore(store, "upstream"), clock)
    most = (2**53 - 1,) * 5
    for _ in range(3):
        await ledger.record(call(Step(0, 1, "call", ASK, MODELS[0], "c_1", "ok", most)))
    assert figures((await ledger.sheets()).total).ask_calls == 3
    assert len(await ledger.entries(10)) == 3
    await store.close()


async def test_entries_are_capped_and_sheets_are_not(redis: RedisProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.store.ledger.KEPT_ENTRIES", 100)
    store, clock = Store(redis.url), Clock()
    ledger = Ledger(LedgerStore(store, "upstream"), clock)
    for _ in range(400):
        await ledger.record(call(Step(0, 1, "call", ASK, MODELS[0], "c_1", "ok", (1, 2, 3, 4, 5))))
    assert 100 <= len(await ledger.entries(1000)) < 400
    assert figures((await ledger.sheets()).total).tokens_output == 2000
    await store.close()
