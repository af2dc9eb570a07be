"""What it costs to carry a turn: nothing reads, parses or writes a prefix, and the ruler for the rest measures right."""

import asyncio
import gc
import gzip
import json
from contextlib import suppress
from pathlib import Path

import aiohttp
import httpx2
import pytest
import redis as redis_py

from app.serving import COLLECT_EVERY, collect_seldom
from app.store import keys
from app.upstream.client import Upstream
from app.upstream.events import Event
from bench.callers import at_rate
from bench.readers import Request, percentile, read_all
from bench.rig import baseline, stamping
from bench.stamping import Pattern
from tests.client import Client
from tests.recorder import Exchange, Recorder, sse, usage, whole_answer
from tests.running import RedisProcess
from tests.test_flow import nothing

# Neither JSON nor UTF-8 nor a text: whoever parses, decodes or renders it again fails, or changes it.
UNREADABLE = b'\xff\xfe{"\\u\x00\x80' * 400_000
QUESTION = "And what does that mean?"


async def without_reading(exchange: Exchange) -> None:
    """Answer by the end of the request alone."""
    if b'"stream":true' not in exchange.body[-200:]:
        warmed = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
        await exchange.send_json(200, warmed | {"stop_reason": "max_tokens", "usage": usage()})
        return
    await exchange.start_stream()
    await exchange.chunk(b"".join(sse(data) for data in whole_answer("An answer.")))
    await exchange.end_stream()


# aiohttp says so of every body beyond a megabyte, which is written in one go all the same.
@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
def test_a_prefix_that_cannot_be_read_is_warmed_asked_and_asked_again(
    client: Client, redis: RedisProcess, upstream: Recorder
) -> None:
    upstream.default = without_reading
    context = client.add_context(model="ruler")["context"]
    with redis_py.Redis(unix_socket_path=str(redis.socket)) as stored:
        stored.hset(keys.fragments(context), "documents", UNREADABLE)
    session = client.start()["session"]
    assert client.warm(session, wait=True)["state"] == "warm"
    for _ in range(2):
        assert client.ask(session, QUESTION)[-1].name == "verdict"
    opening = b'{"model":"ruler","messages":[{"role":"user","content":['
    begun = opening + UNREADABLE + b',"cache_control":{"type":"ephemeral"}}'
    warm, first, second = (exchange.body for exchange in upstream.exchanges)
    assert [body.startswith(begun) for body in (warm, first, second)] == [True] * 3
    assert warm[len(begun) :] == b']}],"max_tokens":0}'
    asked = json.loads(b"[{}" + first[len(begun) :].partition(b"]}]")[0] + b"]")
    assert asked[-1] == {"type": "text", "text": QUESTION}
    assert second[len(begun) :].count(QUESTION.encode()) == 2


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_stream_is_read_straight_from_aiohttp_unless_it_is_to_be_decoded(
    upstream: Recorder, coding: str
) -> None:
    async def coded(exchange: Exchange) -> None:
        body = b"".join(sse(data) for data in whole_answer("An answer."))
        await exchange.start_stream(coding=coding)
        await exchange.chunk(gzip.compress(body) if coding == "gzip" else body)
        await exchange.end_stream()

    upstream.default = coded
    asked = Upstream(upstream.url, "sk-test-key", timeout_s=10, max_retries=0)
    names: list[str] = []

    def take(event: Event) -> None:
        names.append(event.name)

    async with asked.ask(b'{"stream":true}', stall_s=10, first=nothing()) as flow:
        assert isinstance(vars(flow)["_content"], aiohttp.StreamReader) is (coding == "identity")
        await flow.into(take)
    assert (names[0], names[-1]) == ("message_start", "message_stop")
    await asked.close()


def test_what_is_there_before_the_first_request_is_not_looked_through_for_garbage() -> None:
    before = gc.get_threshold()
    kept: list[object] = [[] for _ in range(10_000)]
    try:
        collect_seldom()
        assert gc.get_freeze_count() > len(kept)
        assert not any(one is kept for one in gc.get_objects())
        assert gc.get_threshold()[0] == COLLECT_EVERY
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


async def test_the_ruler_stamps_what_a_question_asks_for_and_misses_no_delta(tmp_path: Path) -> None:
    pattern = Pattern(0.01, 0.002, 25)
    body = json.dumps({"stream": True, "messages": [{"role": "user", "content": pattern.question}]}).encode()
    with stamping(tmp_path) as upstream:
        requests = [Request(f"{upstream.url}/v1/messages", body)] * 20
        seen = await read_all(requests, pattern.count, cpu=upstream.cpu_s)
        short = await read_all(requests[:1], pattern.count + 1)
        nobody = await read_all([Request(f"{upstream.url}/v1/messages", b"{}")], pattern.count)
    assert (seen.failed, seen.deltas, short.failed, nobody.failed) == (0, 500, 1, 1)
    assert short.said == "200 answer, 25 of 26 deltas"
    assert 10 <= seen.ttft_ms < 5_000
    assert all(0 < lag < 5_000 for lag in seen.steady_lags_ms())
    seen.readers[0].stamps[3] = seen.readers[0].stamps[2]
    assert seen.failed == 1, "one that comes twice is a failure, too"


async def test_requests_are_sent_at_their_rate_however_long_the_answers_take() -> None:
    """The second over a connection of its own, as the first has no answer; the third over one that had all of its own."""
    asked: list[bytes] = []
    overtaken = asyncio.Event()
    closed = asyncio.Semaphore(0)
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with suppress(asyncio.IncompleteReadError):
            for answer in (b"202 Accepted", b"429 Too Many"):
                asked.append((await reader.readuntil(b"{}")).split()[1])
                if asked[-1] == b"/first":
                    await overtaken.wait()
                overtaken.set()
                writer.write(b"HTTP/1.1 %b\r\nX-Content-Length: 1\r\ncontent-length: 4\r\n\r\n{" % answer)
                await asyncio.sleep(0.02)
                writer.write(b"  }")
        writer.close()
        await writer.wait_closed()
        closed.release()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        took, failed = await at_rate(5, [Request(f"{url}/{name}", b"{}") for name in ("first", "second", "third")])
        for _ in range(connections):
            await asyncio.wait_for(closed.acquire(), 10)
    assert (asked, connections) == ([b"/first", b"/second", b"/third"], 2)
    assert (len(took), failed) == (3, 1)
    assert max(took) >= 200 and min(took) >= 20


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again() -> None:
    connections = 0

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve_one, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        took, failed = await at_rate(5, [Request(url, b"{}")] * 3)
    assert (len(took), failed, connections) == (3, 0, 3)


async def test_a_connection_that_is_closed_before_its_answer_is_said() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(ExceptionGroup) as said:
            await at_rate(5, [Request(url, b"{}")])
    assert said.group_contains(ConnectionError, match="before the answer")


def test_percentiles() -> None:
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile([*range(100)], 0.99) == 99
    assert percentile([], 0.5) == float("inf")


async def test_the_baseline_is_what_it_says(tmp_path: Path) -> None:
    """It streams the answer's text from the same upstream, one event a delta."""
    pattern = Pattern(0.0, 0.001, 5)
    with stamping(tmp_path) as upstream, baseline(tmp_path, upstream.url, "A text.") as asked:
        async with httpx2.AsyncClient(base_url=asked.url, timeout=30) as http:
            answer = await http.post("/ask", json={"question": pattern.question})
    events = [line for line in answer.text.splitlines() if line.startswith("event: ")]
    assert events == ["event: delta"] * 5 + ["event: done"]
