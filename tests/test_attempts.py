"""An answer that breaks off is asked for again, within bounds, and readers get one whole text."""

import asyncio
import threading
from contextlib import ExitStack
from itertools import takewhile
from typing import Any

import httpx2
import pytest

from app.warm.coordinator import Coordinator
from tests.client import Client, Event, events
from tests.faults import BROKEN_STREAMS, break_off_mid_answer, end_without_message_stop, say_error
from tests.recorder import Exchange, Recorder, Respond, answer, halfway, held, whole_answer
from tests.running import RedisProcess, serving, until
from tests.turns import ids, stop, told

WHOLE = "An answer — with ünïcode 🎉."


def text_of(got: list[Event]) -> str:
    """What a reader has of a turn: the text since it last began anew."""
    text = ""
    for event in got:
        if event.name in ("restart", "message_start"):
            text = ""
        if event.name == "content_block_delta":
            text += event.data["delta"].get("text", "")
    return text


def showed_text(got: list[Event]) -> bool:
    return any(event.name == "content_block_delta" and event.data["delta"].get("text") for event in got)


def names(got: list[Event]) -> list[str]:
    return [event.name for event in got]


def before(got: list[Event], name: str) -> list[Event]:
    """The events before the last one of that name."""
    last = max(index for index, event in enumerate(got) if event.name == name)
    return got[:last]


@pytest.mark.parametrize(
    "respond", [pytest.param(case.values[0], id=case.id) for case in BROKEN_STREAMS if case.values[2]]
)
def test_an_answer_that_breaks_off_once_arrives_whole(client: Client, upstream: Recorder, respond: Respond) -> None:
    client.add_context()
    session = client.start()["session"]
    upstream.script.append(respond)

    got = client.ask(session, "Whole?")
    assert got[-1].name == "verdict"
    assert text_of(got) == WHOLE
    assert ids(got) == sorted(set(ids(got)))
    # Text that was shown is taken back, in so many words; nothing else is.
    assert ("restart" in names(got)) == showed_text(before(got, "message_start"))
    assert names(got).count("restart") <= 1
    assert told(client.tail(got[0].data["turn"])) == told(got)

    (turn,) = client.session(session)["turns"]
    assert (turn["state"], turn["answer"], turn["verdict"]) == ("done", WHOLE, got[-1].data)
    assert upstream.asks[-1].body == upstream.asks[-2].body
    assert client.ask(session, "And on?")[-1].name == "verdict"
    assert upstream.asks[-1].body.count(b"Whole?") == 1


def test_every_attempt_is_a_call_of_its_own_in_the_books(client: Client, upstream: Recorder) -> None:
    client.add_context()
    session = client.start()["session"]
    upstream.script.extend([break_off_mid_answer, say_error("overloaded_error")])
    assert client.ask(session, "Third time lucky?")[-1].name == "verdict"
    assert len(upstream.asks) == 3
    assert client.http.get("/api/stats").json()["totals"]["ask_calls"] == 3


