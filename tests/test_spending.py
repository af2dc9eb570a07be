"""The gate before every warm, over HTTP: each reason to skip, what is counted, and that a question is never refused."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.ledger.book import Call, Ledger
from app.ledger.usage import Usage
from app.store.connection import Store
from app.store.ledger import LedgerStore
from app.warm import patience
from tests.client import Client
from tests.recorder import END, Exchange, Recorder, Respond, answer, held, message_start, refuse, text_events, usage
from tests.running import RedisProcess, free_port, process, serving, until
from tests.warm.turning import Memory

WORTH_IT = 1e6
MODEL = "claude-sonnet-5-5"
LEASE_MS = 10_000
MICRO = 1e-6


@pytest.fixture
def memory(redis: RedisProcess) -> Iterator[Memory]:
    opened = Memory(redis)
    yield opened
    opened.close()


@pytest.fixture
def serve(redis: RedisProcess, upstream: Recorder) -> Iterator[Callable[..., Client]]:
    """Start Headstart with limits, and settings of the test's own; its client."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Client:
            given = {"limits": "on", "value_of_second_usd": WORTH_IT, **settings}
            url = stack.enter_context(serving(redis.url, upstream.url, **given))
            return Client(stack.enter_context(httpx2.Client(base_url=url, timeout=30)))

        yield start


def skips(client: Client) -> dict[str, int]:
    found: dict[str, int] = client.http.get("/api/stats").json()["totals"]["skips"]
    return found


def alone(client: Client, context: str = "docs") -> str:
    """A session whose prefix is nobody else's."""
    session: str = client.start(context, isolation="session")["session"]
    return session


def warmed(client: Client, session: str, **fields: Any) -> str:
    return str(client.warm(session, wait=True, **fields)["state"])


def assert_skipped(warm: dict[str, Any], reason: str) -> None:
    unknown = ("started_at", "expires_at", "tokens_read", "tokens_written", "cost_usd", "message_id", "predicted_ms")
    nothing = dict.fromkeys(unknown)
    assert warm == {"state": "skipped", "reason": reason, "shared": False, **nothing}


def counting(tokens: int) -> Respond:
    """An upstream that counts every prefix as `tokens` long, and writes it."""

    async def respond(exchange: Exchange) -> None:
        counted = usage(read=0, written=tokens, uncached=0)
        if exchange.is_warm:
            message = {"id": f"msg_{exchange.number}", "type": "message", "role": "assistant", "model": "m"}
            await exchange.send_json(200, message | {"content": [], "stop_reason": "max_tokens", "usage": counted})
            return
        await exchange.start_stream()
        for data in (message_start(exchange.number, counted), *text_events("Fine."), *END):
            await exchange.event(data)
        await exchange.end_stream()

    return respond


async def uncached(exchange: Exchange) -> None:
    """An upstream that finds every prefix too short."""
    await answer(exchange) if not exchange.is_warm else await exchange.send_json(
        200, {"id": "m", "type": "message", "content": [], "usage": usage(read=0, written=0, uncached=40)}
    )


def test_disabled(serve: Callable[..., Client], upstream: Recorder) -> None:
    client = serve(warm="off", limits="off")
    client.add_context()
    session = client.start()["session"]
    for trigger in ("focus", "keystroke", "visible", "api"):
        assert_skipped(client.warm(session, trigger=trigger, wait=True), "disabled")
    assert (upstream.exchanges, skips(client)) == ([], {"disabled": 4})
    assert client.ask(session, "All the same?")[-1].name == "verdict"
    # A question warmed it, after all, for everyone.
    assert client.warm(client.start()["session"])["state"] == "warm"
    assert skips(client) == {"disabled": 4, "already_warm": 1}


def test_below_minimum_is_learned_from_one_call_and_counted_from_then_on(
    serve: Callable[..., Client], upstream: Recorder
) -> None:
    upstream.default = uncached
    client = serve()
    client.add_context()
    session = client.start()["session"]
    for _ in range(3):
        warm = client.warm(session, wait=True)
        assert (warm["state"], warm["reason"]) == ("skipped", "below_minimum")
    assert len(upstream.warms) == 1
    assert skips(client) == {"below_minimum": 2}


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, "authentication_error", "upstream_auth"),
        (402, "billing_error", "upstream_refused"),
        (403, "permission_error", "upstream_auth"),
        (429, "rate_limit_error", "upstream_rate_limited"),
        (529, "overloaded_error", "upstream_overloaded"),
    ],
)
@pytest.mark.parametrize("refused", ["warm", "question"])
def test_upstream_refusing_after_a_refusal_of_anything_and_questions_pass(
    serve: Callable[..., Client], upstream: Recorder, status: int, kind: str, code: str, refused: str
) -> None:
    client = serve()
    client.add_context()
    upstream.script.append(refuse(status, kind))
    first = alone(client)
    if refused == "warm":
        assert warmed(client, first) == "failed"
    else:
        assert client.ask(first, "Well?")[-1].data["code"] == code
    other = alone(client)
    assert_skipped(client.warm(other, wait=True), "upstream_refusing")
    assert len(upstream.exchanges) == 1
    assert skips(client) == {"upstream_refusing": 1}
    assert client.ask(other, "Still there?")[-1].name == "verdict"
    # It answered: the rest is over.
    assert warmed(client, alone(client)) == "warm"


