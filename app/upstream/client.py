"""Calls to the Messages API: a body's bytes in, usage or raw events out.

Bodies go out as they are, through the SDK's `post(content=…)`, so nothing between the store and the socket parses or
writes a prompt again. The SDK retries, within bounds: a `retry-after` longer than `LONGEST_RETRY_S` is not waited for.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import aiohttp
import anthropic
import httpx2
from anthropic import AsyncAnthropic, AsyncStream, DefaultAioHttpClient
from anthropic.types import Message, RawMessageStreamEvent

from app.upstream.errors import UpstreamCode, UpstreamError, from_sdk, seconds
from app.upstream.flow import Flow, Rounds

LONGEST_RETRY_S = 8.0
CONNECT_TIMEOUT_S = 5.0
MAX_CONNECTIONS = 1000
# A connection that a warm has paid for is still there when the question has been typed. No longer than this: there are NATs
# and load balancers that forget an idle connection after four minutes (Azure's; others take six and more) without a word,
# and a question sent over such a one would hear nothing. Servers that close theirs earlier say so, and the pool looks.
KEEP_S = 230.0
SHORTEST_SECRET = 8
# Encrypting 4 MB at once takes 15 ms of CPU, in which nothing else is done; in pieces of this size, a third of that.
PIECE = 1 << 18
# Of the loop: in each a task has its turn, then the one that it waits for, then the connection to Redis, which sends.
ROUNDS = 4

# The name is what the SDK gives its own `messages.create`: with it, a call has the SDK's span while traces are sent.
_CALL: Any = {"headers": {"content-type": "application/json"}, "span_name": "anthropic.messages.create"}
# A stream has no bound on the time between two reads: aiohttp would start a timer anew for each delta.
_STREAMED: Any = {**_CALL, "timeout": httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S)}


# What must be done before the request of this task is sent: see `Upstream.ask`.
_FIRST: ContextVar["asyncio.Task[None] | None"] = ContextVar("first", default=None)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a call that was not streamed: its id, and its `usage` object as it came."""

    message_id: str | None
    usage: dict[str, Any]


class Upstream:
    """One Messages API: where it is, who we are there, and how long we wait (seconds without a byte)."""

    def __init__(self, base_url: str | None, api_key: str, *, timeout_s: float, max_retries: int) -> None:
        self._secret = api_key
        self._timeout_s = timeout_s
        self._rounds = Rounds()
        self._client = AsyncAnthropic(
            api_key=api_key,
            base_url=base_url,
            max_retries=max_retries,
            http_client=DefaultAioHttpClient(
                timeout=httpx2.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
                limits=httpx2.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=KEEP_S),
                event_hooks={"request": [_wait_for_what_is_first], "response": [_refuse_long_waits]},
            ),
        )

    @property
    def identity(self) -> str:
        """Whose cache this is: 16 hex digits from address and key, since no two keys are sure to share a cache."""
        return hashlib.sha256(f"{self._client.base_url}\n{self._secret}".encode()).hexdigest()[:16]

    async def warm(self, body: bytes) -> Reply:
        """Send `body`, which asks for no stream. Raises `UpstreamError`."""
        with self._translated():
            response = await self._client.post("/v1/messages", cast_to=httpx2.Response, **_sent(body, _CALL))
        try:
            message = json.loads(response.content)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("usage"), dict):
            raise UpstreamError(UpstreamCode.GARBLED, "the answer is not a message with its usage")
        return Reply(_text(message.get("id")), message["usage"])

    @asynccontextmanager
    async def ask(self, body: bytes, *, stall_s: float, first: Coroutine[Any, Any, None]) -> AsyncIterator[Flow]:
        """Send `body`, which asks for a stream, and have its events, which may not keep silent for more than `stall_s`
        once it has begun. Nothing is sent before `first` is done; it is given up if nothing will be. Raises `UpstreamError`,
        also in the middle of the events."""
        with self._translated():
            async with asyncio.timeout(self._timeout_s), _doing(first):
                stream = await self._client.post(
                    "/v1/messages",
                    cast_to=Message,
                    stream=True,
                    stream_cls=AsyncStream[RawMessageStreamEvent],
                    **_sent(body, _STREAMED),
                )
        try:
            with self._translated():
                _check_kind(stream.response.headers.get("content-type", "missing"))
            yield Flow(stream.response, self._rounds, stall_s, self._translated)
        finally:
            with self._translated():
                await stream.response.aclose()

    async def check(self) -> None:
        """Raise `UpstreamError` unless the upstream answers to our key. Costs nothing."""
        with self._translated():
            await self._client.with_options(max_retries=0, timeout=10).models.list(limit=1)

    async def close(self) -> None:
        """Close every connection."""
        await self._rounds.close()
        await self._client.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except UpstreamError as error:
            raise self._hushed(error) from None
        except anthropic.APIError as error:
            raise self._hushed(from_sdk(error)) from error
        except (httpx2.TimeoutException, TimeoutError) as error:
            raise UpstreamError(UpstreamCode.TIMEOUT) from error
        except (httpx2.HTTPError, aiohttp.ClientError, OSError) as error:
            raise self._hushed(UpstreamError(UpstreamCode.UNREACHABLE, str(error))) from error

    def _hushed(self, error: UpstreamError) -> UpstreamError:
        """`error` without our key, should the upstream have repeated it. What is short is a word, not a key."""
        if len(self._secret) >= SHORTEST_SECRET and self._secret in error.detail:
            error.detail = error.detail.replace(self._secret, "…")
            error.args = (error.detail,)
        return error


class _Pieces:
    """A body piece by piece, as often as it is asked for: the SDK may have to send it again."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), PIECE):
            yield self._body[start : start + PIECE]


def _sent(body: bytes, options: Any) -> Any:
    """How `body` is given to the SDK. The length of what goes out in pieces is said: not every server takes chunks."""
    if len(body) <= PIECE:
        return {"content": body, "options": options}
    headers = {**options["headers"], "content-length": str(len(body))}
    return {"content": _Pieces(body), "options": {**options, "headers": headers}}


@asynccontextmanager
async def _doing(first: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have `first` done while the SDK makes its request, which takes it as long as a round trip to Redis takes."""
    task = asyncio.create_task(first)
    before = _FIRST.set(task)
    try:
        # What it wants of Redis is on its way before the SDK begins.
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        yield
    finally:
        _FIRST.reset(before)
        task.cancel()


async def _wait_for_what_is_first(_: httpx2.Request) -> None:
    if (first := _FIRST.get()) is not None:
        await first


async def _refuse_long_waits(response: httpx2.Response) -> None:
    """Have the SDK give up rather than sleep when the upstream names a wait that no reader would sit through."""
    if response.status_code < 400:
        return
    # The SDK heeds the first of these that is there.
    for header, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if header in response.headers:
            wait = seconds(response.headers[header])
            if wait is None or not wait * unit_s <= LONGEST_RETRY_S:
                response.headers["x-should-retry"] = "false"


def _check_kind(kind: str) -> None:
    if not kind.startswith("text/event-stream"):
        raise UpstreamError(UpstreamCode.GARBLED, f"its content type is {kind[:100]!r}, not an event stream")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
