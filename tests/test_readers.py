"""Readers that read slowly, or not at all: they hold up nobody, and are not kept for ever."""

import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest

from app import draining, logs
from app.web import streams
from tests.client import Client
from tests.recorder import END, Exchange, Recorder, message_start, text_events
from tests.running import RedisProcess, serving, until

# More than the kernel keeps for a connection, on both of its ends.
PIECES, PIECE = 200, "x" * 40_000


async def at_length(exchange: Exchange) -> None:
    """Answer with 8 MB, once it is released."""
    start, delta, stop = text_events(PIECE, pieces=1)
    await exchange.start_stream()
    for data in (message_start(), start):
        await exchange.event(data)
    if await exchange.pause():
        for data in (*([delta] * PIECES), stop, *END):
            await exchange.event(data)
        await exchange.end_stream()


def test_a_client_that_stops_reading_holds_up_nobody_and_is_let_go(
    redis: RedisProcess, upstream: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(streams, "PING_S", 0.2)
    monkeypatch.setattr(streams, "TAKES_NOTHING_S", 0.5)
    monkeypatch.setattr(draining, "TAKES_NOTHING_S", 1)
    upstream.script.append(at_length)
    with ExitStack() as stack:
        url = stack.enter_context(serving(redis.url, upstream.url))
        client = Client(stack.enter_context(httpx2.Client(base_url=url, timeout=30)))
        client.add_context()
        session = client.start()["session"]
        stream = stack.enter_context(client.asking(session, "At length?"))
        turn = next(stream).data["turn"]
        frozen = stack.enter_context(socket.socket())
        frozen.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        frozen.connect(("127.0.0.1", urlsplit(url).port or 0))
        cookie = "; ".join(f"{name}={value}" for name, value in client.http.cookies.items())
        frozen.sendall(f"GET /api/turns/{turn}/events HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n\r\n".encode())
        assert frozen.recv(1000).startswith(b"HTTP/1.1 200")

        upstream.release()
        assert list(stream)[-1].name == "verdict"
        assert client.session(session)["turns"][0]["answer"] == PIECE * PIECES
        # What the kernel kept for it is all that it gets.
        until(
            lambda: "headstart_process_readers 0.0" in client.http.get("/metrics").text,
            "the frozen client to be let go",
        )
        address = frozen.getsockname()
        ours = psutil.Process()
        until(lambda: address not in [one.raddr for one in ours.net_connections("tcp4")], "its connection too")
        frozen.settimeout(20)
        rest = bytearray()
        while chunk := _received(frozen):
            rest += chunk
        assert len(rest) < PIECES * len(PIECE)
        assert b"event: verdict" not in rest
        # Whoever comes back gets the whole.
        assert client.tail(turn)[-1].name == "verdict"
    assert any("took nothing" in said for said in caplog.messages)
    assert not [one for one in caplog.records if one.levelname == "ERROR" and logs.tells_of_trouble(one)]


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 20)
    except ConnectionError:
        return b""
