"""A bare upstream that stamps: every delta carries the monotonic time at which it was written, so that a reader on the same
machine sees how late it comes. It knows nothing of caches and looks at no more of a request than its end: a ruler, not a
sandbox.

A question says what is wanted of its answer, as `Pattern` writes it; a request that asks for no stream is answered at once.
"""

import asyncio
import re
import socket
import sys
import time
from dataclasses import dataclass
from typing import cast

import uvloop

STAMP = re.compile(rb"<(\d{9,20})>")
_PATTERN = re.compile(rb"ttft=([\d.]+) every=([\d.]+) count=(\d+)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
# Of a request's end: a question and whatever fields a client writes after it.
_LOOKED_AT = 2_000

_USAGE = b'"input_tokens":10,"cache_read_input_tokens":%d,"cache_creation_input_tokens":%d,"output_tokens":1'
_MESSAGE = b'"id":"msg_ruler","type":"message","role":"assistant","model":"ruler","content":[],"stop_sequence":null'
_WARMED = b'{%b,"stop_reason":"max_tokens","usage":{%b}}' % (_MESSAGE, _USAGE % (0, 5000))
_START = (
    b'event: message_start\ndata: {"type":"message_start","message":{%b,"stop_reason":null,"usage":{%b}}}\n\n'
    b"event: content_block_start\n"
    b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
) % (_MESSAGE, _USAGE % (5000, 0))
_DELTA = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"<%d>"}}\n\n'
)
_END = (
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"output_tokens":%d}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Pattern:
    """What an answer is like: seconds to its first delta, seconds between two, and how many there are."""

    ttft_s: float
    every_s: float
    count: int

    @property
    def question(self) -> str:
        """The question that is answered so."""
        return f"ttft={self.ttft_s:.3f} every={self.every_s:.4f} count={self.count}"

    @classmethod
    def asked(cls, end: bytes) -> "Pattern":
        """The pattern that a request's last bytes ask for: that of its last question."""
        ttft, every, count = _PATTERN.findall(end)[-1]
        return cls(float(ttft), float(every), int(count))


class Answering(asyncio.Protocol):
    """One connection: reads a request, answers it, reads the next."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport
        self._received = bytearray()
        self._wanted: int | None = None
        self._connected = self._closes = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._connected = cast(asyncio.Transport, transport), True

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # however it ended
        self._connected = False

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._wanted is None:
            head = self._received.find(b"\r\n\r\n")
            if head < 0:
                return
            length = _LENGTH.search(self._received, 0, head)
            self._closes = self._received.find(b"\r\nconnection: close", 0, head) >= 0
            self._wanted = head + 4 + (int(length[1]) if length else 0)
        if len(self._received) >= self._wanted:
            end = bytes(self._received[max(0, self._wanted - _LOOKED_AT) : self._wanted])
            del self._received[: self._wanted]
            self._wanted = None
            self._answer(end)

    def _answer(self, end: bytes) -> None:
        if b'"stream":true' not in end and b'"stream": true' not in end:
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ")
            self._transport.write(b"%d\r\n\r\n%b" % (len(_WARMED), _WARMED))
            self._answered()
            return
        pattern = Pattern.asked(end)
        self._loop.call_later(pattern.ttft_s, self._start, pattern)

    def _start(self, pattern: Pattern) -> None:
        self._transport.write(_STREAM_HEAD + _chunk(_START))
        self._delta(pattern, self._loop.time(), 0)

    def _delta(self, pattern: Pattern, began: float, sent: int) -> None:
        if not self._connected:
            return
        if sent == pattern.count:
            self._transport.write(_chunk(_END % sent) + b"0\r\n\r\n")
            self._answered()
            return
        self._transport.write(_chunk(_DELTA % time.monotonic_ns()))
        self._loop.call_at(began + (sent + 1) * pattern.every_s, self._delta, pattern, began, sent + 1)

    def _answered(self) -> None:
        if self._closes:
            self._transport.close()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _serve(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answering(loop), sock=socket.socket(fileno=descriptor), backlog=4096)
    await server.serve_forever()


def main() -> None:
    """Answer on the listening socket whose descriptor is the first argument, until killed."""
    uvloop.run(_serve(int(sys.argv[1])))
