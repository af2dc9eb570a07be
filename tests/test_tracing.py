"""Traces, as a collector gets them over a socket: everything that one turn took under one trace, and none unless asked."""

import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app import tracing
from tests.client import Client
from tests.recorder import Exchange, Recorder, recording
from tests.running import Process, RedisProcess, free_port, server, until

KEY = "sk-planted-in-no-trace"
QUESTION = "a question that is in no trace"


@dataclass(frozen=True)
class Span:
    name: str
    trace: str
    id: str
    parent: str
    said: dict[str, str] = field(compare=False)


async def accept(exchange: Exchange) -> None:
    await exchange.send(200, b"", "application/x-protobuf")


@pytest.fixture
def collector() -> Iterator[Recorder]:
    with recording() as recorder:
        recorder.default = accept
        yield recorder


def spans(collector: Recorder) -> dict[str, Span]:
    """What the collector has, by id."""
    found: dict[str, Span] = {}
    for exchange in list(collector.exchanges):
        assert exchange.path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(exchange.body).resource_spans:
            assert "headstart" in [one.value.string_value for one in resource.resource.attributes]
            for scope in resource.scope_spans:
                for one in scope.spans:
                    said = {pair.key: pair.value.string_value for pair in one.attributes}
                    span = Span(one.name, one.trace_id.hex(), one.span_id.hex(), one.parent_span_id.hex(), said)
                    found[span.id] = span
    return found


def environment(redis: RedisProcess, upstream: Recorder, **more: str) -> dict[str, str]:
    given = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": upstream.url, "HEADSTART_REDIS_URL": redis.url}
    return given | {"HEADSTART_PORT": str(free_port())} | more


def one_turn(served: Process, questions: int = 1) -> tuple[str, list[str]]:
    """Warm and ask; the session, and its turns."""
    served.wait_ready()
    with httpx2.Client(base_url=served.url, timeout=30) as http:
        client = Client(http)
        client.add_context()
        session = client.start()["session"]
        assert client.warm(session, wait=True)["state"] == "warm"
        return session, [client.ask(session, QUESTION)[0].data["turn"] for _ in range(questions)]


def test_the_warm_and_the_question_that_uses_it_are_one_trace(
    redis: RedisProcess, upstream: Recorder, collector: Recorder, tmp_path: Path
) -> None:
    given = environment(redis, upstream, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="50")
    with server(log=tmp_path / "log", **given) as served:
        session, turns = one_turn(served, questions=2)
        until(lambda: len(spans(collector)) >= 8, "every span")
    by_id = spans(collector)
    first, second = (
        next(span.trace for span in by_id.values() if span.said.get("headstart.turn") == turn) for turn in turns
    )
    assert first != second
    of_first = {span.name: span for span in by_id.values() if span.trace == first and "headstart" in span.name}
    assert set(of_first) == {"headstart.warm", "headstart.ask", "headstart.turn"}
    warm, ask, turn = (of_first[f"headstart.{name}"] for name in ("warm", "ask", "turn"))
    assert turn.parent == ask.id
    calls = [span for span in by_id.values() if span.trace == first and span.name == "anthropic.messages.create"]
    # The SDK's own spans, each under what it was made for.
    assert {call.parent for call in calls} == {warm.id, turn.id}
    assert warm.said["headstart.session"] == turn.said["headstart.session"] == session
    assert (turn.said["headstart.state"], turn.said["headstart.cache"]) == ("done", "hit")
    assert warm.said["headstart.trigger"] == "api"
    told = b"".join(exchange.body for exchange in collector.exchanges)
    assert QUESTION.encode() not in told and KEY.encode() not in told and b"Alpha." not in told
    assert first in (tmp_path / "log").read_text()


def test_nothing_is_traced_unless_the_environment_asks(redis: RedisProcess, upstream: Recorder, tmp_path: Path) -> None:
    with server(log=tmp_path / "log", **environment(redis, upstream)) as served:
        one_turn(served)
    assert not [exchange for exchange in upstream.exchanges if "traceparent" in exchange.headers]
    assert "trace=" not in (tmp_path / "log").read_text()


def test_a_collector_that_is_away_keeps_nobody_waiting(redis: RedisProcess, upstream: Recorder, tmp_path: Path) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    given = environment(redis, upstream, OTEL_EXPORTER_OTLP_ENDPOINT=away)
    with server(log=tmp_path / "log", **given) as served:
        one_turn(served)
        served.popen.terminate()
        assert served.popen.wait(30) in (0, 130)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    with caplog.at_level(logging.WARNING):
        tracing.configure()()
    assert "pip install -r requirements-otel.txt" in caplog.text


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, False),
    ],
)
def test_the_usual_variables_say_whether(variables: dict[str, str], wanted: bool) -> None:
    assert tracing.wanted(variables) is wanted