def test_upstream_refusing_after_a_spend_cap(serve: Callable[..., Client], upstream: Recorder) -> None:
    async def capped(exchange: Exchange) -> None:
        error = {
            "type": "rate_limit_error",
            "message": "cap",
            "details": {"error_code": "enforced_spend_limit_reached"},
        }
        await exchange.send_json(429, {"type": "error", "error": error})

    upstream.script.append(capped)
    client = serve()
    client.add_context()
    failed = client.warm(alone(client), wait=True)
    assert (failed["state"], failed["reason"]) == ("failed", "upstream_refused")
    assert_skipped(client.warm(alone(client)), "upstream_refusing")


@pytest.mark.parametrize("refusal", [refuse(400, "invalid_request_error"), refuse(500, "api_error")])
def test_a_failure_that_is_no_refusal_stops_no_other_warm(
    serve: Callable[..., Client], upstream: Recorder, refusal: Respond
) -> None:
    upstream.script.append(refusal)
    client = serve()
    client.add_context()
    assert warmed(client, alone(client)) == "failed"
    assert warmed(client, alone(client)) == "warm"


def test_a_retry_after_is_honoured_then_one_is_tried_and_the_next_rest_is_its_own(
    serve: Callable[..., Client], upstream: Recorder, memory: Memory
) -> None:
    client = serve()
    client.add_context()
    upstream.script.append(refuse(429, "rate_limit_error", **{"retry-after": "77"}))
    assert warmed(client, alone(client)) == "failed"
    breaker = memory.key("hs:breaker:*")
    rest_ms = int(str(memory.redis.hget(breaker, "until_ms"))) - memory.now_ms()
    assert 70_000 < rest_ms <= 77_000
    assert warmed(client, alone(client)) == "skipped"
    memory.redis.hincrby(breaker, "until_ms", -78_000)
    # Half open: tried again, and refused again.
    upstream.script.append(refuse(529, "overloaded_error"))
    assert warmed(client, alone(client)) == "failed"
    assert warmed(client, alone(client)) == "skipped"
    assert 5_000 < int(str(memory.redis.hget(breaker, "until_ms"))) - memory.now_ms() <= 10_000
    memory.redis.hincrby(breaker, "until_ms", -11_000)
    assert warmed(client, alone(client)) == "warm"
    assert memory.redis.exists(breaker) == 0


@pytest.mark.parametrize("wait", ["1" + "0" * 30, "1e300", "inf", "nan", "-5", "Wed, 21 Oct 2026 07:28:00 GMT", "soon"])
@pytest.mark.parametrize("refused", ["warm", "question"])
def test_no_retry_after_breaks_anything(
    serve: Callable[..., Client], upstream: Recorder, wait: str, refused: str
) -> None:
    client = serve()
    client.add_context()
    upstream.script.append(refuse(429, "rate_limit_error", **{"retry-after": wait}))
    session = alone(client)
    if refused == "warm":
        assert client.warm(session, wait=True)["reason"] == "upstream_rate_limited"
    else:
        assert client.ask(session, "Well?")[-1].data["code"] == "upstream_rate_limited"
    assert client.ask(session, "And now?")[-1].name == "verdict"


def test_not_worth_it_once_nobody_asked_and_worth_it_again_once_they_do(
    serve: Callable[..., Client], upstream: Recorder
) -> None:
    client = serve(limits="off", value_of_second_usd=0.03)
    client.add_context()
    sessions = []
    for _ in range(60):
        session = alone(client)
        warm = client.warm(session, trigger="focus", wait=True)
        if warm["state"] == "skipped":
            break
        sessions.append(session)
    assert_skipped(warm, "not_worth_it")
    assert skips(client) == {"not_worth_it": 1}
    # P falls below write / (seconds saved × value − read + write) = 0.389: 30 / (50 + n), with n fading.
    assert len(sessions) == pytest.approx(32, abs=1)
    # It says nothing of other triggers, other contexts, or who calls by hand.
    assert warmed(client, alone(client), trigger="keystroke") == "warm"
    assert warmed(client, alone(client), trigger="api") == "warm"
    client.add_context("other", instructions="Another.")
    assert warmed(client, alone(client, "other"), trigger="focus") == "warm"
    for session in sessions[:2]:
        assert client.ask(session, "After all?")[-1].data["cache"] == "hit"
    assert warmed(client, alone(client), trigger="focus") == "warm"
    assert len(upstream.warms) == len(sessions) + 4


