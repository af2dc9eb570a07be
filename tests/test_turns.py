"""A turn: from a question, over a journal that every client tails, to an answer that the transcript keeps."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.client import Client, Event, events
from tests.recorder import (
    END,
    Exchange,
    Recorder,
    answer,
    halfway,
    held,
    message_start,
    refuse,
    sse,
    text_events,
    whole_answer,
)
from tests.running import RedisProcess, serving

FIRST_HALF = "The first half,"


def ids(got: list[Event]) -> list[int]:
    return [event.id for event in got if event.id is not None]


def told(got: list[Event]) -> list[tuple[int | None, str, Any]]:
    return [(event.id, event.name, event.data) for event in got if event.name != "ping"]


@pytest.fixture
def elsewhere(client: Client, redis: RedisProcess, upstream: Recorder) -> Iterator[Client]:
    """The same owner, on another process."""
    with serving(redis.url, upstream.url) as url, httpx2.Client(base_url=url, timeout=30) as http:
        client.add_context()
        http.cookies.update(dict(client.http.cookies))
        yield Client(http)


@contextmanager
def half_answered(client: Client, upstream: Recorder, question: str = "Halves?") -> Iterator[tuple[str, str, Any]]:
    """A session with a turn of which half has come: session, turn, and the asker's stream."""
    upstream.script.append(halfway(FIRST_HALF + " and the second."))
    session = client.start()["session"]
    with client.asking(session, question) as stream:
        turn = next(stream).data["turn"]
        for event in stream:
            if event.name == "content_block_delta":
                break
        yield session, turn, stream


def stop(client: Client, turn: str) -> dict[str, Any]:
    response = client.http.post(f"/api/turns/{turn}/stop")
    assert response.status_code == 202, response.text
    body: dict[str, Any] = response.json()
    return body


def test_the_turn_event_comes_first_then_the_apis_own_events_untouched_then_the_verdict(
    client: Client, upstream: Recorder
) -> None:
    sent = whole_answer("Ünïcode 🎉")
    sent.insert(1, {"type": "ping"})

    async def respond(exchange: Exchange) -> None:
        await exchange.start_stream()
        for data in sent:
            await exchange.chunk(sse(data))
        await exchange.end_stream()

    upstream.default = respond
    client.add_context()
    got = client.ask(client.start()["session"], "Why?")
    assert [event.name for event in got] == ["turn", *(data["type"] for data in sent), "verdict"]
    assert [event.data for event in got[1:-1]] == sent
    for event, data in zip(got[1:-1], sent, strict=True):
        assert event.raw.endswith(sse(data))


def test_every_event_but_ping_has_an_id_unique_and_increasing(client: Client) -> None:
    client.add_context()
    got = [event.id for event in client.ask(client.start()["session"], "Why?") if event.name != "ping"]
    assert all(number is not None for number in got)
    assert got == sorted(set(got), key=lambda number: number or 0)


def test_a_verdict_has_every_part_that_the_contract_names(client: Client) -> None:
    client.add_context()
    verdict = client.ask(client.start()["session"], "Why?")[-1].data
    counts = {"read", "written", "uncached", "output", "expected_read", "waited_ms", "ttfb_ms", "ttft_ms", "total_ms"}
    assert set(verdict) >= counts | {"cache", "reason", "cost_usd", "saved_usd", "message_id"}
    assert (verdict["read"], verdict["written"], verdict["uncached"], verdict["output"]) == (5000, 0, 7, 9)
    assert verdict["waited_ms"] <= verdict["ttfb_ms"] <= verdict["ttft_ms"] <= verdict["total_ms"]


def test_a_session_shows_its_turns_as_they_ended(client: Client, upstream: Recorder) -> None:
    client.add_context()
    session = client.start()["session"]
    verdict = client.ask(session, "One?")[-1].data
    upstream.script.append(refuse(529, "overloaded_error"))
    problem = client.ask(session, "Two?")[-1].data
    with half_answered(client, upstream) as (other, turn, _):
        running = client.session(other)["turns"][0]
        assert (running["turn"], running["state"], running["answer"], running["verdict"]) == (turn, "running", "", None)
        stop(client, turn)
    one, two = client.session(session)["turns"]
    assert (one["number"], one["state"], one["question"], one["verdict"]) == (1, "done", "One?", verdict)
    assert one["answer"] == "An answer — with ünïcode 🎉."
    assert (two["number"], two["state"], two["problem"], two["answer"]) == (2, "failed", problem, "")


