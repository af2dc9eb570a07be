"""Over a master that sentinels watch."""

import time
from collections.abc import Iterator

import pytest

from tests.failover import SentinelProcess
from tests.recorder import Recorder
from tests.walk import findings, go_on_after, two_servers, walk

WORKS_AGAIN_WITHIN_S = 15


@pytest.fixture(scope="session")
def sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelProcess]:
    process = SentinelProcess(tmp_path_factory.mktemp("sentinel"))
    try:
        process.start()
        yield process
    finally:
        process.stop()


def test_the_contract_holds(sentinel: SentinelProcess, upstream: Recorder) -> None:
    sentinel.flush()
    with two_servers(sentinel.url, upstream) as (client, other):
        walk(client, other, upstream)


def test_when_the_master_is_killed_answers_go_on_at_its_replica(sentinel: SentinelProcess, upstream: Recorder) -> None:
    sentinel.flush()
    with two_servers(sentinel.url, upstream) as (client, other):
        killed = time.monotonic()
        lost = go_on_after(lambda _: sentinel.kill_primary(), client, upstream)
        for one in (client, other):
            assert one.ask(one.start()["session"], "New?")[-1].name == "verdict"
        assert time.monotonic() - killed < WORKS_AGAIN_WITHIN_S
        sentinel.restart(lost)
        walk(client, other, upstream)


async def test_doctor_asks_the_sentinels(sentinel: SentinelProcess) -> None:
    assert await findings(sentinel.url) == (True, "Redis: the master that Sentinel names, answers")
    good, said = await findings(sentinel.url.replace(sentinel.NAME, "another"))
    assert not good and "'another'" in said
