"""The control API: a clock to turn, faults to order, entries to evict, a log to read. Off unless enabled."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import pytest

from app.sandbox.options import Options
from app.sandbox.testing import SandboxServer, sandbox_server
from tests.sandbox.conftest import Send
from tests.sandbox.prompts import MARK, text, user

ASK: dict[str, Any] = {"model": "claude-sonnet-4-6", "max_tokens": 40, "messages": [user("hi")]}
STREAM = {**ASK, "stream": True}


def test_it_is_off_unless_enabled() -> None:
    with sandbox_server(Options(control=False)) as server:
        for path in ("clock", "faults", "cache", "log"):
            assert server.http.get(f"/_sandbox/{path}").status_code == 404
        assert server.post(ASK).status_code == 200


def test_the_clock_is_advanced_and_frozen_over_http(sandbox: SandboxServer, send: Send) -> None:
    def turn(order: dict[str, Any]) -> dict[str, Any]:
        return dict(sandbox.http.post("/_sandbox/clock", json=order).json())

    before = turn({})["now"]
    assert turn({"mode": "frozen", "advance": 299})["now"] == before + 299
    assert sandbox.http.get("/_sandbox/clock").json() == {"now": before + 299, "mode": "frozen", "waiting": 0}
    turn({"mode": "leap"})
    send(messages=[user(text("a", mark=MARK))])
    turn({"advance": 301})
    assert send(messages=[user(text("a", mark=MARK))])[0] == 0


@pytest.mark.parametrize(
    "order", [{"advance": -1}, {"advance": "5"}, {"mode": "fast"}, {"other": 1}, [], {"advance": True}]
)
def test_wrong_orders_to_the_clock_are_refused_with_the_field(sandbox: SandboxServer, order: Any) -> None:
    answer = sandbox.http.post("/_sandbox/clock", json=order)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize("fault", [{"status": 200}, {"then": "explode"}, {"delay_s": -1}, {"foo": 1}, {"times": 0}])
def test_wrong_faults_are_refused(sandbox: SandboxServer, fault: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(fault))):
        sandbox.fault(**fault)


@pytest.mark.parametrize(
    ("status", "type", "error"),
    [
        (400, "invalid_request_error", anthropic.BadRequestError),
        (401, "authentication_error", anthropic.AuthenticationError),
        (402, "billing_error", anthropic.APIStatusError),
        (403, "permission_error", anthropic.PermissionDeniedError),
        (404, "not_found_error", anthropic.NotFoundError),
        (409, "conflict_error", anthropic.ConflictError),
        (413, "request_too_large", anthropic.APIStatusError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (500, "api_error", anthropic.InternalServerError),
        (504, "timeout_error", anthropic.InternalServerError),
        (529, "overloaded_error", anthropic.InternalServerError),
    ],
)
def test_a_status_answers_with_the_documented_error_type(
    sandbox: SandboxServer, status: int, type: str, error: Any
) -> None:
    sandbox.fault(status=status)
    with pytest.raises(error) as caught:
        sandbox.client().messages.create(**ASK)
    assert caught.value.status_code == status
    assert caught.value.response.json()["error"]["type"] == type
    assert sandbox.post(ASK).status_code == 200, "a fault applies once"


def test_a_rate_limit_carries_retry_after_and_a_spend_cap_does_not(sandbox: SandboxServer) -> None:
    sandbox.fault(status=429)
    assert sandbox.post(ASK).headers["retry-after"] == "1"
    sandbox.fault(status=429, headers={}, details={"error_code": "enforced_spend_limit_reached"})
    capped = sandbox.post(ASK)
    assert "retry-after" not in capped.headers
    assert capped.json()["error"]["details"]["error_code"] == "enforced_spend_limit_reached"


def test_the_sdk_retries_what_can_be_retried(sandbox: SandboxServer) -> None:
    sandbox.fault(status=529, headers={"retry-after-ms": "1"})
    sandbox.fault(status=429, headers={"retry-after-ms": "1"})
    message = sandbox.client(max_retries=2).messages.create(**ASK)
    assert message.stop_reason == "max_tokens"
    assert [record["status"] for record in sandbox.log()] == [529, 429, 200]
    assert [record["usage"] is None for record in sandbox.log()] == [True, True, False]


def test_a_failed_request_writes_no_cache(sandbox: SandboxServer) -> None:
    sandbox.fault(status=500)
    body = {**ASK, "messages": [user(text("a", mark=MARK))]}
    assert sandbox.post(body).status_code == 500
    assert sandbox.post(body).json()["usage"]["cache_read_input_tokens"] == 0
    assert sandbox.post(body).json()["usage"]["cache_read_input_tokens"] == 1100


def test_a_delay_holds_back_the_first_byte_on_the_sandboxs_clock(sandbox: SandboxServer) -> None:
    sandbox.fault(delay_s=30)
    before = sandbox.clock.now()
    assert sandbox.post(ASK).status_code == 200
    assert sandbox.clock.now() >= before + 30


def test_overloaded_in_mid_stream_comes_as_an_error_event(sandbox: SandboxServer) -> None:
    sandbox.fault(after_events=3, then="error")
    events = [line for line in sandbox.post(STREAM).text.splitlines() if line]
    assert events[-2] == "event: error"
    assert json.loads(events[-1].removeprefix("data: ")) == {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"},
    }
    assert sum(line.startswith("event: ") for line in events) == 4


def test_a_disconnect_cuts_the_stream_after_n_events(sandbox: SandboxServer) -> None:
    sandbox.fault(after_events=4, then="disconnect")
    got = b""
    headers = {"x-api-key": sandbox.key, "anthropic-version": "2023-06-01"}
    with (
        pytest.raises(httpx2.RemoteProtocolError),
        sandbox.http.stream("POST", "/v1/messages", json=STREAM, headers=headers) as answer,
    ):
        for chunk in answer.iter_raw():
            got += chunk
    assert got.count(b"event: ") == 4
    assert sandbox.log()[-1]["outcome"] == "disconnected"


def test_a_stall_sends_nothing_more_and_keeps_the_connection(start: Callable[..., SandboxServer]) -> None:
    server = start()
    server.fault(after_events=2, then="stall")
    headers = {"x-api-key": server.key, "anthropic-version": "2023-06-01"}
    got = b""
    with (
        httpx2.Client(base_url=server.url, timeout=0.2) as impatient,
        pytest.raises(httpx2.ReadTimeout),
        impatient.stream("POST", "/v1/messages", json=STREAM, headers=headers) as answer,
    ):
        for chunk in answer.iter_raw():
            got += chunk
    assert got.count(b"event: ") == 2


def test_a_malformed_event_is_put_between_good_ones(sandbox: SandboxServer) -> None:
    sandbox.fault(after_events=3, then="malformed")
    data = [line[6:] for line in sandbox.post(STREAM).text.splitlines() if line.startswith("data: ")]
    with pytest.raises(json.JSONDecodeError):
        json.loads(data[3])
    assert json.loads(data[-1])["type"] == "message_stop"


def test_a_slow_drip_cuts_events_into_pieces(sandbox: SandboxServer) -> None:
    sandbox.fault(drip_bytes=7, drip_s=0.5)
    before = sandbox.clock.now()
    dripped = sandbox.post(STREAM).text
    assert dripped.endswith('{"type":"message_stop"}\n\n')
    assert sandbox.clock.now() > before + 100


def test_a_wrong_content_type(sandbox: SandboxServer) -> None:
    sandbox.fault(content_type="text/html")
    assert sandbox.post(STREAM).headers["content-type"] == "text/html"


def test_faults_choose_their_requests(sandbox: SandboxServer) -> None:
    sandbox.fault(status=500, only="stream")
    sandbox.fault(status=501, only="warm")
    sandbox.fault(status=503, only="whole", skip=1, times=2)
    statuses = [sandbox.post(body).status_code for body in (ASK, {**ASK, "max_tokens": 0}, STREAM, ASK, ASK, ASK)]
    assert statuses == [200, 501, 500, 503, 503, 200]
    sandbox.fault(status=500, path="/v1/messages/count_tokens")
    assert sandbox.post(ASK).status_code == 200
    counting = {"model": "claude-sonnet-4-6", "messages": [user("hi")]}
    assert sandbox.post(counting, "/v1/messages/count_tokens").status_code == 500
    assert sandbox.http.get("/_sandbox/faults").json() == {"waiting": []}


def test_the_log_tells_body_prefixes_usage_and_timing(sandbox: SandboxServer) -> None:
    raw = json.dumps({**ASK, "messages": [user(text("a", mark=MARK), "question")]}).encode()
    answer = sandbox.post(raw)
    (record,) = sandbox.log()
    assert record["body_sha256"] == hashlib.sha256(raw).hexdigest()
    assert record["request_id"] == answer.headers["request-id"]
    assert record["message_id"] == answer.json()["id"]
    assert (record["status"], record["outcome"], record["usage"]["written_5m"]) == (200, "complete", 1100)
    (prefix,) = record["prefixes"]
    assert (prefix["place"], prefix["ttl"], prefix["tokens"]) == ("messages.0.content.0", "5m", 1100)
    assert record["at"] < record["begins_at"] < record["ended_at"]
    sandbox.post({**ASK, "max_tokens": -1})
    assert (sandbox.log()[-1]["outcome"], sandbox.log()[-1]["status"]) == ("refused", 400)


def test_an_entry_is_evicted_by_the_name_that_the_log_gives_it(sandbox: SandboxServer, send: Send) -> None:
    both = [user(text("a", mark=MARK), text("b", 200, MARK))]
    send(messages=both)
    longer = sandbox.log()[-1]["prefixes"][1]["prefix"]
    cached = sandbox.http.get("/_sandbox/cache").json()
    assert longer in [entry["prefix"] for entry in cached["entries"]]
    assert 0 < cached["used_bytes"] <= cached["memory_bytes"]
    assert sandbox.evict(longer) == 1
    assert sandbox.evict(longer) == 0
    assert send(messages=both) == (1100, 200, 0)
    assert sandbox.evict() >= 2
    assert send(messages=both) == (0, 1300, 0)