def test_a_second_question_while_a_turn_runs_is_refused_with_the_running_turns_id(
    client: Client, upstream: Recorder
) -> None:
    client.add_context()
    with half_answered(client, upstream) as (session, turn, stream):
        response = client.http.post(f"/api/sessions/{session}/ask", json={"question": "Me too?"})
        assert (response.status_code, response.headers["content-type"]) == (409, "application/problem+json")
        assert (response.json()["code"], response.json()["turn"]) == ("turn_running", turn)
        upstream.release()
        assert list(stream)[-1].name == "verdict"
    assert client.ask(session, "Now?")[-1].name == "verdict"


def test_of_two_questions_at_the_same_moment_one_is_answered(client: Client, upstream: Recorder) -> None:
    upstream.default = held
    client.add_context()
    session = client.start()["session"]
    together, statuses = threading.Barrier(8), []

    def ask() -> None:
        together.wait(10)
        with client.http.stream("POST", f"/api/sessions/{session}/ask", json={"question": "First?"}) as response:
            statuses.append(response.status_code)
            upstream.release()
            response.read()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(statuses) == [200] + [409] * 7
    assert len(upstream.asks) == 1
    assert len(client.session(session)["turns"]) == 1


# Stopping


def test_a_stop_from_another_process_ends_the_turn_and_what_was_said_stays(
    client: Client, elsewhere: Client, upstream: Recorder
) -> None:
    with half_answered(client, upstream) as (session, turn, stream):
        assert stop(elsewhere, turn) == {"turn": turn, "state": "running"}
        last = list(stream)[-1]
        assert (last.name, last.data["turn"], last.data["reason"]) == ("stopped", turn, None)
    assert upstream.exchanges[0].hung_up.wait(5)
    (stopped,) = elsewhere.session(session)["turns"]
    assert (stopped["state"], stopped["answer"]) == ("stopped", FIRST_HALF)
    assert stopped["verdict"] == last.data["verdict"]
    assert (stopped["verdict"]["cache"], stopped["verdict"]["read"]) == ("hit", 5000)
    prefix = client.session(session)["prefix"]
    assert client.ask(session, "And?")[-1].name == "verdict"
    body = upstream.asks[-1].json
    assert [block["text"] for block in body["messages"][1]["content"]] == [FIRST_HALF]
    assert prefix["breakpoints"] == 2


def test_a_stop_before_the_first_byte_leaves_nothing_behind(client: Client, upstream: Recorder) -> None:
    upstream.script.append(held)
    client.add_context()
    started = client.start()
    with client.asking(started["session"], "Never mind?") as stream:
        turn = next(stream).data["turn"]
        upstream.wait_for(1)
        stop(client, turn)
        assert [event.name for event in stream] == ["stopped"]
    assert upstream.exchanges[0].hung_up.wait(5)
    after = client.session(started["session"])
    assert (after["prefix"], after["turns"][0]["state"]) == (started["prefix"], "stopped")
    assert after["warm"]["state"] == "cold"
    assert client.ask(started["session"], "And now?")[-1].name == "verdict"
    assert b"Never mind" not in upstream.asks[-1].body


def test_a_stop_while_joining_leaves_the_warm_alone(client: Client, upstream: Recorder) -> None:
    upstream.script.append(held)
    client.add_context()
    session = client.start()["session"]
    client.warm(session)
    upstream.wait_for(1)
    with client.asking(session, "Never mind?") as stream:
        stop(client, next(stream).data["turn"])
        assert [event.name for event in stream] == ["stopped"]
    upstream.release()
    assert client.warm(session, wait=True)["state"] == "warm"
    assert (len(upstream.warms), len(upstream.asks)) == (1, 0)


def test_stopping_twice_or_after_the_end_changes_nothing(client: Client, upstream: Recorder) -> None:
    client.add_context()
    with half_answered(client, upstream) as (session, turn, stream):
        stop(client, turn)
        stop(client, turn)
        assert list(stream)[-1].name == "stopped"
        assert stop(client, turn) == {"turn": turn, "state": "stopped"}
    done = client.ask(session, "And?")[0].data["turn"]
    assert stop(client, done) == {"turn": done, "state": "done"}
    assert [turn["state"] for turn in client.session(session)["turns"]] == ["stopped", "done"]
    totals = client.http.get("/api/stats").json()["totals"]
    assert totals["ask_calls"] == len(upstream.asks) == 2


