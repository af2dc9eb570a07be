"""A real Redis, a recording upstream, and Headstart between them, for every test that asks for them."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.client import Client
from tests.recorder import Recorder, recording
from tests.running import RedisProcess, serving


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    process = RedisProcess(tmp_path_factory.mktemp("redis"))
    process.start()
    yield process
    process.stop()


@pytest.fixture
def redis(redis_process: RedisProcess) -> RedisProcess:
    """A running, empty Redis."""
    assert redis_process.say(b"FLUSHALL") == b"+OK\r\n"
    return redis_process


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisProcess]:
    """A Redis of the test's own, to stop and start."""
    process = RedisProcess(tmp_path, durable=True)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def upstream() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture
def server(redis: RedisProcess, upstream: Recorder) -> Iterator[str]:
    """Headstart's URL; its upstream is the recorder."""
    with serving(redis.url, upstream.url) as url:
        yield url


@pytest.fixture
def client(server: str) -> Iterator[Client]:
    with httpx2.Client(base_url=server, timeout=30) as http:
        yield Client(http)
