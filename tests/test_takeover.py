"""Whatever becomes of the process that answers, another one goes on with the turn, and readers get one whole text."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from redis import Redis

from app.store import keys
from app.store.connection import Store
from app.store.turns import Entry, Turns, event_id
from app.turns.watch import VOUCHED_MS
from tests.client import Client, Event, events
from tests.recorder import Recorder, held
from tests.running import Process, RedisProcess, serving, until
from tests.test_attempts import WHOLE, text_of
from tests.test_processes import STOPS_WITHIN_S, headstart, owner_of, rest_of
from tests.turns import FIRST_HALF, half_answered, ids, stop, told

# Five seconds are promised; a machine that is busy with other tests gets a few more.
TAKEN_OVER_WITHIN_S = 20


class Pair:
    """Two processes over one Redis: one that something happens to, and one that goes on."""

    def __init__(self, doomed: Process, client: Client, other: Client, redis: RedisProcess) -> None:
        self.doomed = doomed
        self.client = client
        self.other = other
        self.redis = redis

    def tailing(self, stack: ExitStack, turn: str) -> Iterator[Event]:
        """The turn's events as the other process tells them."""
        response = stack.enter_context(self.other.http.stream("GET", f"/api/turns/{turn}/events"))
        return events(response.iter_bytes())

    def lose(self, turn: str) -> None:
        """Kill the process that produces `turn`, and have Redis forget that it runs."""
        self.doomed.popen.kill()
        self.doomed.popen.wait()
        assert self.forgets(turn)

    def forgets(self, turn: str) -> bool:
        """Have Redis forget that `turn` runs, if it knows."""
        return self.redis.say(f"ZREM {keys.RUNNING} {turn}".encode()) == b":1\r\n"

    def stored(self, turn: str, field: str) -> str:
        """A field of the turn as it is stored."""
        (name,) = self.redis.named(f"*:turn:{turn}")
        return self.redis.say(f"HGET {name} {field}".encode()).decode().split("\r\n")[1]


