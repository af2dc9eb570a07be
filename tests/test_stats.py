"""What is counted, as it is given out: `/api/stats`, `/metrics`, and the upstream's own count beside them."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.client import Client
from tests.recorder import END, Exchange, Recorder, message_start, refuse, text_events, usage
from tests.running import RedisProcess, serving

CATEGORIES = ("read", "written_5m", "written_1h", "uncached", "output")


def stats(client: Client) -> dict[str, Any]:
    response = client.http.get("/api/stats")
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


def metrics(client: Client) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Every sample by its name and labels."""
    response = client.http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(response.text):
        assert family.documentation
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


class Careless:
    """An upstream that answers with any numbers, refuses, or breaks off; and keeps its own count."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.counted: Counter[str] = Counter()

    async def __call__(self, exchange: Exchange) -> None:
        choice = self.random.random()
        if choice < 0.1:
            await refuse(529, "overloaded_error")(exchange)
        elif choice < 0.15:
            exchange.cut()
        elif exchange.is_warm:
            counted = self._count(output=0)
            message = {"id": f"msg_{exchange.number}", "type": "message", "role": "assistant", "model": "m"}
            await exchange.send_json(200, message | {"content": [], "stop_reason": "max_tokens", "usage": counted})
        else:
            await exchange.start_stream()
            delta, stop = END
            output = self.random.randrange(1, 5000)
            counted = self._count(output=1)
            for event in (message_start(exchange.number, counted), *text_events("Some text.")):
                await exchange.event(event)
            if choice < 0.25:
                exchange.cut()
                return
            self.counted["output"] += output - 1
            await exchange.event(delta | {"usage": {"output_tokens": output}})
            await exchange.event(stop)
            await exchange.end_stream()

    def _count(self, output: int) -> dict[str, Any]:
        read, written, hour, uncached = (self.random.choice([0, self.random.randrange(200_000)]) for _ in range(4))
        counted = usage(read, written + hour, uncached, output)
        counted["cache_creation"] = {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": hour}
        self.counted.update(read=read, written_5m=written, written_1h=hour, uncached=uncached, output=output)
        return counted


@pytest.mark.parametrize("seed", range(3))
def test_the_ledger_is_the_upstreams_own_count_to_the_token(client: Client, upstream: Recorder, seed: int) -> None:
    upstream.default = careless = Careless(seed)
    chosen = random.Random(seed)
    sessions = []
    for number in range(3):
        client.add_context(f"c{number}", instructions=f"Number {number}.")
        sessions += [client.start(f"c{number}")["session"] for _ in range(2)]
    for number in range(60):
        session = chosen.choice(sessions)
        if chosen.random() < 0.5:
            client.warm(session, wait=True)
        else:
            client.ask(session, f"Question {number}?")
    found = stats(client)
    totals = found["totals"]
    ours = {category: totals[f"tokens_{category}"] for category in CATEGORIES}
    assert ours == {category: careless.counted[category] for category in CATEGORIES}
    assert totals["warm_calls"] == len(upstream.warms)
    assert totals["ask_calls"] == len(upstream.asks)
    assert sum(totals["calls"]["ask"].values()) == len(upstream.asks)
    for name in ("tokens_read", "tokens_output", "ask_calls", "warm_calls", "turns"):
        assert sum(context[name] for context in found["per_context"]) == totals[name]
        assert sum(day[name] for day in found["per_day"]) == totals[name]
        assert sum(hour[name] for hour in found["per_hour"]) == totals[name]
        assert found["elsewhere"][name] == 0
    labelled = metrics(client)
    for category in CATEGORIES:
        samples = labelled["headstart_tokens_total"]
        assert sum(value for labels, value in samples.items() if ("category", category) in labels) == ours[category]


def test_the_shape_is_whole_before_anything_was_counted(client: Client) -> None:
    found = stats(client)
    assert found["totals"]["hit_rate"] is None
    assert found["totals"]["ask_cost_usd"] == 0
    assert found["totals"]["times"]["first_text"]["warm"] == {
        **{"count": 0, "p50_ms": None, "p90_ms": None, "p99_ms": None}
    }
    assert (len(found["per_hour"]), len(found["per_day"]), found["per_context"]) == (24, 30, [])
    assert found["per_day"][-1]["day"] == found["as_of"][:10]
    assert found["per_hour"][-1]["hour"][:13] == found["as_of"][:13]
    assert set(found["upstream"]) == {"kind", "label"}
    assert client.http.get("/metrics").status_code == 200
    assert client.http.get("/dashboard").status_code == 200


def test_hits_misses_and_their_reasons_are_counted(client: Client, upstream: Recorder) -> None:
    client.add_context()
    session = client.start()["session"]
    client.warm(session, wait=True)
    client.ask(session, "First?")
    client.warm(session, wait=True)

    async def misses(exchange: Exchange) -> None:
        await exchange.start_stream()
        for event in (message_start(counted=usage(read=0, written=5000)), *text_events("Text"), *END):
            await exchange.event(event)
        await exchange.end_stream()

    upstream.script.append(misses)
    client.ask(session, "Second?")
    totals = stats(client)["totals"]
    assert (totals["turns"], totals["turns_hit"], totals["turns_miss"], totals["hit_rate"]) == (2, 1, 1, 0.5)
    assert totals["misses"] == {"evicted_upstream": 1}
    assert totals["calls"] == {"ask": {"ok": 2}, "warm": {"ok": 2}}
    assert (totals["warms_used"], totals["warms_unused"]) == (1, 1)
    assert totals["times"]["first_text"]["warm"]["count"] == 1
    assert totals["times"]["first_text"]["cold"]["count"] == 1
    samples = metrics(client)
    assert samples["headstart_turns_total"] == {
        (("cache", "hit"), ("reason", "")): 1,
        (("cache", "miss"), ("reason", "evicted_upstream")): 1,
    }
    assert samples["headstart_ttft_seconds_count"][(("start", "warm"),)] == 1
    assert samples["headstart_ttft_seconds_bucket"][(("le", "+Inf"), ("start", "cold"))] == 1
    assert sum(samples["headstart_upstream_calls_total"].values()) == 4


def test_first_thinking_is_kept_apart_from_first_text(client: Client, upstream: Recorder) -> None:
    async def thinks(exchange: Exchange) -> None:
        await exchange.start_stream()
        block = {"type": "thinking", "thinking": "", "signature": ""}
        thinking = [
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}},
            {"type": "content_block_stop", "index": 0},
        ]
        for event in (message_start(), *thinking):
            await exchange.event(event)
        if await exchange.pause():
            for event in (*text_events("Text", index=1), *END):
                await exchange.event(event)
            await exchange.end_stream()

    client.add_context()
    upstream.script.append(thinks)
    with client.asking(client.start()["session"], "Well?") as stream:
        for event in stream:
            if event.name == "content_block_stop":
                upstream.release()
    times = stats(client)["totals"]["times"]
    thought, text = times["first_thinking"]["warm"], times["first_text"]["warm"]
    assert thought["count"] == text["count"] == 1
    assert thought["p50_ms"] <= text["p50_ms"] * 1.05


def test_what_cannot_be_cached_does_not_make_cold_look_fast(client: Client, upstream: Recorder) -> None:
    async def uncacheable(exchange: Exchange) -> None:
        await exchange.start_stream()
        for event in (message_start(counted=usage(read=0, written=0)), *text_events("Text"), *END):
            await exchange.event(event)
        await exchange.end_stream()

    client.add_context()
    upstream.script.append(uncacheable)
    client.ask(client.start()["session"], "How?")
    found = stats(client)["totals"]
    assert found["turns_uncacheable"] == 1
    assert {start: times["count"] for start, times in found["times"]["first_text"].items()} == {
        **{"cold": 0, "joined": 0, "warm": 0, "uncacheable": 1}
    }


def test_skips_are_counted_by_reason_and_context(redis: RedisProcess, upstream: Recorder) -> None:
    with serving(redis.url, upstream.url, warm="off") as url, httpx2.Client(base_url=url, timeout=30) as http:
        client = Client(http)
        context = client.add_context()["context"]
        session = client.start()["session"]
        for _ in range(3):
            client.warm(session, wait=True)
        found = stats(client)
        assert found["totals"]["skips"] == {"disabled": 3}
        assert [one["skips"] for one in found["per_context"] if one["context"] == context] == [{"disabled": 3}]
        assert metrics(client)["headstart_skips_total"] == {(("reason", "disabled"),): 3}


def test_others_see_that_a_context_was_asked_and_never_its_name(client: Client, server: str) -> None:
    client.add_context("Secret plans")
    client.ask(client.start("Secret plans")["session"], "How?")
    mine = stats(client)
    assert [context["name"] for context in mine["per_context"]] == ["Secret plans"]
    assert mine["elsewhere"]["turns"] == 0
    with httpx2.Client(base_url=server, timeout=30) as http:
        theirs = http.get("/api/stats")
        page = http.get("/dashboard")
    assert theirs.json()["per_context"] == []
    assert theirs.json()["elsewhere"]["turns"] == theirs.json()["totals"]["turns"] == 1
    for told in (theirs.text, page.text):
        assert "Secret" not in told
        assert mine["per_context"][0]["context"] not in told


def test_no_id_and_no_unknown_model_becomes_a_label(client: Client) -> None:
    client.add_context()
    session = client.start(model="a-model-that-anyone-can-name")["session"]
    client.ask(session, "How?")
    labels = {label for samples in metrics(client).values() for names in samples for label in names}
    assert ("model", "other") in labels
    assert {name for name, _ in labels} <= {
        *(
            "kind",
            "outcome",
            "model",
            "category",
            "cache",
            "reason",
            "start",
            "le",
            "window",
            "version",
            "upstream",
            "rating",
        )
    }
    assert not any(word in value for _, value in labels for word in ("anyone", session, "c_", "t_"))


def test_unknown_prices_show_tokens_and_no_dollars_and_are_counted(client: Client) -> None:
    client.add_context()
    session = client.start(model="nobody-knows-it")["session"]
    client.warm(session, wait=True)
    client.ask(session, "How?")
    totals = stats(client)["totals"]
    assert (totals["ask_cost_usd"], totals["warm_cost_usd"], totals["saved_usd"]) == (None, None, None)
    assert (totals["unpriced_calls"], totals["ask_tokens"], totals["warm_tokens"]) == (2, 5016, 5007)
    assert "headstart_saved_usd" not in client.http.get("/metrics").text
    page = client.http.get("/dashboard").text
    assert "2 calls of models without known prices" in page
    assert "5 k tokens" in page and "$" not in page.split("Warming</h3>")[1].split("This hour")[0]


def test_prices_of_the_users_own_are_what_calls_cost(redis: RedisProcess, upstream: Recorder, tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    columns = {"input": 1000, "write_5m": 2000, "write_1h": 3000, "read": 100, "output": 5000}
    file.write_text(json.dumps({"my-own": columns}))
    with serving(redis.url, upstream.url, prices=file) as url, httpx2.Client(base_url=url, timeout=30) as http:
        client = Client(http)
        client.add_context()
        session = client.start(model="my-own")["session"]
        client.warm(session, wait=True)
        client.ask(session, "How?")
        totals = stats(client)["totals"]
        # 5,000 × 2000 + 7 × 1000, and 5,000 × 100 + 7 × 1000 + 9 × 5000, per million
        assert totals["warm_cost_usd"] == pytest.approx(10.007)
        assert totals["ask_cost_usd"] == pytest.approx(0.552)
        assert totals["saved_usd"] == pytest.approx(5000 * 900 / 1e6 - 10.007)
        assert {labels[1] for labels in metrics(client)["headstart_cost_usd_total"]} == {("model", "my-own")}


def test_what_the_budget_has_left_is_told(redis: RedisProcess, upstream: Recorder) -> None:
    settings = {"limits": "on", "warm_usd_per_hour": 1.5, "warm_usd_per_day": 2.5}
    with serving(redis.url, upstream.url, **settings) as url, httpx2.Client(base_url=url, timeout=30) as http:
        client = Client(http)
        client.add_context()
        client.warm(client.start()["session"], wait=True)
        found = stats(client)
        spent = found["totals"]["warm_cost_usd"]
        assert spent > 0
        assert found["budget"]["hour"] == {"spent_usd": pytest.approx(spent, abs=1e-6), "limit_usd": 1.5}
        assert found["budget"]["day"]["limit_usd"] == 2.5
        assert metrics(client)["headstart_speculation_budget_usd"][(("window", "hour"),)] == 1.5
