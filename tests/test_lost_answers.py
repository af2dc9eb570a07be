"""A connection to Redis can go when a command was carried out and its answer is under way: nothing is done twice or lost."""

import asyncio
import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from redis import Redis

import app.store
from app.store import connection, keys
from app.store.connection import Store
from app.store.turns import Turns
from app.turns import asking
from app.turns.journal import Journal
from tests.client import Client
from tests.faults import end_without_message_stop
from tests.losing import Losing, losing
from tests.recorder import Recorder, halfway
from tests.running import RedisProcess, serving
from tests.test_attempts import WHOLE, text_of
from tests.turns import half_answered, stop, told


def source(name: str) -> bytes:
    """A script."""
    return Path(app.store.__file__).with_name(f"{name}.lua").read_bytes()


def script(name: str) -> bytes:
    """What a command that runs the script has in it."""
    return hashlib.sha1(source(name)).hexdigest().encode()


@pytest.fixture
def way(redis: RedisProcess, tmp_path: Path) -> Iterator[Losing]:
    with losing(redis, tmp_path) as found:
        yield found


@pytest.mark.parametrize(
    "marks",
    [
        *(pytest.param(script(name), id=name) for name in ("accept_turn", "claim_warm", "settle_warm", "finish_turn")),
        *(pytest.param(script(name), id=name) for name in ("open_call", "enter_ledger", "take_turn", "vouch_turns")),
        pytest.param(b"event: message_start", id="the journal's first events"),
        pytest.param(b"event: message_stop", id="the journal's last events"),
        pytest.param(b"HGETALL", id="a read"),
    ],
)
def test_a_turn_is_answered_once_whichever_answer_of_redis_gets_lost(
    way: Losing, upstream: Recorder, marks: bytes
) -> None:
    with serving(way.url, upstream.url) as url, httpx2.Client(base_url=url, timeout=30) as http:
        client = Client(http)
        client.add_context()
        session = client.start()["session"]
        # Scripts are sent by their names once Redis has them: this one uses them all.
        upstream.script.append(end_without_message_stop)
        assert client.ask(session, "Before?")[-1].name == "verdict"
        calls = 1
        if marks == script("take_turn"):
            upstream.script.append(end_without_message_stop)
            calls = 2
        before, began = len(upstream.asks), time.monotonic()
        way.arm(marks)
        got = client.ask(session, "Lost?")
        assert way.lost.wait(30)
        assert time.monotonic() - began < 15
        assert (got[-1].name, text_of(got)) == ("verdict", WHOLE)
        assert len(upstream.asks) - before == calls
        assert told(client.tail(got[0].data["turn"])) == told(got)
        assert client.ask(session, "And on?")[-1].name == "verdict"
        assert upstream.asks[-1].body.count(b"Lost?") == 1
        assert [turn["state"] for turn in client.session(session)["turns"]] == ["done"] * 3
        assert client.http.get("/api/stats").json()["totals"]["ask_calls"] == len(upstream.asks)