@pytest.fixture
def pair(redis: RedisProcess, upstream: Recorder, tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        doomed = stack.enter_context(headstart(tmp_path / "doomed.log", redis, upstream))
        survivor = stack.enter_context(serving(redis.url, upstream.url))
        client = stack.enter_context(owner_of(doomed.url))
        client.add_context()
        other = stack.enter_context(owner_of(survivor, client.http.cookies))
        yield Pair(doomed, client, other, redis)


def assert_goes_on(client: Client, session: str, upstream: Recorder, question: bytes) -> None:
    """The session takes another question, whose prefix has the one before once."""
    assert client.ask(session, "And now?")[-1].name == "verdict"
    assert upstream.asks[-1].body.count(question) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_turn_whose_process_is_killed_or_hangs_is_finished_by_another(
    pair: Pair, upstream: Recorder, how: signal.Signals
) -> None:
    with ExitStack() as stack:
        session, turn, stream = stack.enter_context(half_answered(pair.client, upstream, "Halved?"))
        tail = pair.tailing(stack, turn)
        assert next(tail).name == "turn"
        pair.doomed.popen.send_signal(how)
        lost = time.monotonic()
        try:
            got = list(tail)
            assert time.monotonic() - lost < TAKEN_OVER_WITHIN_S
        finally:
            pair.doomed.popen.send_signal(signal.SIGCONT)
        assert got[-1].name == "verdict"
        assert [event.name for event in got].count("restart") == 1
        assert text_of(got) == WHOLE
        assert upstream.asks[1].body.startswith(upstream.asks[0].body.rstrip(b"}"))

        # One that wakes up has lost its turn: it writes nothing more, hangs up, and sends its clients away.
        late = [event.name for event in rest_of(stream)]
        assert not {"verdict", "error", "stopped"} & set(late)
        assert upstream.asks[0].hung_up.wait(30)
        upstream.release()
        whole = pair.other.tail(turn)
        assert told(whole)[1:] == told(got)
        assert ids(whole) == sorted(set(ids(whole)))
        (done,) = pair.other.session(session)["turns"]
        assert (done["state"], done["answer"], done["verdict"]) == ("done", WHOLE, got[-1].data)
        assert_goes_on(pair.other, session, upstream, b"Halved?")


MEETINGS: dict[str, Callable[[Client, str, str], object]] = {
    "it is tailed": lambda client, _, turn: client.http.get(f"/api/turns/{turn}/events"),
    "it is to be stopped": lambda client, _, turn: stop(client, turn),
    "another is asked": lambda client, session, _: client.http.post(
        f"/api/sessions/{session}/ask", json={"question": "And?"}
    ),
    "its session is shown": lambda client, session, _: client.session(session),
    "its session is listed": lambda client, *_: client.http.get("/api/sessions"),
}


@pytest.mark.parametrize("meet", MEETINGS.values(), ids=MEETINGS)
def test_a_turn_that_is_lost_among_those_that_run_ends_when_somebody_meets_it(
    pair: Pair, upstream: Recorder, meet: Callable[[Client, str, str], object]
) -> None:
    with half_answered(pair.client, upstream) as (session, turn, stream):
        pair.lose(turn)
        rest_of(stream)
        meet(pair.other, session, turn)
        until(lambda: pair.stored(turn, "state") in ("done", "stopped"), "its end")


def test_a_turn_that_is_lost_among_those_that_run_ends_for_who_reads_it_elsewhere(
    pair: Pair, upstream: Recorder
) -> None:
    with ExitStack() as stack:
        _, turn, stream = stack.enter_context(half_answered(pair.client, upstream))
        tail = pair.tailing(stack, turn)
        assert next(tail).name == "turn"
        pair.lose(turn)
        # Once more: the first time, it may have been met when its reader came.
        until(lambda: pair.forgets(turn), "its place among those that run")
        rest_of(stream)
        assert list(tail)[-1].name == "verdict"


def test_before_any_text_nobody_notices_and_nobody_waits_for_the_dead_ones_lease(
    pair: Pair, upstream: Recorder
) -> None:
    upstream.script.append(held)
    session = pair.client.start()["session"]
    with ExitStack() as stack:
        stream = stack.enter_context(pair.client.asking(session, "Unanswered?"))
        first = next(stream)
        assert first.data["plan"] == "cold"
        upstream.wait_for(1)
        tail = pair.tailing(stack, first.data["turn"])
        pair.doomed.popen.kill()
        lost = time.monotonic()
        got = list(tail)
        assert time.monotonic() - lost < TAKEN_OVER_WITHIN_S
        rest_of(stream)
    assert got[0] == first
    untouched = pair.other.ask(pair.other.start()["session"], "Undisturbed?")
    assert [event.name for event in got] == [event.name for event in untouched]
    assert text_of(got) == WHOLE
    assert_goes_on(pair.other, session, upstream, b"Unanswered?")


def test_a_turn_that_was_to_be_stopped_when_its_process_died_is_stopped(pair: Pair, upstream: Recorder) -> None:
    with ExitStack() as stack:
        session, turn, stream = stack.enter_context(half_answered(pair.client, upstream))
        pair.doomed.popen.send_signal(signal.SIGSTOP)
        try:
            stop(pair.other, turn)
            got = pair.other.tail(turn)
        finally:
            pair.doomed.popen.kill()
        rest_of(stream)
    assert got[-1].name == "stopped"
    assert text_of(got) == FIRST_HALF
    assert len(upstream.asks) == 1
    assert pair.other.session(session)["turns"][0]["answer"] == FIRST_HALF
    assert_goes_on(pair.other, session, upstream, FIRST_HALF.encode())


def test_a_turn_that_ends_every_process_that_takes_it_is_given_up(pair: Pair, upstream: Recorder) -> None:
    with half_answered(pair.client, upstream) as (session, turn, stream):
        (name,) = pair.redis.named(f"*:turn:{turn}")
        assert pair.redis.say(f"HSET {name} attempts 3".encode()) == b":0\r\n"
        pair.doomed.popen.kill()
        rest_of(stream)
    last = pair.other.tail(turn)[-1]
    assert (last.name, last.data["code"], last.data["retryable"]) == ("error", "turn_abandoned", True)
    (failed,) = pair.other.session(session)["turns"]
    assert (failed["state"], failed["problem"], failed["answer"]) == ("failed", last.data, FIRST_HALF)
    assert pair.other.ask(session, "And now?")[-1].name == "verdict"


def test_a_turn_outlives_the_whole_deployment(redis: RedisProcess, upstream: Recorder, tmp_path: Path) -> None:
    with ExitStack() as stack:
        only = stack.enter_context(headstart(tmp_path / "only.log", redis, upstream))
        client = stack.enter_context(owner_of(only.url))
        client.add_context()
        session, turn, stream = stack.enter_context(half_answered(client, upstream, "Anybody there?"))
        only.popen.kill()
        rest_of(stream)
        later = stack.enter_context(
            owner_of(stack.enter_context(serving(redis.url, upstream.url)), client.http.cookies)
        )
        got = later.tail(turn)
        assert got[-1].name == "verdict"
        assert text_of(got) == WHOLE
        assert_goes_on(later, session, upstream, b"Anybody there?")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_told_to_stop_leaves_its_turns_to_others_and_no_client_sees_an_error(
    pair: Pair, upstream: Recorder, tmp_path: Path, how: signal.Signals
) -> None:
    with ExitStack() as stack:
        session, turn, stream = stack.enter_context(half_answered(pair.client, upstream, "Handed over?"))
        pair.client.add_context("other", instructions="Other.")
        upstream.script.append(held)
        pair.client.warm(pair.client.start("other")["session"])
        upstream.wait_for(2)
        tail = pair.tailing(stack, turn)
        seen = [next(tail)]
        started = time.monotonic()
        pair.doomed.popen.send_signal(how)
        assert {event.name for event in rest_of(stream)} <= {"ping"}
        pair.doomed.popen.wait(30)
        assert time.monotonic() - started < STOPS_WITHIN_S
        seen += list(tail)
    assert text_of(seen) == WHOLE
    assert seen[-1].name == "verdict"
    assert pair.stored(turn, "attempts") == "1"
    assert_goes_on(pair.other, session, upstream, b"Handed over?")
    log = (tmp_path / "doomed.log").read_text()
    assert "Traceback" not in log
    assert pair.doomed.popen.returncode in (0, 130)
    totals = pair.other.http.get("/api/stats").json()["totals"]
    assert (totals["ask_calls"], totals["warm_calls"]) == (len(upstream.asks), len(upstream.warms))


def test_a_process_that_is_told_to_stop_lets_its_turns_end(
    redis: RedisProcess, upstream: Recorder, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        log = tmp_path / "stopped.log"
        stopped = stack.enter_context(headstart(log, redis, upstream, HEADSTART_DRAIN_S="30"))
        client = stack.enter_context(owner_of(stopped.url))
        client.add_context()
        idle = client.start()["session"]
        with half_answered(client, upstream) as (_, turn, stream):
            stopped.popen.terminate()
            until(lambda: refused(stopped.url), "the shutdown")
            upstream.release()
            rest = list(stream)
        assert rest[-1].name == "verdict"
        stopped.popen.wait(30)
        assert "Traceback" not in log.read_text()
        assert stopped.popen.returncode in (0, 130)
        other = stack.enter_context(
            owner_of(stack.enter_context(serving(redis.url, upstream.url)), client.http.cookies)
        )
        assert other.tail(turn)[-1] == rest[-1]
        assert other.ask(idle, "Elsewhere?")[-1].name == "verdict"


def refused(url: str) -> bool:
    """Whether nobody listens there any more."""
    try:
        with owner_of(url) as stranger:
            return stranger.http.get("/readyz").status_code == 503
    except (httpx2.NetworkError, httpx2.RemoteProtocolError):
        # Who says nothing for long after it was let in, on a busy machine, is sent away.
        return True


async def test_a_turn_that_was_announced_and_never_accepted_is_soon_said_to_run_no_more(
    client: Client, redis: RedisProcess
) -> None:
    client.add_context()
    turn = keys.new_turn_id(client.start()["session"])
    store = Store(redis.url)
    await Turns(store).vouch([turn], VOUCHED_MS)
    with Redis.from_url(redis.url) as direct:
        await asyncio.to_thread(until, lambda: direct.zscore(keys.RUNNING, turn) is None, "the watch")
    await store.close()


async def test_a_turn_is_taken_under_an_epoch_beyond_all_that_its_journal_has(redis: RedisProcess) -> None:
    store = Store(redis.url)
    turns, session = Turns(store), keys.new_session_id()
    turn = keys.new_turn_id(session)
    await store.do("HSET", keys.session(session), "running", "")
    assert await turns.accept(session, turn, {"question": "?"}, b"first", complete=0) is None
    assert await Turns(store).take(session, turn, 0) == (1, 2)
    # As after a failover that has lost that it was taken, and not what was written then.
    await store.do("HSET", keys.turn(session, turn), "epoch", 0, "taker", "", "attempts", 1)
    assert await turns.take(session, turn, 0) == (2, 2)
    assert await turns.take(session, turn, 0) == (2, 2), "the same answer, should it have got lost"
    assert await Turns(store).take(session, turn, 0) is None
    entries = [(session, turn, Entry(event_id(epoch, 2), b"late")) for epoch in (1, 2)]
    assert await turns.write(entries) == [False, True]
    await store.close()
