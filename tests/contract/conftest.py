"""One server for a file's tests, which do what they do as owners of their own."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.client import Client
from tests.recorder import Recorder, recording
from tests.running import RedisProcess, serving


@pytest.fixture(scope="module")
def shared_upstream() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture(scope="module")
def url(redis_process: RedisProcess, shared_upstream: Recorder) -> Iterator[str]:
    assert redis_process.say(b"FLUSHALL") == b"+OK\r\n"
    with serving(redis_process.url, shared_upstream.url, max_question_chars=1000) as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with httpx2.Client(base_url=url, timeout=30) as http:
        yield Client(http)


@pytest.fixture
def stranger(url: str) -> Iterator[Client]:
    with httpx2.Client(base_url=url, timeout=30) as http:
        assert http.get("/api/contexts").status_code == 200
        yield Client(http)
