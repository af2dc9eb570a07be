"""Rates and budgets over HTTP: kept to the micro-dollar, by crowds too, and for calls whose cost nobody learned."""

import threading
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.client import Client
from tests.losing import losing
from tests.recorder import Recorder, held
from tests.running import RedisProcess, serving, until
from tests.test_lost_answers import script, source
from tests.warm.gate import WORTH_IT, alone, assert_skipped, counting, expire, skips, warmed
from tests.warm.turning import Memory

MICRO = 1e-6


def test_rate_limited_by_session_after_twenty_calls(
    serve: Callable[..., Client], upstream: Recorder, memory: Memory
) -> None:
    client = serve()
    client.add_context()
    session = alone(client)
    for _ in range(20):
        assert warmed(client, session) == "warm"
        # What is warm takes nothing.
        assert client.warm(session)["state"] == "warm"
        expire(memory, client, session)
    assert_skipped(client.warm(session), "rate_limited")
    assert warmed(client, alone(client)) == "warm"
    assert (len(upstream.warms), skips(client)) == (21, {"rate_limited": 1, "already_warm": 20})
    assert client.ask(session, "All the same?")[-1].name == "verdict"
    memory.redis.hincrbyfloat(memory.key(f"hs:bucket:*session:{session}*"), "at", -15)
    assert warmed(client, session) == "warm"


@pytest.mark.parametrize("bucket", ["address:127.0.0.1", "all"])
def test_rate_limited_by_address_and_overall(serve: Callable[..., Client], memory: Memory, bucket: str) -> None:
    client = serve()
    client.add_context()
    assert warmed(client, alone(client)) == "warm"
    name = memory.key(f"hs:bucket:*{bucket}*")
    capacity = {"address:127.0.0.1": 120, "all": 1_000}[bucket]
    assert float(str(memory.redis.hget(name, "tokens"))) == capacity - 1
    memory.redis.hset(name, mapping={"tokens": "0", "at": f"{memory.now_ms() / 1_000 + 5:.3f}"})
    assert_skipped(client.warm(alone(client)), "rate_limited")
    assert skips(client) == {"rate_limited": 1}
    memory.redis.hincrbyfloat(name, "at", -10)
    assert warmed(client, alone(client)) == "warm"


def test_budget_spent_to_the_micro_dollar_and_questions_go_on(
    serve: Callable[..., Client], upstream: Recorder, memory: Memory
) -> None:
    upstream.default = counting(5_000)
    # 5,000 tokens at $2.50 a million are $0.0125; the prefix is set aside at two bytes a token before it is counted.
    client = serve(warm_usd_per_hour=0.05)
    client.add_context(documents=[{"title": "a", "text": "Alpha beta. " * 830}])
    states = [client.warm(alone(client), wait=True) for _ in range(6)]
    assert [warm["state"] for warm in states] == ["warm"] * 3 + ["skipped"] * 3
    assert_skipped(states[-1], "budget_spent")
    assert [warm["cost_usd"] for warm in states[:3]] == [pytest.approx(0.0125)] * 3
    budget = memory.key("hs:budget:{*}")
    assert memory.redis.hmget(budget, "hour_spent", "day_spent") == ["37500", "37500"]
    assert memory.redis.keys("hs:budget:*:*") == []
    assert client.ask(alone(client), "All the same?")[-1].name == "verdict"
    assert skips(client) == {"budget_spent": 3}
    memory.redis.hincrby(budget, "hour", -1)
    assert warmed(client, alone(client)) == "warm"


def test_the_days_budget_outlasts_the_hours(serve: Callable[..., Client], upstream: Recorder, memory: Memory) -> None:
    upstream.default = counting(5_000)
    client = serve(warm_usd_per_hour=1, warm_usd_per_day=0.02)
    client.add_context()
    assert warmed(client, alone(client)) == "warm"
    memory.redis.hset(memory.key("hs:budget:{*}"), "day_spent", "19999")
    memory.redis.hincrby(memory.key("hs:budget:{*}"), "hour", -1)
    assert_skipped(client.warm(alone(client)), "budget_spent")