# Erasing


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_erasing_a_session_mid_turn_ends_its_clients_its_spending_and_its_traces(
    client: Client, elsewhere: Client, redis: RedisProcess, upstream: Recorder, where: str
) -> None:
    with half_answered(client, upstream) as (session, turn, stream), ExitStack() as stack:
        remote = stack.enter_context(elsewhere.http.stream("GET", f"/api/turns/{turn}/events"))
        tail = events(remote.iter_bytes())
        assert next(tail).name == "turn"
        eraser = client if where == "here" else elsewhere
        assert eraser.http.delete(f"/api/sessions/{session}").status_code == 204
        assert upstream.exchanges[-1].hung_up.wait(5)
        assert [event.name for event in stream] in ([], ["stopped"])
        assert {event.name for event in tail} <= {
            "message_start",
            "content_block_start",
            "content_block_delta",
            "stopped",
        }
    upstream.release()
    assert client.http.get(f"/api/sessions/{session}").status_code == 404
    assert client.http.get(f"/api/turns/{turn}/events").status_code == 404
    # Another turn has come and gone: whatever the erased one had left to write has had its time.
    assert client.ask(client.start()["session"], "Gone?")[-1].name == "verdict"
    assert [key for key in redis.named() if session.removeprefix("s_") in key] == []


def test_what_is_erased_is_gone(client: Client, redis: RedisProcess) -> None:
    client.add_context()
    session = client.start()["session"]
    turn = client.ask(session, "Will this stay?")[0].data["turn"]
    assert client.http.delete(f"/api/sessions/{session}").status_code == 204
    for method, path in [
        ("GET", f"/api/sessions/{session}"),
        ("DELETE", f"/api/sessions/{session}"),
        ("GET", f"/api/turns/{turn}/events"),
        ("POST", f"/api/turns/{turn}/stop"),
    ]:
        assert client.http.request(method, path).status_code == 404
    assert [key for key in redis.named() if session.removeprefix("s_") in key] == []


# Tailing


def test_every_tail_of_an_ended_turn_tells_the_same_from_any_event_on(client: Client, elsewhere: Client) -> None:
    got = client.ask(client.start()["session"], "What happened?")
    turn = got[0].data["turn"]
    for where in (client, elsewhere):
        assert told(where.tail(turn)) == told(got)
        for place, event in enumerate(got):
            assert told(where.tail(turn, event.id or 0)) == told(got[place + 1 :])
            with where.http.stream("GET", f"/api/turns/{turn}/events?after={event.id}") as response:
                assert told(list(events(response.iter_bytes()))) == told(got[place + 1 :])


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


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def test_a_long_answer_in_tiny_pieces_is_journaled_whole(client: Client, upstream: Recorder) -> None:
    words = "".join(f"word{number} " for number in range(3000))
    upstream.script.append(lambda exchange: stream_pieces(exchange, words))
    client.add_context()
    session = client.start()["session"]
    got = client.ask(session, "How long?")
    assert "".join(event.data["delta"]["text"] for event in got if event.name == "content_block_delta") == words
    assert ids(got) == sorted(set(ids(got)))
    assert told(client.tail(got[0].data["turn"])) == told(got)
    assert client.session(session)["turns"][0]["answer"] == words


async def stream_pieces(exchange: Exchange, text: str) -> None:
    await exchange.start_stream()
    for data in (message_start(), *text_events(text, pieces=3000), *END):
        await exchange.event(data)
    await exchange.end_stream()


def test_ten_sessions_at_once_do_not_mix_their_answers(client: Client, upstream: Recorder) -> None:
    async def echo(exchange: Exchange) -> None:
        if exchange.is_warm:
            await answer(exchange)
        else:
            await stream_pieces(exchange, exchange.json["messages"][-1]["content"][-1]["text"] * 200)

    upstream.default = echo
    client.add_context()
    sessions = [client.start()["session"] for _ in range(10)]
    got: dict[str, list[Event]] = {}
    threads = [
        threading.Thread(target=lambda session=session: got.update({session: client.ask(session, f"I am {session}. ")}))
        for session in sessions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for session in sessions:
        assert got[session][-1].name == "verdict"
        assert client.session(session)["turns"][0]["answer"] == f"I am {session}. " * 200
