"""A server that is killed in the middle of its calls: the ledger still has as many as the upstream."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.store import keys
from tests.client import Client
from tests.recorder import Recorder, answer, held
from tests.running import Process, RedisProcess, free_port, server, until
from tests.warm.turning import Memory


@contextmanager
def started(redis: RedisProcess, upstream: Recorder, folder: Path) -> Iterator[Process]:
    port = free_port()
    environment = {"HEADSTART_REDIS_URL": redis.url, "ANTHROPIC_BASE_URL": upstream.url, "HEADSTART_PORT": str(port)}
    environment |= {
        "HEADSTART_LIMITS": "off",
        "HEADSTART_VALUE_OF_SECOND_USD": "1000000",
        "ANTHROPIC_API_KEY": "sk-test",
    }
    with server(log=folder / f"server-{port}.log", **environment) as running:
        yield running


def calls(url: str) -> dict[str, dict[str, int]]:
    found: dict[str, Any] = httpx2.get(f"{url}/api/stats").json()["totals"]["calls"]
    return found


def abandoned(url: str) -> dict[str, int]:
    return {kind: outcomes.get("abandoned", 0) for kind, outcomes in calls(url).items()}


def entered(url: str) -> int:
    return sum(sum(outcomes.values()) for outcomes in calls(url).values())


@pytest.fixture
def memory(redis: RedisProcess) -> Iterator[Memory]:
    opened = Memory(redis)
    yield opened
    opened.close()


def test_a_server_killed_in_the_middle_of_a_warm_and_of_a_question_leaves_both_in_the_ledger(
    redis: RedisProcess, upstream: Recorder, memory: Memory, tmp_path: Path
) -> None:
    upstream.default = held
    with ExitStack() as stack:
        survivor, killed = (stack.enter_context(started(redis, upstream, tmp_path)) for _ in range(2))
        for one in (survivor, killed):
            one.wait_ready()
        client = Client(stack.enter_context(httpx2.Client(base_url=killed.url, timeout=30)))
        client.add_context()
        warming, asking = (client.start(isolation="session")["session"] for _ in range(2))
        assert client.warm(warming)["state"] == "warming"

        def ask() -> None:
            try:
                client.ask(asking, "Are you there?")
            except httpx2.HTTPError:
                # Its server was killed: that is the point.
                return

        asker = threading.Thread(target=ask)
        asker.start()
        upstream.wait_for(2)
        killed.popen.send_signal(signal.SIGKILL)
        asker.join(30)
        # Nobody has vouched for its calls for long enough.
        for call in memory.redis.zrange(keys.LEDGER_VOUCHED, 0, -1):
            memory.redis.zadd(keys.LEDGER_VOUCHED, {str(call): 1})
        # What is asked anew, by whoever takes the question over, is answered at once.
        upstream.default = answer
        until(
            lambda: {kind: of.get("abandoned") for kind, of in calls(survivor.url).items()} == {"ask": 1, "warm": 1},
            "it",
        )
        assert not redis.named("hs:{ledger}:open")
        until(
            lambda: sum(sum(of.values()) for of in calls(survivor.url).values()) == len(upstream.exchanges), "the rest"
        )
        assert {kind: of["abandoned"] for kind, of in calls(survivor.url).items()} == {"ask": 1, "warm": 1}
