"""A real Redis, a recording upstream, and Headstart between them, for every test that asks for them."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from hypothesis import HealthCheck, settings

from app.models import set_local_models
from app.serving import collect_seldom
from tests.client import Client
from tests.recorder import Recorder, recording
from tests.running import RedisProcess, serving

# A file's tests run one after the other, beside other files: those that take longest are begun first, so that none of
# them is waited for alone in the end.
LONGEST = (
    "browser/test_conversations", "browser/test_access", "test_serve", "browser/test_reading", "test_takeover",
    "browser/test_adding", "browser/test_lost", "browser/test_chat", "test_cli", "browser/test_trouble", "test_cluster",
    "browser/test_early", "browser/test_page", "browser/test_reach", "test_bench", "web/test_fuzzing",
    "browser/test_models", "browser/test_dashboard",
    "test_faults", "browser/test_resuming", "browser/test_embed", "browser/test_sources", "test_rolling", "test_attempts",
    "sandbox/test_fuzz", "test_chaos", "prompt/test_bodies", "browser/test_embed_network", "test_lost_answers", "test_stats",
)  # fmt: skip


# Every client reads first whom the environment trusts, which takes longer than most tests, and these go to loopback alone.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = os.devnull

# Started in a shell's background, whether by nohup or by `&` alone, we were told to ignore Ctrl-C, and so would everything
# be that a test starts and then sends one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What an example takes is the machine's affair, and a fixture of ours serves all examples of its test. The examples are the
# same ones everywhere; those of `make soak` are new ones each time.
settings.register_profile(
    "ours",
    deadline=None,
    derandomize="HEADSTART_TEST_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("ours")


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores, as a test waits about as long as it works; each brings a browser of its own."""
    return min(8, (os.cpu_count() or 1) + 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {Path(__file__).parent / f"{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


def pytest_collection_finish() -> None:
    # What is there by now, thousands of tests among it, need not be looked through for garbage again and again.
    collect_seldom()


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
def own_models() -> Iterator[None]:
    """The test may say what is known of models, and which may be asked: afterwards this process knows of the table alone."""
    yield
    set_local_models({})


@pytest.fixture
def client(server: str) -> Iterator[Client]:
    with httpx2.Client(base_url=server, timeout=30) as http:
        yield Client(http)


@pytest.fixture
def elsewhere(client: Client, redis: RedisProcess, upstream: Recorder) -> Iterator[Client]:
    """The same owner, on another process."""
    with serving(redis.url, upstream.url) as url, httpx2.Client(base_url=url, timeout=30) as http:
        client.add_context()
        http.cookies.update(dict(client.http.cookies))
        yield Client(http)
