"""Streams that are read in rounds end as those that are read alone: to the event, and to the error."""

import asyncio
import json
import re
from itertools import zip_longest
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.turns.answer import Answer
from app.upstream import flow
from app.upstream.client import Upstream
from app.upstream.errors import UpstreamError
from app.upstream.events import Event
from tests.faults import BROKEN_STREAMS
from tests.recorder import Exchange, Recorder, Respond, answer, sse, text_events, whole_answer
from tests.running import until

STALL_S = 1.0
Seen = tuple[list[str], str]


async def fall_silent(exchange: Exchange) -> None:
    await exchange.start_stream()
    for data in whole_answer("Silence follows")[:4]:
        await exchange.event(data)
    await exchange.reader.read(1)


async def begin_twice(exchange: Exchange) -> None:
    await exchange.start_stream()
    await exchange.chunk(b"".join(sse(data) for data in whole_answer("One")[:-1] + whole_answer("Two")))
    await exchange.end_stream()


async def drip(exchange: Exchange) -> None:
    """An answer whose events come one by one, and in halves."""
    await exchange.start_stream()
    first, *others = whole_answer("x")
    for data in [first, others[0], *[text_events(f"word {number} ")[1] for number in range(20)], *others[1:]]:
        half = len(sse(data)) // 2
        await exchange.chunk(sse(data)[:half])
        await asyncio.sleep(0)
        await exchange.chunk(sse(data)[half:])
    await exchange.end_stream()


BREAKING: list[Respond] = [cast(Respond, case.values[0]) for case in BROKEN_STREAMS]
CASES: list[Respond] = [answer, drip, begin_twice, fall_silent, *BREAKING]


async def nothing() -> None:
    """What there is to do before a request is sent."""


async def seen_of(upstream: Upstream, number: int, *, together: bool) -> Seen:
    """The events that case `number` gives, and what it ends with. `together`: it says nothing before every other stream has
    begun."""
    said: list[str] = []
    so_far = Answer()
    body = json.dumps({"case": number, "together": together, "stream": True}).encode()

    def take(event: Event) -> None:
        so_far.take(event)
        said.append(re.sub(rb"msg_[0-9]+", b"msg", event.data).decode())

    try:
        async with upstream.ask(body, stall_s=STALL_S, first=nothing()) as flowing:
            await flowing.into(take)
    except UpstreamError as error:
        return said, error.code
    return said, "whole"


async def test_streams_read_in_rounds_give_what_they_give_alone(
    upstream: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Barrier(len(CASES) * 3)

    async def respond(exchange: Exchange) -> None:
        start_stream = exchange.start_stream

        async def start_with_the_others() -> None:
            await start_stream()
            await begun.wait()

        if exchange.json["together"]:
            monkeypatch.setattr(exchange, "start_stream", start_with_the_others)
        await CASES[exchange.json["case"]](exchange)

    upstream.default = respond
    client = Upstream(upstream.url, "sk-test-key", timeout_s=10, max_retries=0)
    alone = [await seen_of(client, number, together=False) for number in range(len(CASES))]
    assert {ending for _, ending in alone} >= {"whole", "upstream_timeout", "upstream_garbled", "upstream_unreachable"}
    visits = 0
    look = flow.Flow.look

    def counted(self: flow.Flow, take: flow.Take) -> bool:
        nonlocal visits
        visits += 1
        return look(self, take)

    monkeypatch.setattr(flow.Flow, "look", counted)
    together = await asyncio.gather(*(seen_of(client, number, together=True) for number in [*range(len(CASES))] * 3))
    assert visits > 0
    for (events, ending), (events_alone, ending_alone) in zip_longest(together, alone * 3):
        assert ending == ending_alone
        # Of what a connection that breaks brought last, not all need have been read.
        short, long = sorted((events, events_alone), key=len)
        assert short == (long[: len(short)] if ending == "upstream_unreachable" else long)
    await client.close()


async def test_what_a_taker_raises_ends_its_own_stream_alone(upstream: Recorder) -> None:
    client = Upstream(upstream.url, "sk-test-key", timeout_s=10, max_retries=0)
    upstream.default = drip

    async def spoiled(number: int) -> str:
        taken = 0

        def take(_: Event) -> None:
            nonlocal taken
            taken += 1
            if number % 2 and taken == 10:
                raise LookupError(number)

        async with client.ask(b'{"stream":true}', stall_s=10, first=nothing()) as flowing:
            try:
                await flowing.into(take)
            except LookupError as error:
                return f"spoiled {error}"
        return f"whole {taken}"

    ends = await asyncio.gather(*(spoiled(number) for number in range(flow.MANY * 2)))
    assert ends == [f"spoiled {number}" if number % 2 else ends[0] for number in range(flow.MANY * 2)]
    assert ends[0].startswith("whole")
    await client.close()


async def test_nothing_is_sent_before_what_is_first_is_done(upstream: Recorder) -> None:
    client = Upstream(upstream.url, "sk-test-key", timeout_s=10, max_retries=0)
    sent: list[int] = []

    async def first() -> None:
        for _ in range(2):
            sent.append(len(upstream.exchanges))
            await asyncio.sleep(0.1)

    async with client.ask(b'{"stream":true}', stall_s=10, first=first()) as flowing:
        await flowing.into(lambda _: None)
    assert (sent, len(upstream.exchanges)) == ([0, 0], 1)
    await client.close()


async def test_who_gives_up_before_anything_is_sent_gives_up_what_is_first(upstream: Recorder) -> None:
    client = Upstream(upstream.url, "sk-test-key", timeout_s=10, max_retries=0)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def asking() -> None:
        async with client.ask(b'{"stream":true}', stall_s=10, first=first()) as flowing:
            await flowing.into(lambda _: None)

    task = asyncio.create_task(asking())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert (task.cancelled(), ended.is_set(), upstream.exchanges) == (True, True, [])
    await client.close()


async def test_who_gives_up_a_stream_that_is_read_in_rounds_leaves_them(upstream: Recorder) -> None:
    client = Upstream(upstream.url, "sk-test-key", timeout_s=10, max_retries=0)
    upstream.default = fall_silent

    async def reading() -> None:
        async with client.ask(b'{"stream":true}', stall_s=60, first=nothing()) as flowing:
            await flowing.into(lambda _: None)

    tasks = [asyncio.create_task(reading()) for _ in range(flow.MANY * 2)]
    rounds = vars(client)["_rounds"]
    joined = vars(rounds)["_joined"]
    await asyncio.to_thread(until, lambda: len(joined) >= flow.MANY, "the rounds")
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    assert not joined
    assert not rounds.many
    await client.close()


@given(st.lists(st.tuples(st.floats(0.001, 10), st.floats(0, 1)), min_size=1, max_size=40))
def test_rounds_are_longer_the_busier_the_thread_is_and_within_bounds(rounds: list[tuple[float, float]]) -> None:
    now = used = busier_used = 0.0
    pace, busier = flow.Pace(now, used), flow.Pace(now, busier_used)
    for took, share in rounds:
        now += took
        used += took * share
        busier_used += took * (share + 1) / 2
        pause = pace.pause_s(now, used)
        assert flow.EVERY_S <= pause <= busier.pause_s(now, busier_used) <= flow.LONGEST_S * 1.001
        if max(share for _, share in rounds) <= flow.BUSY - 0.01:
            assert pause == flow.EVERY_S