def test_not_worth_it_before_anything_is_known_is_a_visible_page(
    serve: Callable[..., Client], upstream: Recorder
) -> None:
    client = serve(value_of_second_usd=0.03)
    client.add_context()
    session = client.start()["session"]
    assert_skipped(client.warm(session, trigger="visible"), "not_worth_it")
    assert upstream.exchanges == []
    assert warmed(client, session, trigger="focus") == "warm"
    # What is warm already is warm for any trigger.
    assert client.warm(session, trigger="visible")["state"] == "warm"


def test_api_is_exempt_from_worth_and_from_nothing_else(serve: Callable[..., Client]) -> None:
    client = serve(value_of_second_usd=0, warm_usd_per_hour=0.001)
    client.add_context(documents=[{"title": "a", "text": "Alpha beta. " * 1_000}])
    session = client.start()["session"]
    for trigger in ("focus", "keystroke", "visible"):
        assert_skipped(client.warm(session, trigger=trigger), "not_worth_it")
    assert_skipped(client.warm(session, trigger="api"), "budget_spent")


def test_without_prices_no_value_and_no_budget_refuses(serve: Callable[..., Client]) -> None:
    client = serve(value_of_second_usd=0, warm_usd_per_hour=0, warm_usd_per_day=0)
    client.add_context(model="nobody-knows-it")
    assert warmed(client, client.start()["session"], trigger="visible") == "warm"
    client.add_context("priced")
    assert_skipped(client.warm(client.start("priced")["session"]), "budget_spent")


