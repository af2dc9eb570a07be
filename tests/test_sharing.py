"""One upstream call at a time for each prefix, whoever wants it, wherever they ask, and whatever becomes of it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from app.store.connection import Store
from app.store.contexts import Contexts
from app.store.sessions import Sessions
from app.warm.prefixes import Prefixes
from tests.client import Client
from tests.recorder import Exchange, Recorder, held, refuse
from tests.running import RedisProcess, free_port, server, serving
from tests.test_warm import assert_sent_prefix


def test_isolated_sessions_share_nothing_and_shared_ones_everything(client: Client) -> None:
    client.add_context()
    shared = {client.start()["prefix"]["digest"] for _ in range(3)}
    apart = {client.start(isolation="session")["prefix"]["digest"] for _ in range(3)}
    assert (len(shared), len(apart), len(shared & apart)) == (1, 3, 0)


@pytest.mark.parametrize("isolation", ["shared", "session"])
async def test_a_fork_knows_the_prefix_of_each_of_its_turns(
    client: Client, redis: RedisProcess, isolation: str
) -> None:
    client.add_context()
    session = client.start()["session"]
    for question in ("One?", "Two?", "Three?"):
        client.ask(session, question)
    forking = {"after_turn": 2, "isolation": isolation}
    fork = client.http.post(f"/api/sessions/{session}/fork", json=forking).json()["session"]
    store = Store(redis.url)
    sessions = Sessions(store)
    for one, turns in ((session, 3), (fork, 2)):
        record = await sessions.get(one)
        assert record is not None
        transcript = await Prefixes(Contexts(store), sessions).of(record)
        prefixes = [transcript.until(count).prefix() for count in range(turns + 1)]
        assert record.digests == tuple(prefix.digest for prefix in prefixes)
        assert record.sizes == tuple(prefix.size for prefix in prefixes)
    await store.close()


def test_one_sessions_warm_serves_another_and_says_so(client: Client, upstream: Recorder) -> None:
    client.add_context()
    one, other = (client.start()["session"] for _ in range(2))
    assert client.warm(one, wait=True)["shared"] is False
    warm = client.warm(other)
    assert (warm["state"], warm["shared"], warm["message_id"]) == ("warm", True, "msg_1")
    first, *_, last = client.ask(other, "Is it warm?")
    assert (first.data["plan"], first.data["warm"]["state"]) == ("hit", "warm")
    assert (last.data["cache"], last.data["expected_read"]) == ("hit", 5000)
    assert len(upstream.warms) == 1


def test_a_question_that_comes_while_its_prefix_is_warming_joins_and_hits(client: Client, upstream: Recorder) -> None:
    client.add_context()
    session = client.start()
    upstream.script.append(held)
    assert client.warm(session["session"])["state"] == "warming"
    upstream.wait_for(1)
    with client.asking(session["session"], "Ready?") as stream:
        first = next(stream)
        assert (first.name, first.data["plan"], first.data["warm"]["state"]) == ("turn", "join", "warming")
        assert len(upstream.exchanges) == 1
        upstream.release()
        *_, last = stream
    assert (last.name, last.data["cache"], last.data["reason"]) == ("verdict", "hit", None)
    assert 0 < last.data["waited_ms"] <= last.data["ttfb_ms"] <= last.data["ttft_ms"] <= last.data["total_ms"]
    warm, ask = upstream.exchanges
    assert assert_sent_prefix(warm, session["prefix"]) == assert_sent_prefix(ask, session["prefix"])


def test_of_several_cold_questions_one_goes_cold_and_the_others_join_it(client: Client, upstream: Recorder) -> None:
    client.add_context()
    sessions = [client.start()["session"] for _ in range(5)]
    upstream.script.append(held)
    with ExitStack() as stack:
        streams = [stack.enter_context(client.asking(session, "Cold?")) for session in sessions]
        plans = [next(stream).data["plan"] for stream in streams]
        assert plans == ["cold", "join", "join", "join", "join"]
        upstream.wait_for(1)
        assert len(upstream.exchanges) == 1
        upstream.release()
        verdicts = [list(stream)[-1] for stream in streams]
    assert [verdict.name for verdict in verdicts] == ["verdict"] * 5
    assert len(upstream.asks) == 5
    assert len({exchange.body for exchange in upstream.asks}) == 1


@pytest.mark.parametrize("first_is", ["warm", "question"])
def test_after_a_failure_those_who_joined_it_go_on_one_at_a_time(
    client: Client, upstream: Recorder, first_is: str
) -> None:
    begun = threading.Semaphore(0)
    finish = threading.Semaphore(0)

    async def fail(exchange: Exchange) -> None:
        await exchange.pause()
        await refuse(529, "overloaded_error")(exchange)

    async def begin_alone(exchange: Exchange) -> None:
        begun.release()
        await asyncio.to_thread(finish.acquire)
        await refuse(529, "overloaded_error")(exchange)

    client.add_context()
    leader, *sessions = [client.start()["session"] for _ in range(4)]
    upstream.script.append(fail)
    upstream.default = begin_alone
    with ExitStack() as stack:
        if first_is == "warm":
            client.warm(leader)
        else:
            assert next(stack.enter_context(client.asking(leader, "Me first?"))).data["plan"] == "cold"
        upstream.wait_for(1)
        streams = [stack.enter_context(client.asking(session, "Me too?")) for session in sessions]
        assert [next(stream).data["plan"] for stream in streams] == ["join"] * 3
        upstream.release()
        for count in (2, 3, 4):
            assert begun.acquire(timeout=30)
            assert not begun.acquire(timeout=0.2), "another call for the same prefix is under way"
            assert len(upstream.exchanges) == count
            finish.release()
        assert [list(stream)[-1].data["code"] for stream in streams] == ["upstream_overloaded"] * 3
    assert upstream.most_in_flight == 1


def environment(redis: RedisProcess, upstream: Recorder) -> dict[str, str]:
    return {
        "HEADSTART_REDIS_URL": redis.url,
        "ANTHROPIC_BASE_URL": upstream.url,
        "ANTHROPIC_API_KEY": "sk-test-key",
        "HEADSTART_LIMITS": "off",
        "HEADSTART_VALUE_OF_SECOND_USD": "1000000",
    }


@pytest.fixture
def replicas(redis: RedisProcess, upstream: Recorder, tmp_path: Path) -> Iterator[list[str]]:
    """The addresses of two `headstart serve` processes over one Redis and one upstream."""
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                server(
                    log=tmp_path / f"{number}.log",
                    HEADSTART_PORT=str(free_port()),
                    **environment(redis, upstream),
                )
            )
            for number in range(2)
        ]
        for one in started:
            one.wait_ready()
        yield [one.url for one in started]


def test_fifty_warms_at_once_from_five_sessions_through_two_processes_are_one_call(
    replicas: list[str], upstream: Recorder
) -> None:
    upstream.default = held
    with httpx2.Client(timeout=30) as http:
        owner = Client(httpx2.Client(base_url=replicas[0], timeout=30))
        owner.add_context(documents=[{"title": "large", "text": "Alpha beta gamma. " * 60_000}])
        sessions = [owner.start()["session"] for _ in range(5)]
        http.cookies.update(dict(owner.http.cookies))
        owner.http.close()
        together = threading.Barrier(50)
        states: list[str] = []

        def warm(number: int) -> None:
            together.wait(30)
            path = f"/api/sessions/{sessions[number % 5]}/warm"
            response = http.post(replicas[number % 2] + path, json={"trigger": "focus"})
            assert response.status_code == 202, response.text
            states.append(response.json()["warm"]["state"])

        threads = [threading.Thread(target=warm, args=(number,)) for number in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert states == ["warming"] * 50
        upstream.wait_for(1)
        # A question through the other process joins the same call, and sends the same prefix.
        joined = Client(http)
        http.base_url = httpx2.URL(replicas[1])
        prefix = joined.session(sessions[3])["prefix"]
        with joined.asking(sessions[3], "All of you?") as stream:
            assert next(stream).data["plan"] == "join"
            assert len(upstream.exchanges) == 1
            upstream.release()
            *_, last = stream
        assert (last.name, last.data["cache"]) == ("verdict", "hit")
        assert last.data["waited_ms"] > 0
    warm_call, ask = upstream.exchanges
    assert assert_sent_prefix(warm_call, prefix) == assert_sent_prefix(ask, prefix)


def test_two_processes_share_what_is_warm_and_what_is_learned(redis: RedisProcess, upstream: Recorder) -> None:
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(redis.url, upstream.url)) for _ in range(2)]
        one, other = (Client(stack.enter_context(httpx2.Client(base_url=url, timeout=30))) for url in urls)
        one.add_context()
        session = one.start()["session"]
        one.warm(session, wait=True)
        other.http.cookies.update(dict(one.http.cookies))
        assert other.warm(session)["state"] == "warm"
        assert other.ask(session, "Here too?")[-1].data["cache"] == "hit"
        assert len(upstream.warms) == 1


def test_different_prefixes_are_warmed_side_by_side(client: Client, upstream: Recorder) -> None:
    upstream.default = held
    for number in range(5):
        client.add_context(f"c{number}", instructions=f"Number {number}.")
        client.warm(client.start(f"c{number}")["session"])
    upstream.wait_for(5)
    assert upstream.most_in_flight == 5
    upstream.release()


def test_a_warm_answers_before_its_call_does(client: Client, upstream: Recorder) -> None:
    upstream.default = held
    client.add_context()
    session = client.start()["session"]
    warm = client.warm(session, trigger="focus")
    assert (warm["state"], warm["started_at"] is not None, warm["message_id"]) == ("warming", True, None)
    assert client.session(session)["warm"] == warm
    upstream.wait_for(1)
    upstream.release()
    ended = client.warm(session, wait=True)
    assert (ended["state"], ended["tokens_written"], ended["message_id"]) == ("warm", 5000, "msg_1")
    assert ended["started_at"] < ended["expires_at"]
    assert len(upstream.exchanges) == 1