def test_a_turn_that_its_own_process_takes_over_before_it_hears_that_it_was_accepted_is_produced_once(
    way: Losing, upstream: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(way.url, upstream.url) as url, httpx2.Client(base_url=url, timeout=30) as http:
        client = Client(http)
        client.add_context()
        session = client.start()["session"]
        assert client.ask(session, "Before?")[-1].name == "verdict"
        # Vouched for briefly, and asked again later than it is found by who looks for orphans.
        monkeypatch.setattr(asking, "VOUCHED_MS", 0)
        monkeypatch.setattr(connection, "PAUSES_S", (3.0,))
        upstream.script.append(halfway(WHOLE))
        way.arm(script("accept_turn"))
        with client.asking(session, "Lost?") as stream:
            turn = next(stream).data["turn"]
            upstream.release()
            assert list(stream)[-1].name == "verdict"
        assert text_of(client.tail(turn)) == WHOLE
        assert len(upstream.asks) == 2


def test_a_turn_that_has_ended_before_its_own_process_hears_that_it_was_accepted_is_not_asked_again(
    way: Losing, upstream: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(way.url, upstream.url) as url, httpx2.Client(base_url=url, timeout=30) as http:
        client = Client(http)
        client.add_context()
        session = client.start()["session"]
        assert client.ask(session, "Before?")[-1].name == "verdict"
        monkeypatch.setattr(asking, "VOUCHED_MS", 0)
        monkeypatch.setattr(connection, "PAUSES_S", (5.0,))
        way.arm(script("accept_turn"))
        got = client.ask(session, "Lost?")
        assert (got[0].name, got[-1].name) == ("turn", "verdict")
        assert [turn["question"] for turn in client.session(session)["turns"]] == ["Before?", "Lost?"]
        assert len(upstream.asks) == 2


@pytest.fixture
def slow(way: Losing, client: Client, upstream: Recorder) -> Iterator[Client]:
    """The same owner, on another process, whose way to Redis loses and holds answers."""
    client.add_context()
    with serving(way.url, upstream.url) as url, httpx2.Client(base_url=url, timeout=30) as http:
        http.cookies.update(dict(client.http.cookies))
        yield Client(http)


def test_a_question_follows_what_was_answered_elsewhere_while_it_was_on_its_way(
    way: Losing, slow: Client, client: Client, upstream: Recorder
) -> None:
    session = slow.start()["session"]
    assert slow.warm(session, wait=True)["state"] == "warm"
    with ThreadPoolExecutor() as threads:
        way.hold(script("claim_warm"))
        asked = threads.submit(slow.ask, session, "Late?")
        assert way.lost.wait(30)
        assert client.ask(session, "Meanwhile?")[-1].name == "verdict"
        way.release()
        assert asked.result()[-1].name == "verdict"
    sent = upstream.asks[-1].body
    assert sent.index(b"Meanwhile?") < sent.index(b"Late?")
    assert len(upstream.asks) == 2


def test_a_fork_after_a_turn_that_ends_meanwhile_has_all_of_it_or_is_refused(
    way: Losing, slow: Client, client: Client, upstream: Recorder
) -> None:
    with half_answered(client, upstream) as (session, _, stream), ThreadPoolExecutor() as threads:
        way.hold(keys.ends(session).encode())
        forking = threads.submit(slow.http.post, f"/api/sessions/{session}/fork", json={"after_turn": 1})
        held: list[Future[Any]] = [forking, threads.submit(way.lost.wait, 30)]
        wait(held, return_when=FIRST_COMPLETED)
        upstream.release()
        assert list(stream)[-1].name == "verdict"
        way.release()
        way.lost.set()
        forked = forking.result()
    if forked.status_code == 201:
        assert client.ask(forked.json()["session"], "And?")[-1].name == "verdict"
    else:
        assert (forked.status_code, forked.json()["code"]) == (422, "invalid_request")


def test_a_session_that_is_never_as_it_was_looked_at_is_an_error_and_no_loop(
    client: Client, redis: RedisProcess
) -> None:
    client.add_context()
    session = client.start()["session"]
    with Redis.from_url(redis.url) as direct:
        direct.rpush(keys.ends(session), "[]")
        refused = client.http.post(f"/api/sessions/{session}/ask", json={"question": "Why?"})
        assert (refused.status_code, refused.json()["code"]) == (500, "internal_error")
        assert direct.exists(keys.turn_list(session)) == 0


def test_a_stop_that_was_answered_is_kept_for_whoever_has_the_turn(
    client: Client, upstream: Recorder, redis: RedisProcess
) -> None:
    async def taken_by_another(session: str, turn: str) -> dict[str, str] | None:
        store = Store(redis.url)
        turns = Turns(store)
        assert await turns.take(session, turn, 0) == (1, 2)
        await turns.vouch([turn], 60_000)
        await asyncio.to_thread(stop, client, turn)
        fields = await turns.get(session, turn)
        await store.close()
        return fields

    client.add_context()
    with half_answered(client, upstream) as (session, turn, _):
        fields = asyncio.run(taken_by_another(session, turn))
    assert fields is not None and fields["stop"] == "1"


def test_a_stop_of_what_was_erased_leaves_nothing(client: Client, upstream: Recorder, redis: RedisProcess) -> None:
    client.add_context()
    with half_answered(client, upstream) as (session, turn, _), ExitStack() as stack:
        stack.callback(upstream.release)
        assert client.http.delete(f"/api/sessions/{session}").status_code == 204
        store_stop(redis, session, turn)
        assert [name for name in redis.named() if turn in name and "tailed" not in name] == []


def store_stop(redis: RedisProcess, session: str, turn: str) -> None:
    async def go() -> None:
        store = Store(redis.url)
        assert await Turns(store).ask_to_stop(session, turn) is None
        await store.close()

    asyncio.run(go())


def test_readers_of_a_journal_that_is_erased_are_told_also_while_others_go_on(redis: RedisProcess) -> None:
    async def go() -> None:
        store = Store(redis.url)
        journal = Journal(Turns(store))
        journal.start()
        silent, talking = ((session := keys.new_session_id(), keys.new_turn_id(session)) for _ in range(2))
        for session, turn in (silent, talking):
            await store.do("XADD", keys.journal(session, turn), "0-1", "f", b"id: 1\nevent: turn\ndata: {}\n\n")
        reading = [asyncio.create_task(read(journal, *one)) for one in (silent, talking)]
        await store.do("DEL", keys.journal(*silent))
        sequence = 1
        while not reading[0].done():
            sequence += 1
            await store.do("XADD", keys.journal(*talking), f"0-{sequence}", "f", b"id: %d\n\n" % sequence)
            await asyncio.wait(reading[:1], timeout=0.05)
            assert sequence < 400, "its reader waits on"
        reading[1].cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        await journal.close()
        await store.close()

    asyncio.run(go())


async def test_a_reader_of_a_former_copy_of_a_journal_misses_nothing_that_came_before_what_is_followed(
    redis: RedisProcess,
) -> None:
    store = Store(redis.url)
    turns = Turns(store)
    journal = Journal(turns)
    session = keys.new_session_id()
    turn = keys.new_turn_id(session)

    async def write(*numbers: int) -> None:
        for number in numbers:
            await store.do("XADD", keys.journal(session, turn), f"0-{number}", "f", b"%d" % number)

    await write(1)
    early = aiter(await journal.tail(session, turn, 0))
    await write(2, 3)
    late: Any = aiter(await journal.tail(session, turn, 0))
    assert await anext(late) == b"123"
    journal.start()
    # From here on, what comes after the third is waited for.
    await asyncio.sleep(0)
    await late.aclose()
    assert await anext(early) == b"1"
    await write(4)
    got = b""
    while not got.endswith(b"4"):
        got += await asyncio.wait_for(anext(early), 30)
    assert got == b"234"
    await journal.close()
    await store.close()


async def read(journal: Journal, session: str, turn: str) -> None:
    async for _ in await journal.tail(session, turn, 0):
        pass
