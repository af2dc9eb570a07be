"""Conversations that nobody uses any more are erased after the days that were set: whole, once, and no others."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from app.store import keys
from app.store.connection import Store
from app.store.sessions import Sessions
from app.store.turns import Turns
from app.turns.met import Met
from app.turns.retention import AT_A_TIME, DAY_S, Retention
from tests.client import Client
from tests.recorder import Recorder
from tests.running import RedisProcess, serving, until
from tests.turns import half_answered


def used_s_ago(redis: RedisProcess, session: str) -> float | None:
    """How long ago `session` was used, as Redis has it."""
    answer = redis.say(f"ZSCORE {keys.used(keys.share_of(session))} {session}".encode())
    return None if answer == b"$-1\r\n" else time.time() - float(answer.split(b"\r\n")[1]) / 1000


def age(redis: RedisProcess, session: str, days: float) -> None:
    """Have `session` last used so many days ago."""
    at_ms = round((time.time() - days * DAY_S) * 1000)
    redis.say(f"ZADD {keys.used(keys.share_of(session))} {at_ms} {session}".encode())


def test_only_what_nobody_has_used_for_so_long_is_erased_and_all_of_it(
    client: Client, redis: RedisProcess, upstream: Recorder
) -> None:
    client.add_context()
    old, fresh = client.start()["session"], client.start()["session"]
    turns = [client.ask(session, "Where is the needle?")[0].data["turn"] for session in (old, fresh)]
    branch = client.http.post(f"/api/sessions/{old}/fork", json={"after_turn": 1}).json()["session"]
    unasked = client.start()["session"]
    for session, days in [(old, 30.1), (branch, 29.9), (unasked, 400), (fresh, 1)]:
        age(redis, session, days)
    with serving(redis.url, upstream.url, retention_days=30):
        until(lambda: used_s_ago(redis, old) is None and used_s_ago(redis, unasked) is None, "erasing")
    for session in (old, unasked):
        assert client.http.get(f"/api/sessions/{session}").status_code == 404
        assert [key for key in redis.named() if session.removeprefix("s_") in key] == []
    assert client.http.get(f"/api/turns/{turns[0]}/events").status_code == 404
    found = client.http.get("/api/sessions", params={"q": "needle"}).json()["sessions"]
    assert [one["session"] for one in found] == [fresh]
    assert client.ask(branch, "And now?")[-1].name == "verdict"
    assert [turn["question"] for turn in client.session(branch)["turns"]] == ["Where is the needle?", "And now?"]
    assert client.session(branch)["forked_from"] is None
    assert client.tail(turns[1])[-1].name == "verdict"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "/export", None),
        ("POST", "/warm", {}),
        ("POST", "/fork", {"after_turn": 0}),
        ("PATCH", "", {"title": "Something else"}),
    ],
)
def test_whatever_its_owner_does_with_it_is_a_use(
    client: Client, redis: RedisProcess, method: str, path: str, body: Any
) -> None:
    client.add_context()
    session = client.start()["session"]
    age(redis, session, 29)
    with httpx2.Client(base_url=client.http.base_url, timeout=30) as stranger:
        assert stranger.request(method, f"/api/sessions/{session}{path}", json=body).status_code == 404
    assert (used_s_ago(redis, session) or 0) > 28 * DAY_S
    assert client.http.request(method, f"/api/sessions/{session}{path}", json=body).is_success
    assert (used_s_ago(redis, session) or DAY_S) < DAY_S / 2


def test_an_answer_that_runs_is_a_use(client: Client, redis: RedisProcess, upstream: Recorder) -> None:
    client.add_context()
    with half_answered(client, upstream) as (session, turn, _):
        age(redis, session, 31)
        with serving(redis.url, upstream.url, retention_days=30):
            until(lambda: (used_s_ago(redis, session) or DAY_S) < DAY_S, "looking for unused conversations")
        upstream.release()
        assert client.tail(turn)[-1].name == "verdict"


async def test_a_turn_that_is_met_running_is_listed_and_one_that_is_listed_stays_as_it_is(
    client: Client, redis: RedisProcess
) -> None:
    client.add_context()
    session = client.start()["session"]
    turn = keys.new_turn_id(session)
    age(redis, session, 31)
    store = Store(redis.url)
    turns = Turns(store)
    met = Met(turns)
    try:
        assert await turns.accept(session, turn, {"question": "Lost?"}, b"first", complete=0) is None
        assert await Retention(Sessions(store), met, 30).sweep(30) == 0
        await met.watch(3_600_000)
        until_ms = await store.do("ZSCORE", keys.RUNNING, turn)
        met.note(turn)
        await met.watch(0)
        assert await store.do("ZSCORE", keys.RUNNING, turn) == until_ms is not None
    finally:
        await store.close()


async def test_each_is_erased_by_one_process_alone(client: Client, redis: RedisProcess) -> None:
    client.add_context()
    first = client.start()["session"]
    # All of one share, and more than are taken at a time.
    count = 2 * AT_A_TIME + 1
    store = Store(redis.url)
    sessions, met = Sessions(store), Met(Turns(store))
    record = await sessions.get(first)
    assert record is not None
    for number in range(count):
        other = replace(record, id=f"{first[:-4]}{number:04x}")
        await sessions.create(other)
        age(redis, other.id, 2)
    try:
        erased = await asyncio.gather(*(Retention(sessions, met, 1).sweep(1) for _ in range(3)))
        assert sum(erased) == count
        assert await Retention(sessions, met, 1).sweep(1) == 0
    finally:
        await store.close()
    assert used_s_ago(redis, first) is not None