def expire(memory: Memory, client: Client, session: str) -> None:
    memory.age(client.session(session)["prefix"]["digest"], 301)


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
        together.wait(10)
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
    together = threading.Barrier(40)
    states: list[tuple[str, str | None]] = []

    def focus() -> None:
        together.wait(10)
        warm = client.warm(session, trigger="focus")
        states.append((warm["state"], warm["reason"]))

    threads = [threading.Thread(target=focus) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    # The budget holds one such call, the session's bucket twenty. Only who looks between the two steps of the one that
    # calls may find neither money nor a call under way.
    told = states.count(("warming", None))
    assert told > 30
    assert sum(skips(client).values()) == 40 - told
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


def test_a_warm_is_refreshed_by_a_trigger_near_its_end_and_not_before(
    serve: Callable[..., Client], upstream: Recorder, memory: Memory
) -> None:
    client = serve()
    client.add_context()
    session = client.start()
    digest = session["prefix"]["digest"]
    assert warmed(client, session["session"]) == "warm"
    memory.age(digest, 265)
    ends = client.warm(session["session"], trigger="focus")["expires_at"]
    assert len(upstream.warms) == 1
    memory.age(digest, 10)
    # Nothing refreshes it by itself, and looking at it is no trigger.
    assert client.session(session["session"])["warm"]["state"] == "warm"
    assert len(upstream.warms) == 1
    refreshed = client.warm(session["session"], trigger="visible", wait=True)
    assert (refreshed["state"], len(upstream.warms)) == ("warm", 2)
    assert refreshed["expires_at"] > ends
    assert client.warm(session["session"], trigger="visible")["expires_at"] == refreshed["expires_at"]
    assert len(upstream.warms) == 2


def test_a_question_does_not_wait_while_a_live_entry_is_refreshed(
    serve: Callable[..., Client], upstream: Recorder, memory: Memory
) -> None:
    client = serve()
    client.add_context()
    session = client.start()
    assert warmed(client, session["session"]) == "warm"
    memory.age(session["prefix"]["digest"], 275)
    upstream.script.append(held)
    assert client.warm(session["session"], trigger="focus")["state"] == "warming"
    upstream.wait_for(2)
    first, *_, last = client.ask(session["session"], "Now?")
    assert first.data["plan"] == "hit"
    assert (last.data["cache"], last.data["expected_read"], last.data["waited_ms"]) == ("hit", 5_000, 0)
    upstream.release()


def test_a_refresh_that_is_refused_leaves_warm_what_is_warm(serve: Callable[..., Client], memory: Memory) -> None:
    client = serve()
    client.add_context()
    session = client.start()
    assert warmed(client, session["session"]) == "warm"
    memory.age(session["prefix"]["digest"], 275)
    name = memory.key("hs:bucket:*all*")
    memory.redis.hset(name, mapping={"tokens": "0", "at": f"{memory.now_ms() / 1_000 + 5:.3f}"})
    assert client.warm(session["session"], trigger="focus")["state"] == "warm"
    assert client.ask(session["session"], "Now?")[0].data["plan"] == "hit"


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


async def taught(redis_url: str, identity: str, calls: list[tuple[int, float]]) -> None:
    """Teach a deployment its pace: calls of so many uncached tokens that took so many seconds to their first byte."""
    store = Store(redis_url)
    ledger = Ledger(LedgerStore(store, identity), time.time)
    for tokens, seconds in calls:
        seen = Usage(uncached=tokens, reported=True)
        await ledger.record(Call("ask", MODEL, "d", "s_1", seen, seconds, seconds, "ok", context="c_1"))
    await store.close()


def test_a_question_gives_up_on_a_warm_at_the_stated_multiple_of_what_it_should_take(
    serve: Callable[..., Client],
    redis: RedisProcess,
    upstream: Recorder,
    memory: Memory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "JOIN_FLOOR_S", 0.0)
    client = serve()
    client.add_context(documents=[{"title": "a", "text": "Alpha beta. " * 1_000}])
    session = client.start()
    upstream.script.append(held)
    client.warm(session["session"])
    upstream.wait_for(1)
    identity = memory.key("hs:warm:*").split("{")[1].split(":")[0]
    # A base of 0.1 s and 20 µs a token.
    asyncio.run(taught(redis.url, identity, [(1_000, 0.12), (10_000, 0.3), (20_000, 0.5)]))
    # It has been under way for longer than a hit takes, so that nobody takes over.
    memory.redis.hincrby(memory.key("hs:warm:*"), "started_ms", -1_000)
    last = client.ask(session["session"], "How long?")[-1].data
    tokens = session["prefix"]["bytes"] / 3.3
    expected_ms = 3 * (100 + tokens * 0.02)
    assert 0.9 * expected_ms < last["waited_ms"] < expected_ms + 1_500
    assert (last["reason"], last["detail"]) in [(None, None), ("join_gave_up", None)]
    upstream.release()


def test_a_stalled_process_blocks_nobody_longer_than_its_lease_and_overwrites_nothing(
    redis: RedisProcess, upstream: Recorder, memory: Memory, tmp_path: Path
) -> None:
    environment = {
        "HEADSTART_REDIS_URL": redis.url,
        "ANTHROPIC_BASE_URL": upstream.url,
        "ANTHROPIC_API_KEY": "sk-test-key",
        "HEADSTART_VALUE_OF_SECOND_USD": "1000000",
        "HEADSTART_PORT": str(free_port()),
    }
    with ExitStack() as stack:
        stalled = stack.enter_context(process("serve", log=tmp_path / "stalled.log", **environment))
        survivor = stack.enter_context(serving(redis.url, upstream.url, limits="on"))
        stalled.wait_ready()
        client = Client(stack.enter_context(httpx2.Client(base_url=stalled.url, timeout=30)))
        client.add_context()
        session = client.start()
        digest = session["prefix"]["digest"]
        other = Client(stack.enter_context(httpx2.Client(base_url=survivor, timeout=30)))
        other.http.cookies.update(dict(client.http.cookies))
        upstream.script.append(held)
        assert client.warm(session["session"])["state"] == "warming"
        upstream.wait_for(1)
        stalled.popen.send_signal(signal.SIGSTOP)
        try:
            assert other.warm(session["session"])["state"] == "warming"
            left_ms = int(memory.warm(digest)["lease_ms"]) - memory.now_ms()
            assert left_ms <= LEASE_MS
            # The lease runs out: another takes over, and is not in the way of itself.
            memory.age(digest, left_ms / 1_000 + 0.1)
            upstream.script.append(counting(4_321))
            taken = other.warm(session["session"], wait=True)
            assert (taken["state"], taken["tokens_written"]) == ("warm", 4_321)
            settled = memory.warm(digest)
        finally:
            stalled.popen.send_signal(signal.SIGCONT)
        # The one that slept wakes to its answer, pays for it, and leaves what is known as it is.
        upstream.release()
        until(lambda: other.http.get("/api/stats").json()["totals"]["warm_calls"] == 2, "the books to have both calls")
        until(lambda: not memory.redis.keys("hs:budget:*:*"), "nothing to be reserved")
        assert memory.warm(digest) == settled
        assert other.ask(session["session"], "Which one?")[-1].data["expected_read"] == 4_321
