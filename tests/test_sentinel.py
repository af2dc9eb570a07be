"""Over a master that sentinels watch."""

import time
from collections.abc import Iterator

import pytest

from app.store.connection import Store, StoreUnavailable
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


async def test_a_server_that_takes_no_writes_is_away(sentinel: SentinelProcess) -> None:
    master = sentinel.primary
    (replica,) = (server for server in sentinel.servers if server is not master)
    for server, setting, refusing, well in (
        (replica, "replica-read-only", "yes", "yes"),
        (master, "min-replicas-to-write", "5", "0"),
        (master, "maxmemory", "1", "0"),
    ):
        server.ask("CONFIG", "SET", setting, refusing)
        store = Store(f"redis://127.0.0.1:{server.port}")
        try:
            for write in (
                store.do("SET", "a", 1),
                store.run("vouch_turns", ["v"], [1000, "turn"]),
                store.together([("SET", "{a}b", 1), ("SET", "{a}c", 1)]),
                store.batch([("SET", "{a}b", 1), ("GET", "{a}b")]),
            ):
                with pytest.raises(StoreUnavailable):
                    await write
        finally:
            server.ask("CONFIG", "SET", setting, well)
            await store.close()