def test_a_crowd_never_spends_more_than_the_budget(
    serve: Callable[..., Client], upstream: Recorder, memory: Memory
) -> None:
    upstream.default = counting(5_000)
    clients = [serve(warm_usd_per_hour=0.1) for _ in range(2)]
    clients[0].add_context(documents=[{"title": "a", "text": "Alpha beta. " * 800}])
    sessions = [alone(clients[0]) for _ in range(40)]
    clients[1].http.cookies.update(dict(clients[0].http.cookies))
    together = threading.Barrier(8)

    def crowd(number: int) -> None:
        together.wait(30)
        for session in sessions[number::8]:
            clients[number % 2].warm(session, trigger="focus", wait=True)

    threads = [threading.Thread(target=crowd, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    spent = 0.0125 * len(upstream.warms)
    assert 0.05 < spent <= 0.1
    assert int(str(memory.redis.hget(memory.key("hs:budget:{*}"), "hour_spent"))) == round(spent / MICRO)
    assert skips(clients[0])["budget_spent"] == 40 - len(upstream.warms)


def test_of_many_triggers_at_once_one_calls_and_none_is_refused_for_that(
    serve: Callable[..., Client], upstream: Recorder
) -> None:
    upstream.default = held
    client = serve(warm_usd_per_hour=0.02)
    client.add_context(documents=[{"title": "a", "text": "Alpha beta. " * 1_000}])
    session = client.start()["session"]
    together = threading.Barrier(20)
    states: list[tuple[str, str | None]] = []

    def focus() -> None:
        together.wait(30)
        warm = client.warm(session, trigger="focus")
        states.append((warm["state"], warm["reason"]))

    threads = [threading.Thread(target=focus) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    # The budget holds one such call.
    assert states == [("warming", None)] * 20
    assert skips(client) == {}
    assert [client.warm(session, trigger="focus")["state"] for _ in range(20)] == ["warming"] * 20
    upstream.release()
    assert warmed(client, session) == "warm"
    assert len(upstream.exchanges) == 1


def test_without_limits_neither_buckets_nor_budget_stop_a_warm(
    serve: Callable[..., Client], upstream: Recorder, memory: Memory
) -> None:
    client = serve(limits="off", warm_usd_per_hour=0, warm_usd_per_day=0)
    client.add_context()
    session = alone(client)
    for _ in range(25):
        assert warmed(client, session) == "warm"
        expire(memory, client, session)
    assert len(upstream.warms) == 25
    assert memory.redis.keys("hs:bucket:*") == memory.redis.keys("hs:budget:*") == []


def test_after_a_turn_only_the_tail_is_set_aside(
    serve: Callable[..., Client], upstream: Recorder, memory: Memory
) -> None:
    client = serve(value_of_second_usd=0.03)
    client.add_context(documents=[{"title": "a", "text": "Alpha beta. " * 1_000}])
    session = client.start()["session"]
    assert warmed(client, session) == "warm"
    client.ask(session, "One?")
    upstream.script.append(held)
    assert client.warm(session, trigger="focus")["state"] == "warming"
    upstream.wait_for(3)
    (reservation,) = memory.redis.keys("hs:budget:*:*")
    # The 5,000 tokens that should be read, and the tail's bytes at two a token, at the price of a write.
    assert 5_000 * 2.5 < int(str(memory.redis.get(reservation))) < 5_400 * 2.5
    upstream.release()


def test_money_is_set_aside_once_when_the_answer_gets_lost(
    redis: RedisProcess, upstream: Recorder, memory: Memory, tmp_path: Path
) -> None:
    settings = {"limits": "on", "value_of_second_usd": WORTH_IT}
    with (
        losing(redis, tmp_path) as way,
        serving(way.url, upstream.url, **settings) as url,
        httpx2.Client(base_url=url, timeout=30) as http,
    ):
        client = Client(http)
        client.add_context()
        memory.redis.script_load(source("reserve_budget").decode())
        way.arm(script("reserve_budget"))
        warm = client.warm(client.start()["session"], wait=True)
        assert way.lost.is_set()
        until(lambda: not memory.redis.keys("hs:budget:*:*"), "nothing to be reserved")
        spent = int(str(memory.redis.hget(memory.key("hs:budget:{all}"), "hour_spent")))
        assert spent == round(warm["cost_usd"] / MICRO)


def test_what_a_stopped_servers_call_may_have_cost_stays_set_aside(
    redis: RedisProcess, upstream: Recorder, memory: Memory
) -> None:
    upstream.default = held
    settings = {"limits": "on", "value_of_second_usd": WORTH_IT}
    with serving(redis.url, upstream.url, **settings) as url, httpx2.Client(base_url=url, timeout=30) as http:
        client = Client(http)
        client.add_context()
        client.warm(client.start()["session"])
        upstream.wait_for(1)
        (reservation,) = memory.redis.keys("hs:budget:*:*")
    assert memory.redis.hget(memory.key("hs:budget:{*}"), "hour_spent") == memory.redis.get(reservation)
