"""Over a Redis cluster: three primaries, each with a replica."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import httpx2
import pytest
from redis.exceptions import ResponseError

from app.store import keys
from app.store.allowances import Allowances
from app.store.connection import Store, StoreUnavailable
from app.store.ledger import LedgerStore
from app.store.sessions import Sessions
from app.store.spending import Bucket
from app.store.turns import Entry, Standing, Turns, event_id
from app.store.warms import Warms
from app.turns.met import Met
from app.turns.retention import Retention
from tests.client import Client, Event
from tests.failover import ClusterProcess, Server
from tests.recorder import END, Exchange, Recorder, halfway, message_start, text_events
from tests.running import serving, until
from tests.turns import ids, told
from tests.walk import findings, go_on_after, two_servers, walk

WORKS_AGAIN_WITHIN_S = 15
# Twenty-five events take half a second to come; whoever waits for a server that is frozen waits for three.
GOES_ON_WITHIN_S = 2.5
SCRIPTS = Path(__file__).parent.parent / "app" / "store"


@pytest.fixture(scope="session")
def cluster_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterProcess]:
    process = ClusterProcess(tmp_path_factory.mktemp("cluster"))
    try:
        process.start()
        yield process
    finally:
        process.stop()


@pytest.fixture
def cluster(cluster_process: ClusterProcess) -> ClusterProcess:
    """A running, empty cluster."""
    cluster_process.flush()
    return cluster_process


@pytest.fixture
async def store(cluster: ClusterProcess) -> AsyncIterator[Store]:
    store = Store(cluster.url)
    yield store
    await store.close()


def test_the_contract_holds_and_every_script_stays_in_one_slot(cluster: ClusterProcess, upstream: Recorder) -> None:
    with two_servers(cluster.url, upstream) as (client, other):
        walk(client, other, upstream)
    asyncio.run(_run_what_takes_time(cluster.url))
    ran = {
        script.stem
        for script in SCRIPTS.glob("*.lua")
        for server in cluster.servers
        if server.ask("SCRIPT", "EXISTS", hashlib.sha1(script.read_bytes()).hexdigest()) == [1]
    }
    assert ran == {script.stem for script in SCRIPTS.glob("*.lua")}


async def _run_what_takes_time(url: str) -> None:
    """What runs only when a call lasts for seconds, a process goes, programs bring keys, or time has passed."""
    store = Store(url)
    assert not await Warms(store, "u").renew("d", 1, lease_ms=1000)
    assert not await Warms(store, "u").withdraw("d", 1)
    await LedgerStore(store, "u").vouch(["call"], 1000)
    session, turn = keys.session("s"), keys.turn("s", "t")
    assert await store.run("hand_over_turn", [turn], [0]) == 0
    await store.run("touch_key", [keys.api_key("k")], [0])
    assert await store.run("take_turn", [session, turn, keys.journal("s", "t")], [0, "us"]) is None
    await Allowances(store).give_back(Bucket("b", 1, 1.0))
    # All that the walk has made, over every node.
    sessions = Sessions(store)
    there = sum([len(await sessions.unused(share, -1, 1000, -1)) for share in keys.SHARES])
    turns = Turns(store)
    await turns.watch(["t"], 0)
    assert await Retention(sessions, Met(turns), 1).sweep(-1) == there > 0
    assert not any([await sessions.unused(share, -1, 1, -1) for share in keys.SHARES])
    await store.close()


def test_when_a_primary_is_killed_answers_go_on_and_questions_are_taken_again(
    cluster: ClusterProcess, upstream: Recorder
) -> None:
    with two_servers(cluster.url, upstream) as (client, other):
        fresh = client.start()["session"]
        killed = time.monotonic()
        lost = go_on_after(lambda session: cluster.kill_primary(keys.session(session)), client, upstream)
        for one in (client, other):
            assert one.ask(one.start()["session"], "New?")[-1].name == "verdict"
        assert client.ask(fresh, "Still?")[-1].name == "verdict"
        assert time.monotonic() - killed < WORKS_AGAIN_WITHIN_S
        cluster.restart(lost)
        walk(client, other, upstream)


def test_turns_are_vouched_for_while_a_part_of_the_cluster_that_does_not_list_them_is_away(
    tmp_path: Path, upstream: Recorder
) -> None:
    # Away for longer than a turn is vouched for.
    cluster = ClusterProcess(tmp_path / "patient", node_timeout_ms=5000)
    with ExitStack() as stack:
        stack.callback(cluster.stop)
        cluster.start()
        url = stack.enter_context(serving(cluster.url, upstream.url))
        client = Client(stack.enter_context(httpx2.Client(base_url=url, timeout=30)))
        client.add_context()
        begun: dict[Server, tuple[str, str, Iterator[Event]]] = {}
        while len(begun) < 3:
            session = client.start()["session"]
            home = cluster.primary_of(keys.session(session))
            if home not in begun:
                upstream.script.append(halfway("Here and there."))
                stream = stack.enter_context(client.asking(session, "Where?"))
                begun[home] = (session, next(stream).data["turn"], stream)
        upstream.wait_for(3)
        listing = cluster.primary_of(keys.RUNNING)

        def orphans() -> int:
            seconds, microseconds = listing.ask("TIME")
            now = int(seconds) * 1000 + int(microseconds) // 1000
            return int(listing.answers("ZCOUNT", keys.RUNNING, "-inf", now) or 0)

        lost = next(home for home in begun if home is not listing)
        lost.kill()
        until(lambda: orphans() or cluster.primary_of(keys.session(begun[lost][0])) is not lost, "the failover")
        assert orphans() == 0
        upstream.release()
        for session, turn, stream in begun.values():
            assert list(stream)[-1].name == "verdict"
            assert cluster.primary_of(keys.turn(session, turn)).ask("HGET", keys.turn(session, turn), "epoch") == "0"
    assert len(upstream.asks) == 3


@pytest.mark.parametrize("away", ["frozen", "killed"])
def test_only_turns_whose_primary_is_away_pause_and_they_are_whole_when_it_is_back(
    tmp_path: Path, upstream: Recorder, away: str
) -> None:
    # Nothing fails over while this lasts.
    cluster = ClusterProcess(tmp_path / "patient", node_timeout_ms=60_000)
    upstream.default = counting
    with ExitStack() as stack:
        stack.callback(cluster.stop)
        cluster.start()
        client, other = stack.enter_context(two_servers(cluster.url, upstream))
        begun: dict[Server, tuple[str, list[Iterator[Event]]]] = {}
        while len(begun) < 3:
            session = client.start()["session"]
            if (home := cluster.primary_of(keys.session(session))) not in begun:
                near = stack.enter_context(client.asking(session, "How many?"))
                turn = next(near).data["turn"]
                begun[home] = (turn, [near, stack.enter_context(other.tailing(turn))])
        heard = {stream: take(stream, 10) for _, streams in begun.values() for stream in streams}
        needed_by_all = [cluster.primary_of(name) for name in (keys.RUNNING, keys.LEDGER)]
        lost = next(home for home in begun if home not in needed_by_all)
        lost.freeze() if away == "frozen" else lost.kill()
        for home, (_, streams) in begun.items():
            if home is not lost:
                began = time.monotonic()
                for stream in streams:
                    heard[stream] += take(stream, 25)
                assert time.monotonic() - began < GOES_ON_WITHIN_S
        lost.freeze(frozen=False) if away == "frozen" else cluster.restart(lost)
        for _, streams in begun.values():
            for stream in streams:
                heard[stream] += take(stream, 50)
        upstream.release()
        for turn, streams in begun.values():
            whole = client.tail(turn)
            assert whole[-1].name == "verdict" and ids(whole) == list(range(1, len(whole) + 1))
            for stream in streams:
                rest = [event for event in stream if event.id is not None]
                assert told(whole)[-len(heard[stream]) - len(rest) :] == told([*heard[stream], *rest])
    assert len(upstream.asks) == 3


async def counting(exchange: Exchange) -> None:
    """Count, fifty times a second, until the release."""
    await exchange.start_stream()
    start, *_, stop = text_events("0")
    for data in (message_start(exchange.number), start):
        await exchange.event(data)
    number = 0
    while not exchange.released.is_set():
        number += 1
        await exchange.event(text_events(f"{number} ", pieces=1)[1])
        await asyncio.sleep(0.02)
    for data in (stop, *END):
        await exchange.event(data)
    await exchange.end_stream()


def take(stream: Iterator[Event], count: int) -> list[Event]:
    """The next events that have an id."""
    return list(islice((event for event in stream if event.id is not None), count))


async def test_how_turns_stand_is_told_of_those_that_redis_has_while_others_are_away(
    cluster: ClusterProcess, store: Store
) -> None:
    turns = Turns(store)
    running: dict[Server, tuple[str, str]] = {}
    while len(running) < 3:
        session = keys.new_session_id()
        running.setdefault(cluster.primary_of(keys.session(session)), (session, keys.new_turn_id(session)))
    await store.batch([("HSET", keys.turn(*one), "epoch", 0, "stop", "1") for one in running.values()])
    lost = next(iter(running))
    lost.freeze()
    try:
        standing = await turns.stand(list(running.values()))
    finally:
        lost.freeze(frozen=False)
    assert standing == [Standing(turn, 0, True) for home, (_, turn) in running.items() if home is not lost]
    cluster.wait_whole()


async def test_a_batch_over_many_slots_is_answered_in_order_and_refused_one_by_one(store: Store) -> None:
    names = [f"many:{number}" for number in range(200)]
    assert await store.batch([("SET", name, name) for name in names]) == [True] * len(names)
    await store.do("RPUSH", "{a}list", 1)
    answers = await store.batch(
        [("GET", "many:7"), ("GET", "{a}list"), ("HGETALL", "{a}none"), ("RPUSH", "{a}list", 2), ("GET", "many:8")]
    )
    assert isinstance(answers[1], ResponseError) and "WRONGTYPE" in str(answers[1])
    assert [answers[0], *answers[2:]] == [b"many:7", {}, 2, b"many:8"]
    assert await store.together([("HSET", "{b}h", "f", 1), ("HGETALL", "{b}h")]) == [1, {b"f": b"1"}]


async def test_a_script_that_a_node_does_not_know_is_given_to_it(cluster: ClusterProcess, store: Store) -> None:
    for server in cluster.servers:
        server.answers("SCRIPT", "FLUSH")
    for number in range(20):
        assert await store.run("learn_tokens", [keys.context(f"c{number}")], [1]) is None


async def test_a_slot_that_moves_is_followed_and_its_events_stay_in_order(
    cluster: ClusterProcess, store: Store
) -> None:
    session, turns = keys.new_session_id(), Turns(store)
    await store.do("HSET", keys.session(session), "running", "")
    turn = keys.new_turn_id(session)
    assert await turns.accept(session, turn, {"question": "?"}, b"first", complete=0) is None

    def events(*numbers: int) -> list[tuple[str, str, Entry]]:
        return [(session, turn, Entry(event_id(0, number), b"%d" % number)) for number in numbers]

    assert await turns.write(events(2, 3)) == [True, True]
    cluster.migrate(keys.session(session))
    assert (await turns.get(session, turn) or {})["state"] == "running"
    assert await turns.write(events(4)) == [True]
    with pytest.raises(StoreUnavailable):
        await turns.write(events(5, 6))
    cluster.settle(keys.session(session))
    assert await turns.write(events(5, 6)) == [True, True]
    assert [entry.id for entry in await turns.read(session, turn, 0)] == [1, 2, 3, 4, 5, 6]


async def test_journals_of_many_slots_are_followed_at_once(store: Store) -> None:
    turns, positions = Turns(store), {}
    for _ in range(50):
        session = keys.new_session_id()
        turn = keys.new_turn_id(session)
        await store.do("XADD", keys.journal(session, turn), "0-1", "f", b"first")
        positions[session, turn] = event_id(0, 1)
    assert await turns.follow(positions, 50) == {}
    grown = list(positions)[::10]
    following = asyncio.create_task(turns.follow(positions, 5000))
    await store.batch([("XADD", keys.journal(*one), "0-2", "f", b"second") for one in grown])
    news = await following
    while len(news) < len(grown):
        news |= await turns.follow({one: at for one, at in positions.items() if one[1] not in news}, 5000)
    assert {turn: [entry.frame for entry in entries] for turn, entries in news.items()} == {
        turn: [b"second"] for _, turn in grown
    }


async def test_doctor_looks_at_the_cluster_and_at_urls_that_mistake_it(cluster: ClusterProcess, tmp_path: Path) -> None:
    assert await findings(cluster.url) == (True, "Redis: a cluster, answers")
    good, said = await findings(f"redis://127.0.0.1:{cluster.primary_of('a key').port}")
    assert (good, said) == (True, "Redis: one server, answers")
    one = Store(f"redis://127.0.0.1:{cluster.primary_of('a key').port}")
    with pytest.raises(StoreUnavailable, match=r"redis\+cluster://"):
        await one.batch([("GET", name) for name in "abcdef"])
    await one.close()
    alone = Server(tmp_path / "alone")
    try:
        alone.start()
        good, said = await findings(f"redis+cluster://127.0.0.1:{alone.port}")
    finally:
        alone.kill()
    assert not good and said.startswith("Redis: a cluster: Redis is away: no node of the cluster answers"), said
