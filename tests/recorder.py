"""An upstream that records: a bare Messages API on a socket, which keeps every body byte for byte and does as it is told.

It shares no code with the product or the sandbox and knows nothing of caching, except that it reports what a script
gives it. It runs in a thread of its own, so that a test can look at it while servers of any kind talk to it.
"""

import asyncio
import json
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Respond = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """One request, and the means to answer it."""

    path: str
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    released: asyncio.Event
    number: int
    hung_up: threading.Event = field(default_factory=threading.Event)

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed

    @property
    def is_warm(self) -> bool:
        return not self.json.get("stream")

    async def send(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
        head += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.writer.write(head.encode() + b"\r\n" + body)
        await self.writer.drain()

    async def send_json(self, status: int, value: Any, **headers: str) -> None:
        await self.send(status, json.dumps(value).encode(), **headers)

    async def start_stream(self, kind: str = "text/event-stream", coding: str = "identity") -> None:
        headers = {"content-type": kind, "content-encoding": coding, "transfer-encoding": "chunked"}
        if coding == "identity":
            del headers["content-encoding"]
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.writer.write(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode())
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self.writer.drain()

    async def event(self, data: dict[str, Any]) -> None:
        await self.chunk(sse(data))

    async def end_stream(self) -> None:
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    def cut(self) -> None:
        """Break the connection off, as a crash would."""
        self.writer.transport.abort()

    async def pause(self) -> bool:
        """Wait for `Recorder.release`. False when the client hung up meanwhile, which `hung_up` then says."""
        released = asyncio.ensure_future(self.released.wait())
        closed = asyncio.ensure_future(self.reader.read(1))
        try:
            await asyncio.wait({released, closed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hung_up = closed.done()
            released.cancel()
            closed.cancel()
            # Only when it has let go of the reader may the next request be read.
            await asyncio.wait({released, closed})
        if hung_up:
            self.hung_up.set()
            return False
        return True


def sse(data: dict[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()


def usage(read: int = 0, written: int = 5000, uncached: int = 7, output: int = 0) -> dict[str, Any]:
    return {
        "input_tokens": uncached,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
    }


def message_start(number: int = 1, counted: dict[str, Any] | None = None) -> dict[str, Any]:
    message: dict[str, Any] = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
    }
    message |= {"stop_reason": None, "stop_sequence": None, "usage": counted or usage(read=5000, written=0)}
    return {"type": "message_start", "message": message}


def text_events(text: str, index: int = 0, pieces: int = 3) -> list[dict[str, Any]]:
    step = max(1, len(text) // pieces)
    cut = [text[start : start + step] for start in range(0, len(text), step)]
    return [
        {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": piece}}
            for piece in cut
        ),
        {"type": "content_block_stop", "index": index},
    ]


END: list[dict[str, Any]] = [
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 9},
    },
    {"type": "message_stop"},
]


def whole_answer(text: str, number: int = 1) -> list[dict[str, Any]]:
    return [message_start(number), *text_events(text), *END]


async def answer(exchange: Exchange, text: str = "An answer — with ünïcode 🎉.") -> None:
    """What a healthy upstream does: usage for a warm, a short stream for a question."""
    if exchange.is_warm:
        warmed = {"id": f"msg_{exchange.number}", "type": "message", "role": "assistant", "model": "m"}
        await exchange.send_json(200, warmed | {"content": [], "stop_reason": "max_tokens", "usage": usage()})
        return
    await exchange.start_stream()
    for data in whole_answer(text, exchange.number):
        await exchange.event(data)
    await exchange.end_stream()


def refuse(status: int, kind: str, message: str = "no", **headers: str) -> Respond:
    """Answer with an error of the API."""

    async def respond(exchange: Exchange) -> None:
        await exchange.send_json(status, {"type": "error", "error": {"type": kind, "message": message}}, **headers)

    return respond


async def held(exchange: Exchange) -> None:
    """Answer well, but only after `Recorder.release`."""
    if await exchange.pause():
        await answer(exchange)


def halfway(text: str = "The first half, and the second.") -> Respond:
    """Answer half of `text`, the rest after `Recorder.release`. Warms are answered at once."""

    async def respond(exchange: Exchange) -> None:
        if exchange.is_warm:
            await answer(exchange)
            return
        start, *pieces = text_events(text, pieces=2)
        await exchange.start_stream()
        for data in (message_start(exchange.number), start, pieces[0]):
            await exchange.event(data)
        if await exchange.pause():
            for data in (*pieces[1:], *END):
                await exchange.event(data)
            await exchange.end_stream()

    return respond


@dataclass
class Recorder:
    """The upstream's memory. `script` answers the next requests, one each; `default` the rest."""

    script: deque[Respond] = field(default_factory=deque)
    default: Respond = answer
    exchanges: list[Exchange] = field(default_factory=list)
    port: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    connections: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop | None = None
    _arrived: threading.Condition = field(default_factory=threading.Condition)
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def warms(self) -> list[Exchange]:
        return [exchange for exchange in self.exchanges if exchange.is_warm]

    @property
    def asks(self) -> list[Exchange]:
        return [exchange for exchange in self.exchanges if not exchange.is_warm]

    def wait_for(self, count: int, within_s: float = 10) -> None:
        """Until `count` requests have arrived in all."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.exchanges) >= count, within_s), f"{len(self.exchanges)} came"

    def release(self) -> None:
        """Let what is `held` go on, from here on."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._released.set)

    def hold(self) -> None:
        """Have what is `held` wait again, until the next release."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._released.clear)

    def hang_up(self) -> None:
        """Close every connection, as servers and load balancers do with those that are idle."""
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result(10)

    async def _hang_up(self) -> None:
        for writer in list(self.open):
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1")
                lines = head.split("\r\n")
                headers = {
                    name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                path = lines[0].split(" ")[1]
                exchange = Exchange(path, headers, body, reader, writer, self._released, len(self.exchanges) + 1)
                with self._arrived:
                    self.exchanges.append(exchange)
                    self.in_flight += 1
                    self.most_in_flight = max(self.most_in_flight, self.in_flight)
                    self._arrived.notify_all()
                try:
                    await (self.script.popleft() if self.script else self.default)(exchange)
                finally:
                    self.in_flight -= 1
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open.discard(writer)
            writer.transport.abort()

    async def _serve(self, ready: threading.Event, done: asyncio.Event) -> None:
        server = await asyncio.start_server(self.handle, "127.0.0.1", 0, limit=1 << 26, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await done.wait()
        server.close()
        handling = asyncio.all_tasks() - {asyncio.current_task()}
        for task in handling:
            task.cancel()
        # Each lets go of its connection on the way out; what is left open is complained of in some later test.
        await asyncio.gather(*handling, return_exceptions=True)
        await server.wait_closed()


@contextmanager
def recording() -> Iterator[Recorder]:
    """A recorder that serves while the block runs."""
    recorder, ready = Recorder(), threading.Event()
    loop = recorder._loop = asyncio.new_event_loop()
    done = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(recorder._serve(ready, done)))
    thread.start()
    assert ready.wait(30)
    try:
        yield recorder
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(30)
        loop.close()
