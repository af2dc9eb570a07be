"""The gate before every warm, over HTTP: each reason to skip, what is counted, and that a question is never refused."""

from collections.abc import Callable

import pytest

from tests.client import Client
from tests.recorder import Exchange, Recorder, Respond, refuse
from tests.warm.gate import alone, assert_skipped, skips, uncached, warmed
from tests.warm.turning import Memory


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
