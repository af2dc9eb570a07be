"""Tailing a turn: every client gets every event exactly once, from wherever it stopped, on every process."""

import asyncio
import threading
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.web import streams
from tests.client import Client, Event, events
from tests.recorder import Exchange, Recorder, held, whole_answer
from tests.turns import FIRST_HALF, half_answered, told


def test_every_tail_of_an_ended_turn_tells_the_same_from_any_event_on(client: Client, elsewhere: Client) -> None:
    got = client.ask(client.start()["session"], "What happened?")
    turn = got[0].data["turn"]
    for where in (client, elsewhere):
        assert told(where.tail(turn)) == told(got)
        for place, event in enumerate(got):
            assert told(where.tail(turn, event.id or 0)) == told(got[place + 1 :])
            with where.http.stream("GET", f"/api/turns/{turn}/events?after={event.id}") as response:
                assert told(list(events(response.iter_bytes()))) == told(got[place + 1 :])


def test_a_client_hears_a_ping_now_and_then_as_long_as_nothing_comes(
    client: Client, upstream: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PING_S", 0.05)
    client.add_context()
    upstream.script.append(held)
    with client.asking(client.start()["session"], "Still there?") as stream:
        heard = [next(stream) for _ in range(4)]
        assert [(event.id, event.name) for event in heard] == [(1, "turn"), *[(None, "ping")] * 3]
        upstream.release()
        assert [event.name for event in stream if event.name != "ping"][-1] == "verdict"


def test_tails_of_a_running_turn_get_every_event_exactly_once_on_every_process(
    client: Client, elsewhere: Client, upstream: Recorder
) -> None:
    with half_answered(client, upstream) as (session, turn, _), ExitStack() as stack:
        so_far = [1, 2, 3, 4]
        tails = []
        for where in (client, elsewhere):
            for after in (0, *so_far, 0, 2):
                path = f"/api/turns/{turn}/events?after={after}"
                response = stack.enter_context(where.http.stream("GET", path))
                tails.append((after, events(response.iter_bytes())))
        firsts = [next(tail) if after < so_far[-1] else None for after, tail in tails]
        upstream.release()
        whole = client.tail(turn)
        assert whole[-1].name == "verdict"
        for (after, tail), first in zip(tails, firsts, strict=True):
            got = ([first] if first else []) + list(tail)
            assert told(got) == told([event for event in whole if (event.id or 0) > after])
    assert client.session(session)["turns"][0]["answer"] == f"{FIRST_HALF} and the second."


def test_a_client_that_hops_between_processes_misses_nothing_and_hears_nothing_twice(
    client: Client, elsewhere: Client, upstream: Recorder
) -> None:
    steps = threading.Semaphore(0)
    sent = whole_answer("One two three four five six seven eight nine ten.")

    async def respond(exchange: Exchange) -> None:
        await exchange.start_stream()
        for data in sent:
            await asyncio.to_thread(steps.acquire)
            await exchange.event(data)
        await exchange.end_stream()

    upstream.script.append(respond)
    session = client.start()["session"]
    with ExitStack() as stack:
        turn = next(stack.enter_context(client.asking(session, "Hop?"))).data["turn"]
        # Somebody else follows on the other process, so that it has a copy of its own that may be behind.
        follower = events(stack.enter_context(elsewhere.http.stream("GET", f"/api/turns/{turn}/events")).iter_bytes())
        heard: list[Event] = []
        for number in range(len(sent) + 2):
            steps.release()
            where = elsewhere if number % 2 else client
            after = heard[-1].id if heard else 0
            with where.http.stream("GET", f"/api/turns/{turn}/events?after={after}") as response:
                heard.append(next(events(response.iter_bytes())))
        assert heard[-1].name == "verdict"
        assert told(heard) == told(list(follower)) == told(client.tail(turn))


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, 600), max_size=8))
def test_however_a_client_is_cut_off_it_gets_the_whole_by_coming_back(client: Client, cuts: list[int]) -> None:
    client.add_context()
    got = client.ask(client.start()["session"], "Whole?")
    turn = got[0].data["turn"]
    heard: list[Event] = []
    for cut in [*cuts, 1 << 30]:
        raw = b""
        headers = {"Last-Event-ID": str(heard[-1].id)} if heard else {}
        with client.http.stream("GET", f"/api/turns/{turn}/events", headers=headers) as response:
            for chunk in response.iter_bytes():
                raw += chunk
        heard += list(events(iter([raw[:cut]])))
    assert told(heard) == told(got)


def test_the_asker_may_hang_up_and_the_turn_goes_on(client: Client, upstream: Recorder) -> None:
    client.add_context()
    with half_answered(client, upstream) as (session, turn, stream):
        stream.close()
    upstream.release()
    assert client.tail(turn)[-1].name == "verdict"
    assert not upstream.exchanges[0].hung_up.is_set()
    assert client.session(session)["turns"][0]["state"] == "done"


def test_a_tail_after_more_than_there_is_ends_at_once(client: Client) -> None:
    client.add_context()
    got = client.ask(client.start()["session"], "Short?")
    assert client.tail(got[0].data["turn"], (got[-1].id or 0) + 100) == []


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "²", str(1 << 70)])
def test_an_event_id_that_is_none_is_refused(client: Client, after: str) -> None:
    client.add_context()
    turn = client.ask(client.start()["session"], "Short?")[0].data["turn"]
    by_query = client.http.get(f"/api/turns/{turn}/events", params={"after": after})
    assert (by_query.status_code, by_query.json()["errors"][0]["field"]) == (422, "after")
    by_header = client.http.get(f"/api/turns/{turn}/events", headers=[(b"last-event-id", after.encode())])
    assert (by_header.status_code, by_header.json()["errors"][0]["field"]) == (422, "Last-Event-ID")


def test_who_names_two_events_has_seen_the_later(client: Client) -> None:
    """An EventSource comes back to its first address, query and all, with the header added."""
    client.add_context()
    got = client.ask(client.start()["session"], "Short?")
    first, last = (number for event in got if (number := event.id) and event in (got[0], got[-2]))
    for query, header in ((first, last), (last, first)):
        path = f"/api/turns/{got[0].data['turn']}/events?after={query}"
        with client.http.stream("GET", path, headers={"Last-Event-ID": str(header)}) as response:
            assert [event.id for event in events(response.iter_bytes())] == [got[-1].id]