def test_an_answer_is_read_before_it_is_known_that_it_has_begun_but_does_not_end_before(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, wrote = threading.Event(), Coordinator.wrote

    async def late(*arguments: Any) -> None:
        await asyncio.to_thread(known.wait, 30)
        await wrote(*arguments)

    monkeypatch.setattr(Coordinator, "wrote", late)
    client.add_context()
    session, beside = client.start()["session"], client.start()["session"]
    with client.asking(session, "Whole?") as stream:
        got = list(takewhile(lambda event: event.name != "message_stop", stream))
        assert text_of(got) == WHOLE
        assert client.session(beside)["warm"]["state"] == "warming"
        assert client.session(session)["turns"][0]["state"] == "running"
        known.set()
        assert [event.name for event in stream] == ["verdict"]
    assert client.session(beside)["warm"]["state"] == "warm"


def test_attempts_are_bounded_and_what_was_shown_stays(client: Client, upstream: Recorder) -> None:
    client.add_context()
    session = client.start()["session"]
    upstream.default = end_without_message_stop
    got = client.ask(session, "Never?")
    assert (got[-1].name, got[-1].data["code"], got[-1].data["retryable"]) == ("error", "upstream_unreachable", True)
    assert len(upstream.asks) == 3
    assert names(got).count("restart") == 2
    assert client.session(session)["turns"][0]["answer"] == text_of(got) != ""

    upstream.default = answer
    assert client.ask(session, "Now?")[-1].name == "verdict"
    assert b"Never?" not in upstream.asks[-1].body


def murmur(after: int) -> Respond:
    """Begin an answer, and then send nothing but comments until the client hangs up."""

    async def respond(exchange: Exchange) -> None:
        await exchange.start_stream()
        for data in whole_answer("Silence follows")[:after]:
            await exchange.event(data)
        hung_up = asyncio.ensure_future(exchange.reader.read(1))
        while not hung_up.done():
            await exchange.chunk(b": still here\n\n")
            await asyncio.wait([hung_up], timeout=0.05)
        exchange.hung_up.set()

    return respond


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_stream_that_says_nothing_is_broken_off(redis: RedisProcess, upstream: Recorder, after: int) -> None:
    upstream.script.append(murmur(after))
    with serving(redis.url, upstream.url, upstream_stall_s=0.4) as url, httpx2.Client(base_url=url, timeout=30) as http:
        client = Client(http)
        client.add_context()
        got = client.ask(client.start()["session"], "Silence?")
    assert got[-1].name == "verdict"
    assert text_of(got) == WHOLE
    assert upstream.exchanges[0].hung_up.wait(30)


def test_a_turn_can_be_stopped_between_two_attempts(client: Client, upstream: Recorder) -> None:
    client.add_context()
    session = client.start()["session"]
    upstream.script.extend([end_without_message_stop, held])
    with client.asking(session, "Enough?") as stream:
        got = [next(stream)]
        upstream.wait_for(2)
        stop(client, got[0].data["turn"])
        got += list(stream)
    assert got[-1].name == "stopped"
    assert names(got).count("restart") == 0
    (turn,) = client.session(session)["turns"]
    assert (turn["state"], turn["answer"]) == ("stopped", text_of(got))
    assert turn["answer"]
    assert upstream.exchanges[1].hung_up.wait(30)


def test_a_turn_that_nobody_reads_is_stopped_and_one_that_is_read_anywhere_is_not(
    redis: RedisProcess, upstream: Recorder
) -> None:
    upstream.script.extend([halfway(), halfway("Read elsewhere, to the end.")])
    with ExitStack() as stack:
        here, there = (stack.enter_context(serving(redis.url, upstream.url, unread_stop_s=0.3)) for _ in range(2))
        client, elsewhere = (
            Client(stack.enter_context(httpx2.Client(base_url=url, timeout=30))) for url in (here, there)
        )
        client.add_context()
        elsewhere.http.cookies.update(dict(client.http.cookies))
        sessions = [client.start()["session"] for _ in range(2)]
        turns = []
        for session in sessions:
            with client.asking(session, "Anybody?") as stream:
                turns.append(next(stream).data["turn"])
                while next(stream).name != "content_block_delta":
                    pass
                if session == sessions[1]:
                    tail = stack.enter_context(elsewhere.http.stream("GET", f"/api/turns/{turns[1]}/events"))
                    read = events(tail.iter_bytes())
                    next(read)

        assert upstream.exchanges[0].hung_up.wait(30)
        until(lambda: client.session(sessions[0])["turns"][0]["state"] == "stopped", "the unread turn to be stopped")
        unread = client.tail(turns[0])
        assert (unread[-1].name, unread[-1].data["reason"]) == ("stopped", "unread")
        (turn,) = client.session(sessions[0])["turns"]
        assert (turn["answer"], turn["stopped"]) == (text_of(unread), "unread") == ("The first half,", "unread")
        assert client.session(sessions[1])["turns"][0]["state"] == "running"
        upstream.release()
        assert list(read)[-1].name == "verdict"
