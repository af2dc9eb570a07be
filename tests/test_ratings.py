"""What readers say of answers: kept with the turn, changed and taken back, and counted once for each answer."""

import asyncio
import random
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from app.ledger.book import Ledger
from app.store.connection import Store
from app.store.ledger import LedgerStore
from app.store.turns import Turns, TurnState
from tests.client import Client
from tests.recorder import Recorder
from tests.running import RedisProcess
from tests.test_finding import asked, fork
from tests.test_stats import metrics, stats
from tests.turns import half_answered


def turns(client: Client, session: str) -> list[str]:
    return [turn["turn"] for turn in client.session(session)["turns"]]


def rate(http: httpx2.Client, turn: str, rating: str | None) -> int:
    return http.put(f"/api/turns/{turn}/rating", json={"rating": rating}).status_code


def counted(client: Client) -> tuple[int, int]:
    totals = stats(client)["totals"]
    gauges = metrics(client)["headstart_answers_rated"]
    found = (totals["rated_good"], totals["rated_bad"])
    assert {labels[0][1]: value for labels, value in gauges.items()} == {"good": found[0], "bad": found[1]}
    return found


def test_a_rating_is_kept_changed_and_taken_back_and_counted_as_it_stands(client: Client) -> None:
    context = client.add_context()["context"]
    session = asked(client, "One?", "Two?")
    first, second = turns(client, session)
    for turn, rating, expected in (
        (first, "good", (1, 0)),
        (first, "good", (1, 0)),
        (second, "bad", (1, 1)),
        (first, "bad", (0, 2)),
        (first, None, (0, 1)),
        (first, None, (0, 1)),
    ):
        assert rate(client.http, turn, rating) == 200
        assert {one["turn"]: one["rating"] for one in client.session(session)["turns"]}[turn] == rating
        assert counted(client) == expected
    (about,) = [one for one in stats(client)["per_context"] if one["context"] == context]
    assert (about["rated_good"], about["rated_bad"]) == (0, 1)
    exported = client.http.get(f"/api/sessions/{session}/export?format=json").json()
    assert [turn["rating"] for turn in exported["turns"]] == [None, "bad"]


def test_a_branch_shows_what_was_said_and_counts_what_is_said_there(client: Client) -> None:
    client.add_context()
    session = asked(client, "One?")
    rate(client.http, turns(client, session)[0], "good")
    branch = fork(client, session, 1)
    further = fork(client, branch, 1)

    def shown() -> list[str | None]:
        return [client.session(one)["turns"][0]["rating"] for one in (session, branch, further)]

    assert (shown(), counted(client)) == (["good", "good", "good"], (1, 0))
    for rating, expected in ((None, (1, 0)), ("bad", (1, 1)), ("good", (2, 0)), (None, (1, 0))):
        assert rate(client.http, turns(client, branch)[0], rating) == 200
        assert (shown(), counted(client)) == (["good", rating, "good"], expected)


def test_what_redis_has_done_without_saying_so_is_done_once(client: Client, redis: RedisProcess) -> None:
    client.add_context()
    session = asked(client, "One?")
    (turn,) = turns(client, session)

    async def twice() -> list[tuple[TurnState, str] | None]:
        store = Store(redis.url)
        ledger = Ledger(LedgerStore(store, ""), time.time)
        context = client.session(session)["context"]
        said = [await Turns(store).rate(session, turn, "good", "one saying") for _ in range(2)]
        for _ in range(2):
            await ledger.count_rating(context, "one saying", "", "good")
        await store.close()
        return said

    assert asyncio.run(twice()) == [(TurnState.DONE, "")] * 2
    assert counted(client) == (1, 0)


def test_only_its_owner_rates_an_answer_and_only_when_it_has_ended(
    client: Client, server: str, upstream: Recorder
) -> None:
    client.add_context()
    session = asked(client, "One?")
    (turn,) = turns(client, session)
    with httpx2.Client(base_url=server, timeout=30) as stranger:
        for guess in (turn, f"t_{'0' * 64}", session, "x"):
            assert rate(stranger, guess, "bad") == 404
    for other in (turn[:-1] + ("0" if turn[-1] != "0" else "1"), "t_" + turn[2:34] + "0" * 32):
        assert rate(client.http, other, "good") == 404
    assert rate(client.http, turn, "fine") == 422
    assert client.http.put(f"/api/turns/{turn}/rating", json={}).status_code == 422
    with half_answered(client, upstream, session=session) as (_, running, stream):
        refused = client.http.put(f"/api/turns/{running}/rating", json={"rating": "good"})
        assert (refused.status_code, refused.json()["code"]) == (409, "turn_running")
        upstream.release()
        list(stream)
    assert rate(client.http, running, "good") == 200
    assert counted(client) == (1, 0)
    assert client.http.delete(f"/api/sessions/{session}").status_code == 204
    assert rate(client.http, turn, "good") == 404


@pytest.mark.parametrize("seed", range(3))
def test_however_many_say_it_at_once_what_is_counted_is_what_stands(client: Client, server: str, seed: int) -> None:
    client.add_context()
    session = asked(client, "One?", "Two?")
    dice = random.Random(seed)
    said = [(dice.choice(turns(client, session)), dice.choice(["good", "bad", None])) for _ in range(40)]

    def say(one: tuple[str, str | None]) -> int:
        with httpx2.Client(base_url=server, timeout=30, cookies=dict(client.http.cookies)) as http:
            return rate(http, *one)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(say, said)) == {200}
    stands = [turn["rating"] for turn in client.session(session)["turns"]]
    assert counted(client) == (stands.count("good"), stands.count("bad"))
