"""Why a question missed: each reason of a verdict, reached as it comes about, through the sandbox or the recorder."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

import httpx2
import pytest

from app.sandbox.testing import SandboxServer
from tests.client import Client
from tests.recorder import END, Exchange, Recorder, answer, held, message_start, refuse, text_events, usage
from tests.running import RedisProcess, serving
from tests.warm.turning import Memory

MANUAL = [
    {"title": "pumps.md", "text": "The pump runs at 40 bar.\nIts valve is red.\n" * 100},
    {"title": "fans.md", "text": "The fan is silent.\nIt turns left.\n" * 100},
]
SECRET = "the password is swordfish"


def with_text(number: int, text: str) -> list[dict[str, str]]:
    return [*MANUAL[:number], {**MANUAL[number], "text": text}, *MANUAL[number + 1 :]]


def verdict_of(client: Client, session: str, question: str = "Which colour?") -> dict[str, Any]:
    last = client.ask(session, question)[-1]
    assert last.name == "verdict", last
    verdict: dict[str, Any] = last.data
    assert client.session(session)["turns"][-1]["verdict"] == verdict
    misses = client.http.get("/api/stats").json()["totals"]["misses"]
    assert verdict["reason"] is None or misses[verdict["reason"]] >= 1
    return verdict


async def cold(exchange: Exchange) -> None:
    """Answer a question whose prefix was not cached."""
    if exchange.is_warm:
        await answer(exchange)
        return
    await exchange.start_stream()
    for data in (message_start(exchange.number, usage(read=0, written=5000)), *text_events("Red."), *END):
        await exchange.event(data)
    await exchange.end_stream()


@contextmanager
def another(url: httpx2.URL) -> Iterator[Client]:
    """Somebody else."""
    with httpx2.Client(base_url=url, timeout=30) as http:
        yield Client(http)


@pytest.fixture
def warm(sandboxed: Client) -> dict[str, Any]:
    """A session over the manual, warm."""
    sandboxed.add_context(documents=MANUAL)
    session = sandboxed.start()
    assert sandboxed.warm(session["session"], wait=True)["state"] == "warm"
    return session


def test_a_warm_prefix_is_hit_and_needs_no_reason(sandboxed: Client, warm: dict[str, Any]) -> None:
    verdict = verdict_of(sandboxed, warm["session"])
    assert (verdict["cache"], verdict["reason"], verdict["detail"]) == ("hit", None, None)
    assert verdict["read"] == verdict["expected_read"] > 1000


def test_not_warmed(sandboxed: Client) -> None:
    sandboxed.add_context(documents=MANUAL)
    verdict = verdict_of(sandboxed, sandboxed.start()["session"])
    assert (verdict["cache"], verdict["reason"], verdict["detail"]) == ("miss", "not_warmed", None)
    assert (verdict["expected_read"], verdict["read"]) == (0, 0)


def test_not_warmed_after_a_turn_is_partial_for_the_earlier_part_is_read(
    sandboxed: Client, warm: dict[str, Any]
) -> None:
    first = verdict_of(sandboxed, warm["session"])
    second = verdict_of(sandboxed, warm["session"])
    assert (second["cache"], second["reason"]) == ("partial", "not_warmed")
    assert second["read"] == second["expected_read"] == first["read"]


def test_expired_says_by_how_much(
    sandboxed: Client, sandbox: SandboxServer, memory: Memory, warm: dict[str, Any]
) -> None:
    sandbox.clock.advance(342)
    memory.age(warm["prefix"]["digest"], 342)
    verdict = verdict_of(sandboxed, warm["session"])
    assert (verdict["cache"], verdict["reason"]) == ("miss", "expired")
    found = re.fullmatch(r"expired ([\d.]+) s before the question", verdict["detail"])
    assert found is not None
    assert 42 <= float(found[1]) < 60


def test_evicted_upstream_says_what_should_have_been_there(
    sandboxed: Client, sandbox: SandboxServer, warm: dict[str, Any]
) -> None:
    expected = sandboxed.session(warm["session"])["warm"]["tokens_written"]
    assert sandbox.evict() == 1
    verdict = verdict_of(sandboxed, warm["session"])
    assert (verdict["cache"], verdict["reason"]) == ("miss", "evicted_upstream")
    assert verdict["detail"] == f"{expected:,} tokens should have been in the cache, and 0 were"
    assert (verdict["read"], verdict["expected_read"]) == (0, expected)


def test_below_minimum(sandboxed: Client) -> None:
    sandboxed.add_context(documents=[{"title": "a", "text": "Short."}])
    session = sandboxed.start()["session"]
    for _ in range(2):
        verdict = verdict_of(sandboxed, session)
        assert (verdict["cache"], verdict["reason"]) == ("uncacheable", "below_minimum")


def test_warm_failed_says_how(sandboxed: Client, sandbox: SandboxServer) -> None:
    sandbox.fault(status=500, only="warm", message="The machine is on fire")
    sandboxed.add_context(documents=MANUAL)
    session = sandboxed.start()["session"]
    assert sandboxed.warm(session, wait=True)["state"] == "failed"
    verdict = verdict_of(sandboxed, session)
    assert (verdict["cache"], verdict["reason"]) == ("miss", "warm_failed")
    assert "on fire" in verdict["detail"]


def test_warm_abandoned(client: Client, upstream: Recorder, memory: Memory) -> None:
    client.add_context()
    session = client.start()
    upstream.default = cold
    upstream.script.append(held)
    client.warm(session["session"])
    upstream.wait_for(1)
    # Nobody renews it any more.
    memory.age(session["prefix"]["digest"], 11)
    with client.asking(session["session"], "Anybody?") as stream:
        first, *_, last = stream
    upstream.release()
    assert (first.data["plan"], first.data["warm"]["reason"]) == ("cold", "warm_abandoned")
    assert (last.data["cache"], last.data["reason"]) == ("miss", "warm_abandoned")


def test_join_gave_up(redis: RedisProcess, upstream: Recorder) -> None:
    upstream.default = cold
    with (
        serving(redis.url, upstream.url, join_timeout_s=0.2) as url,
        httpx2.Client(base_url=url, timeout=30) as http,
    ):
        client = Client(http)
        client.add_context()
        session = client.start()["session"]
        upstream.script.append(held)
        client.warm(session)
        upstream.wait_for(1)
        verdict = verdict_of(client, session)
        assert (verdict["cache"], verdict["reason"]) == ("miss", "join_gave_up")
        assert 200 <= verdict["waited_ms"] <= verdict["ttfb_ms"]
        upstream.release()


def test_upstream_reports_no_usage(client: Client, upstream: Recorder) -> None:
    async def silent(exchange: Exchange) -> None:
        await exchange.start_stream()
        start = message_start(1, {"input_tokens": 7, "output_tokens": 0})
        for data in (start, *text_events("Fine."), *END):
            await exchange.event(data)
        await exchange.end_stream()

    upstream.default = silent
    client.add_context()
    verdict = verdict_of(client, client.start()["session"])
    assert (verdict["cache"], verdict["reason"]) == ("uncacheable", "upstream_reports_no_usage")


@pytest.mark.usefixtures("warm")
def test_model_changed_names_both(sandboxed: Client) -> None:
    other = sandboxed.start(model="claude-opus-5-5")["session"]
    verdict = verdict_of(sandboxed, other)
    assert (verdict["cache"], verdict["reason"]) == ("miss", "model_changed")
    assert verdict["detail"] == "it is warm for claude-sonnet-5-5, and was asked of claude-opus-5-5"


@pytest.mark.parametrize("first_is", ["warm", "question"])
def test_model_changed_also_when_it_is_warm_for_a_model_that_only_a_session_named(
    sandboxed: Client, first_is: str
) -> None:
    sandboxed.add_context(documents=MANUAL)
    first = sandboxed.start(model="claude-opus-5-5")["session"]
    if first_is == "warm":
        assert sandboxed.warm(first, wait=True)["state"] == "warm"
    else:
        sandboxed.ask(first, "What is red?")
    verdict = verdict_of(sandboxed, sandboxed.start()["session"])
    assert (verdict["cache"], verdict["reason"]) == ("miss", "model_changed")
    assert verdict["detail"] == "it is warm for claude-opus-5-5, and was asked of claude-sonnet-5-5"


def test_a_model_that_anybody_could_have_named_is_not_shown_to_others(client: Client, upstream: Recorder) -> None:
    upstream.default = cold
    client.add_context(documents=MANUAL)
    client.ask(client.start(model="call-me-on-555")["session"], "What is red?")
    verdict = verdict_of(client, client.start()["session"])
    assert (verdict["reason"], verdict["detail"]) == ("not_warmed", None)


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize(
    ("changed", "reason", "detail"),
    [
        ({"effort": "low"}, "parameters_changed", "effort None became low"),
        ({"thinking": "between_tools"}, "parameters_changed", "thinking None became between_tools"),
        ({"effort": "low", "thinking": "adaptive"}, "parameters_changed", "thinking None became adaptive, effort None"),
        ({"model": "claude-opus-5-5"}, "model_changed", "claude-sonnet-5-5"),
        ({"effort": "low", "instructions": "Be brief."}, "parameters_changed", "effort None became low"),
    ],
)
def test_a_context_added_again_with_other_parameters_is_not_said_to_have_changed_its_text(
    sandboxed: Client, changed: dict[str, Any], reason: str, detail: str
) -> None:
    sandboxed.add_context(documents=MANUAL, **changed)
    verdict = verdict_of(sandboxed, sandboxed.start()["session"])
    assert (verdict["cache"], verdict["reason"]) == ("miss", reason)
    assert detail in verdict["detail"]


def test_a_context_added_again_whose_first_version_was_never_warm_was_not_warmed(sandboxed: Client) -> None:
    sandboxed.add_context(documents=MANUAL)
    sandboxed.add_context(documents=MANUAL, max_tokens=500)
    assert verdict_of(sandboxed, sandboxed.start()["session"])["reason"] == "not_warmed"


def test_another_lifetime_is_another_prefix_of_ours_and_the_same_entry_upstream(
    client: Client, upstream: Recorder
) -> None:
    client.add_context(documents=MANUAL, ttl="5m")
    client.warm(client.start()["session"], wait=True)
    upstream.default = cold
    client.add_context(documents=MANUAL, ttl="1h")
    verdict = verdict_of(client, client.start()["session"])
    assert verdict["reason"] == "parameters_changed"
    assert verdict["detail"] == "it is warm for other parameters: ttl 5m became 1h"


@pytest.mark.parametrize(
    ("changed", "block", "where"),
    [
        ({"documents": with_text(0, MANUAL[0]["text"].replace("red", "blue", 1))}, 1, "pumps.md”, line 2"),
        ({"documents": with_text(1, MANUAL[1]["text"] + "It is new.")}, 2, "fans.md”, line 201"),
        ({"documents": MANUAL[:1]}, 2, "became nothing"),
        ({"documents": MANUAL[::-1]}, 1, "document “pumps.md”, line 1"),
        ({"documents": [*MANUAL, {"title": "new.md", "text": "New."}]}, 3, "nothing became document “new.md”"),
        ({"documents": MANUAL, "instructions": "Be brief."}, 1, "became the instructions, line 1 “Be brief.”"),
    ],
)
def test_prefix_changed_names_the_byte_and_the_block_of_what_was_sent(
    client: Client, upstream: Recorder, changed: dict[str, Any], block: int, where: str
) -> None:
    upstream.default = cold
    client.add_context(documents=MANUAL)
    client.warm(client.start()["session"], wait=True)
    client.add_context(**changed)
    verdict = verdict_of(client, client.start()["session"])
    assert (verdict["cache"], verdict["reason"]) == ("miss", "prefix_changed")
    old, new = (exchange.body for exchange in upstream.exchanges)
    same = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))))
    assert verdict["detail"].startswith(f"byte {same:,}, block {block}: ")
    assert where in verdict["detail"]


def test_a_version_that_had_expired_itself_is_not_blamed(client: Client, upstream: Recorder, memory: Memory) -> None:
    upstream.default = cold
    client.add_context(documents=MANUAL)
    before = client.start()
    client.warm(before["session"], wait=True)
    memory.age(before["prefix"]["digest"], 301)
    client.add_context(documents=MANUAL[:1])
    assert verdict_of(client, client.start()["session"])["reason"] == "not_warmed"


def test_what_another_owner_had_before_is_nobody_elses(client: Client, upstream: Recorder) -> None:
    upstream.default = cold
    client.add_context("plans", documents=with_text(0, SECRET))
    client.warm(client.start("plans")["session"], wait=True)
    client.add_context("plans", documents=MANUAL)
    mine = verdict_of(client, client.start("plans")["session"])
    assert SECRET in mine["detail"]
    with another(client.http.base_url) as other:
        # The same texts, so the same context and the same prefix, but not the same past.
        for name in ("plans", "mine"):
            other.add_context(name, documents=MANUAL)
            for fields in ({}, {"model": "claude-opus-5-5"}, {"isolation": "session"}):
                session = other.start(name, **fields)["session"]
                verdict = verdict_of(other, session)
                assert verdict["reason"] != "prefix_changed"
                assert "swordfish" not in str(verdict) + str(other.session(session))
        assert "swordfish" not in other.http.get("/api/stats").text + other.http.get("/api/contexts").text


def test_the_sandboxes_diagnostics_stand_beside_our_own_reason(
    sandboxed: Client, sandbox: SandboxServer, memory: Memory, warm: dict[str, Any]
) -> None:
    session = warm["session"]
    assert verdict_of(sandboxed, session)["diagnosed"] is None
    # Nothing had changed, says the upstream, and nothing was read: the entry had gone.
    sandbox.evict()
    gone = verdict_of(sandboxed, session)
    assert (gone["reason"], gone["diagnosed"]) == ("evicted_upstream", None)
    # It no longer knows the answer that we compare with.
    sandbox.clock.advance(3_601)
    memory.age(warm["prefix"]["digest"], 3_601)
    late = verdict_of(sandboxed, session)
    assert late["cache"] == "miss"
    assert late["diagnosed"] == {"cache_miss_reason": {"type": "previous_message_not_found"}}


def test_diagnostics_are_asked_for_against_the_last_answer(client: Client, upstream: Recorder) -> None:
    client.add_context()
    session = client.start()["session"]
    upstream.script.extend([answer, answer, refuse(500, "api_error"), answer])
    for question in ("One?", "Two?", "Three?", "Four?"):
        client.ask(session, question)
    asked = [exchange.json["diagnostics"]["previous_message_id"] for exchange in upstream.asks]
    # The third failed: the fourth goes back to the second.
    assert asked == [None, "msg_1", "msg_2", "msg_2"]
    client.warm(session, wait=True)
    assert "diagnostics" not in upstream.warms[-1].json


def test_an_upstream_of_ones_own_is_not_asked_for_diagnostics(redis: RedisProcess, upstream: Recorder) -> None:
    with (
        serving(redis.url, upstream.url, anthropic_base_url=upstream.url) as url,
        httpx2.Client(base_url=url, timeout=30) as http,
    ):
        client = Client(http)
        client.add_context()
        session = client.start()["session"]
        client.warm(session, wait=True)
        for question in ("One?", "Two?"):
            assert client.ask(session, question)[-1].data["diagnosed"] is None
    assert len(upstream.asks) == 2
    assert not any("diagnostics" in exchange.json for exchange in upstream.exchanges)
