"""A turn: from a question, over a journal that every client tails, to an answer that the transcript keeps."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx2
import pytest

from tests.client import Client, Event, events
from tests.recorder import END, Exchange, Recorder, answer, held, message_start, refuse, sse, text_events, whole_answer
from tests.running import RedisProcess, serving
from tests.turns import FIRST_HALF, half_answered, ids, stop, told


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
        together.wait(30)
        with client.http.stream("POST", f"/api/sessions/{session}/ask", json={"question": "First?"}) as response:
            statuses.append(response.status_code)
            upstream.release()
            response.read()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(statuses) == [200] + [409] * 7
    assert len(upstream.asks) == 1
    assert len(client.session(session)["turns"]) == 1


# One question, sent again


def test_what_is_sent_again_under_the_same_key_is_the_same_turn(client: Client, upstream: Recorder) -> None:
    client.add_context()
    session = client.start()["session"]
    address, key = f"/api/sessions/{session}/ask", {"idempotency-key": "mine-1"}
    first, again = (client.http.post(address, json={"question": "Why?"}, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert (again.headers["turn-id"], again.content) == (first.headers["turn-id"], first.content)
    assert len(upstream.asks) == len(client.session(session)["turns"]) == 1
    # Of another session, or without a key, it is another question; under one key there are no two.
    other = client.start()["session"]
    for elsewhere, headers in ((other, key), (session, {})):
        asked = client.http.post(f"/api/sessions/{elsewhere}/ask", json={"question": "Why?"}, headers=headers)
        assert asked.headers["turn-id"] != first.headers["turn-id"]
    other_question = client.http.post(address, json={"question": "Why not?"}, headers=key)
    assert (other_question.status_code, other_question.json()["code"]) == (409, "key_used")
    for wrong in ("", "with a space", "x" * 201):
        refused = client.http.post(address, json={"question": "Why?"}, headers={"idempotency-key": wrong})
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (422, "invalid_request")
        assert problem["errors"][0]["field"].lower() == "idempotency-key"
        assert "pattern" not in problem["detail"]
    assert len(upstream.asks) == 3


@pytest.mark.parametrize("key", ["a", "b", "c"])
def test_of_the_same_key_at_the_same_moment_in_two_processes_one_turn_comes(
    client: Client, elsewhere: Client, upstream: Recorder, key: str
) -> None:
    upstream.default = held
    client.add_context()
    session = client.start()["session"]
    together = threading.Barrier(8)
    answers: list[tuple[int, str, list[str]]] = []

    def ask(one: Client) -> None:
        together.wait(30)
        address, headers = f"/api/sessions/{session}/ask", {"idempotency-key": key}
        with one.http.stream("POST", address, json={"question": "First?"}, headers=headers) as response:
            upstream.release()
            got = [event.name for event in events(response.iter_bytes()) if event.name != "ping"]
            answers.append((response.status_code, response.headers.get("turn-id", ""), got))

    threads = [threading.Thread(target=ask, args=(one,)) for one in (client, elsewhere) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    (turn,) = client.session(session)["turns"]
    assert [(status, found) for status, found, _ in answers] == [(200, turn["turn"])] * 8
    assert all(got == answers[0][2] and got[-1] == "verdict" for *_, got in answers)
    assert len(upstream.asks) == 1


def test_of_two_questions_under_the_same_key_at_the_same_moment_none_gets_the_others_answer(
    client: Client, elsewhere: Client
) -> None:
    client.add_context()
    together = threading.Barrier(6)

    def ask(one: Client, session: str, question: str) -> tuple[str, int]:
        together.wait(30)
        address, headers = f"/api/sessions/{session}/ask", {"idempotency-key": "one"}
        return question, one.http.post(address, json={"question": question}, headers=headers).status_code

    with ThreadPoolExecutor(6) as pool:
        for _ in range(5):
            session = client.start()["session"]
            asking = [
                pool.submit(ask, one, session, f"{number}?") for number, one in enumerate((client, elsewhere) * 3)
            ]
            answers = [one.result(30) for one in asking]
            (turn,) = client.session(session)["turns"]
            assert [question for question, status in answers if status == 200] == [turn["question"]]
            assert {status for _, status in answers} == {200, 409}


def test_what_is_sent_again_is_one_more_stream_that_is_open(redis: RedisProcess, upstream: Recorder) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(serving(redis.url, upstream.url, limits="on", owner_open_streams=1))
        client = Client(stack.enter_context(httpx2.Client(base_url=url, timeout=30)))
        client.add_context()
        upstream.default = held
        session = client.start()["session"]
        address, key = f"/api/sessions/{session}/ask", {"idempotency-key": "one"}
        begun = [
            stack.enter_context(client.http.stream("POST", address, json={"question": "Why?"}, headers=key))
            for _ in range(3)
        ]
        assert [response.status_code for response in begun] == [200, 200, 429]
        assert begun[2].read() and begun[2].json()["limit"] == "open_streams"
        upstream.release()


# Stopping


def test_a_stop_from_another_process_ends_the_turn_and_what_was_said_stays(
    client: Client, elsewhere: Client, upstream: Recorder
) -> None:
    with half_answered(client, upstream) as (session, turn, stream):
        assert stop(elsewhere, turn) == {"turn": turn, "state": "running"}
        last = list(stream)[-1]
        assert (last.name, last.data["turn"], last.data["reason"]) == ("stopped", turn, None)
    assert upstream.exchanges[0].hung_up.wait(30)
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
    assert upstream.exchanges[0].hung_up.wait(30)
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
        assert upstream.exchanges[-1].hung_up.wait(30)
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
    # A turn's id has its session's in it. Who warmed a prefix that others may share is known as long as the warm is.
    assert [key for key in redis.holding(session.removeprefix("s_")) if not key.startswith("hs:warm:")] == []


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
