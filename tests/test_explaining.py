"""`headstart doctor NAME`: what is said of a context and of a session, by what became of them."""

import asyncio
import re
from collections.abc import Iterator

import pytest

from app.explaining import NothingKnown, explain
from tests.client import Client
from tests.recorder import Recorder, held, refuse
from tests.running import RedisProcess
from tests.warm.turning import Memory

SAMPLE = "asyncio"


@pytest.fixture
def memory(redis: RedisProcess) -> Iterator[Memory]:
    opened = Memory(redis)
    yield opened
    opened.close()


def told(redis: RedisProcess, name: str) -> str:
    return "\n".join(asyncio.run(explain(redis.url, name)))


@pytest.mark.usefixtures("client")
def test_a_context_that_nobody_asked_is_not_warm_and_cost_nothing(redis: RedisProcess) -> None:
    said = told(redis, SAMPLE)
    assert "not warm now: nobody has warmed it in the last two hours" in said
    assert "spent on it: $0.00 for 0 warms, $0.00 for 0 questions" in said


def test_a_warm_context_says_until_when_and_what_it_cost(
    client: Client, upstream: Recorder, redis: RedisProcess, memory: Memory
) -> None:
    session = client.start(SAMPLE)
    upstream.script.append(held)
    client.warm(session["session"])
    upstream.wait_for(1)
    assert re.search(r"being warmed since \d\d:\d\d:\d\d UTC, for 5m", told(redis, SAMPLE))
    upstream.release()
    warm = client.warm(session["session"], wait=True)
    said = told(redis, SAMPLE)
    until = warm["expires_at"][11:19]
    assert re.search(rf"warm now, until {until} UTC \((5 min|4 min 5\d s) more\): 5,000 tokens, kept for 5m", said)
    # 5,000 tokens written at $2.50 a million, 7 uncached ones at $2.
    assert "spent on it: $0.013 for 1 warm, $0.00 for 0 questions; saved against no caching: −$0.013" in said
    memory.age(session["prefix"]["digest"], 301)
    assert re.search(r"not warm now: it was, until \d\d:\d\d:\d\d UTC", told(redis, SAMPLE))


def test_a_context_whose_warm_failed_says_why(client: Client, upstream: Recorder, redis: RedisProcess) -> None:
    upstream.script.append(refuse(401, "authentication_error", "invalid x-api-key"))
    client.warm(client.start(SAMPLE)["session"], wait=True)
    assert re.search(r"not warm now: failed since .* UTC: .*key", told(redis, SAMPLE))


def test_a_session_gives_each_turns_times_and_costs(client: Client, upstream: Recorder, redis: RedisProcess) -> None:
    session = client.start(SAMPLE)["session"]
    upstream.script.append(held)
    client.warm(session)
    upstream.wait_for(1)
    with client.asking(session, "Ready?") as stream:
        assert next(stream).data["plan"] == "join"
        upstream.release()
        assert list(stream)[-1].name == "verdict"
    upstream.script.append(refuse(400, "invalid_request_error", "no"))
    client.ask(session, "And now?")
    lines = told(redis, session).splitlines()
    assert re.fullmatch(r"its 1 answer cost <?\$0\.00\d+, warms not included", lines[2])
    times = r"first text after [\d.]+ s, [\d.]+ s of it waiting for the warm under way, whole after [\d.]+ s"
    money = r"cost <?\$0\.00\d+, \$0\.00\d+ less than without a cache"
    assert re.fullmatch(rf"turn 1: hit, 5,000 tokens read, 0 written; {times}; {money}", lines[3]), lines[3]
    assert lines[4].startswith("turn 2: ")


def test_what_has_no_price_says_so(client: Client, redis: RedisProcess) -> None:
    session = client.start(SAMPLE, model="a-model-of-your-own")["session"]
    client.ask(session, "What is it worth?")
    said = told(redis, session)
    assert "its 1 answer cost an unknown sum" in said and "its price is not known" in said


@pytest.mark.usefixtures("client")
def test_what_is_not_there_is_said(redis: RedisProcess) -> None:
    with pytest.raises(NothingKnown):
        told(redis, "nothing-of-that-name")
    with pytest.raises(NothingKnown):
        told(redis, "s_" + "0" * 32)
