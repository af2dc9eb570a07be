"""A claim that leads to no call: whoever looks at the prefix afterwards finds it as it was, and nothing is set aside."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.main import create_app
from app.settings import Settings
from app.store.connection import Store
from app.store.sessions import Sessions
from app.store.warms import COLD, WarmRecord, Warms, WarmState
from tests.client import Client
from tests.losing import losing
from tests.recorder import Recorder
from tests.running import RedisProcess, serving
from tests.test_lost_answers import script, source
from tests.warm.gate import WORTH_IT, alone, warmed
from tests.warm.test_takeover import COLD as COLD_CALL
from tests.warm.test_takeover import HIT, cold, teach
from tests.warm.turning import Memory


@pytest.fixture
async def warms(redis: RedisProcess) -> AsyncIterator[Warms]:
    store = Store(redis.url)
    yield Warms(store, "u")
    await store.close()


async def fence(
    warms: Warms,
    session: str,
    trigger: str = "focus",
    *,
    lease_ms: int = 60_000,
    margin_ms: int = 30_000,
    young_ms: int = 0,
) -> int:
    """A claim that is granted."""
    claim = await warms.claim(
        "d", session, trigger=trigger, lease_ms=lease_ms, margin_ms=margin_ms, rest_ms=0, young_ms=young_ms
    )
    assert claim.fence is not None
    return claim.fence


async def state(warms: Warms) -> WarmRecord:
    return (await warms.get("d"))[0]


async def test_what_was_cold_is_cold_again_and_numbers_are_given_once(warms: Warms) -> None:
    first = await fence(warms, "s_1")
    assert await warms.withdraw("d", first)
    assert await state(warms) == COLD
    assert not await warms.withdraw("d", first)
    assert not await warms.renew("d", first, lease_ms=1_000)
    assert await fence(warms, "s_2") > first


async def test_what_had_failed_still_says_why(warms: Warms) -> None:
    failed = WarmRecord(WarmState.FAILED, reason="upstream_failed", detail="It broke.")
    assert await warms.settle("d", await fence(warms, "s_1"), failed)
    before = await state(warms)
    assert before.reason == "upstream_failed"
    assert await warms.withdraw("d", await fence(warms, "s_2", "api"))
    assert await state(warms) == before


async def test_what_lives_is_still_the_warm_that_no_question_has_used(warms: Warms) -> None:
    now_ms = (await warms.get("d"))[1]
    live = WarmRecord(WarmState.WARM, expires_ms=now_ms + 20_000, tokens_read=0, tokens_written=5_000)
    assert await warms.settle("d", await fence(warms, "s_1", "focus"), live)
    before = await state(warms)
    assert await warms.withdraw("d", await fence(warms, "s_2", "visible"))
    assert await state(warms) == before
    assert await warms.use("d", WarmRecord(WarmState.WARM, expires_ms=now_ms + 60_000)) == "focus"
    assert await warms.withdraw("d", await fence(warms, "s_2", "visible", margin_ms=120_000))
    assert await warms.use("d", WarmRecord(WarmState.WARM, expires_ms=now_ms + 60_000)) is None


async def test_what_was_abandoned_is_nobodys_again(warms: Warms) -> None:
    await fence(warms, "s_1", lease_ms=0)
    before = await state(warms)
    assert before.reason == "warm_abandoned"
    assert await warms.withdraw("d", await fence(warms, "s_2"))
    assert await state(warms) == before
    assert await fence(warms, "s_3")


async def test_what_a_question_has_taken_over_is_the_questions(warms: Warms) -> None:
    first = await fence(warms, "s_1")
    taken = await fence(warms, "s_2", "", young_ms=60_000)
    assert not await warms.withdraw("d", first)
    assert await warms.renew("d", taken, lease_ms=1_000)


def test_a_trigger_that_a_question_overtakes_makes_no_call(
    redis: RedisProcess, upstream: Recorder, memory: Memory, tmp_path: Path
) -> None:
    teach(redis, upstream, COLD_CALL, HIT, COLD_CALL, HIT)
    # Enough for one such call.
    limited = {"limits": "on", "value_of_second_usd": WORTH_IT, "warm_usd_per_hour": 0.001}
    with (
        losing(redis, tmp_path) as way,
        serving(way.url, upstream.url, **limited) as here,
        serving(redis.url, upstream.url, **limited) as there,
        httpx2.Client(base_url=here, timeout=30) as http,
        httpx2.Client(base_url=there, timeout=30) as other,
        ThreadPoolExecutor() as threads,
    ):
        client = Client(http)
        client.add_context()
        other.cookies.update(dict(http.cookies))
        # Scripts are sent by their names once Redis has them.
        memory.redis.script_load(source("reserve_budget").decode())
        session = client.start()["session"]
        upstream.script.append(cold)
        way.hold(script("reserve_budget"))
        warming = threads.submit(client.warm, session, trigger="focus")
        assert way.lost.wait(30)
        # Another trigger finds a call under way, and not that the money is spent.
        assert Client(other).warm(session, trigger="focus")["state"] == "warming"
        with Client(other).asking(session, "Now?") as stream:
            assert next(stream).data["plan"] == "cold"
            upstream.wait_for(1)
            way.release()
            assert warming.result()["state"] == "warming"
            upstream.release()
            assert list(stream)[-1].name == "verdict"
        assert [exchange.is_warm for exchange in upstream.exchanges] == [False]
        assert memory.redis.hget(memory.key("hs:budget:{all}"), "hour_spent") == "0"


@pytest.mark.parametrize("broken", ["the bucket", "the lease"])
def test_what_goes_wrong_between_claim_and_call_leaves_nothing_behind(
    redis: RedisProcess, upstream: Recorder, memory: Memory, tmp_path: Path, broken: str
) -> None:
    limited = {"limits": "on", "value_of_second_usd": WORTH_IT}
    with (
        losing(redis, tmp_path) as way,
        serving(way.url, upstream.url, **limited) as url,
        httpx2.Client(base_url=url, timeout=30) as http,
        ThreadPoolExecutor() as threads,
    ):
        client = Client(http)
        client.add_context()
        assert warmed(client, alone(client)) == "warm"
        spent = memory.redis.hget(memory.key("hs:budget:{all}"), "hour_spent")
        session = client.start()
        digest = session["prefix"]["digest"]
        way.hold(script("take_token" if broken == "the bucket" else "reserve_budget"))
        # After a bug its connection is closed.
        path, cookies = f"{url}/api/sessions/{session['session']}/warm", dict(http.cookies)
        warming = threads.submit(httpx2.post, path, json={"trigger": "focus"}, cookies=cookies, timeout=30)
        assert way.lost.wait(30)
        # What no server of ours writes there is a bug of somebody's.
        wrong = memory.key("hs:bucket:*all*" if broken == "the bucket" else f"hs:warm:*{digest}}}")
        memory.redis.set(wrong, "not a hash")
        way.release()
        assert warming.result().status_code == 500
        memory.redis.delete(wrong)
        assert memory.redis.hget(memory.key("hs:budget:{all}"), "hour_spent") == spent
        assert client.warm(session["session"], trigger="focus", wait=True)["state"] == "warm"


async def test_a_warm_that_is_given_up_before_its_call_leaves_nothing_set_aside(
    serve: Callable[..., Client], redis: RedisProcess, upstream: Recorder, memory: Memory
) -> None:
    async def has_money() -> bool:
        return True

    client = serve()
    client.add_context()
    session = client.start()["session"]
    given: dict[str, Any] = {"_env_file": None, "limits": "on", "value_of_second_usd": WORTH_IT}
    app = create_app(Settings(**given), redis_url=redis.url, base_url=upstream.url, api_key="sk-test-key")
    store = Store(redis.url)
    record = await Sessions(store).get(session)
    await store.close()
    assert record is not None
    async with app.router.lifespan_context(app):
        warms = app.state.rooms.coordinator
        warming = await warms.warm(record, trigger="api", address="127.0.0.1", wait=False, may_spend=has_money)
        await warms.close()
    assert (warming.state, upstream.warms) == ("warming", [])
    assert memory.redis.keys("hs:budget:*:*") == []
    assert memory.redis.hget(memory.key("hs:budget:{all}"), "hour_spent") == "0"
    assert client.warm(session, wait=True)["state"] == "warm"
