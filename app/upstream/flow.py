"""The events of streamed answers, given to whoever takes them: as they come, or in rounds while there are many streams.

With few streams each is read when something has come. A process that carries many has something to read all the time; then
one task goes round them every few milliseconds and gives on whatever has come, stream after stream, instead of each stream's
own task being woken for each event (docs/bench.md says what that spares).
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import aiohttp
import httpx2

from app.upstream.errors import UpstreamCode, UpstreamError, from_event
from app.upstream.events import Event, Splitter

# With so many streams they are read in rounds, until there are only so few.
MANY, FEW = 16, 8
# The seconds between two rounds: the first while the thread has time to spare, up to the second as it is `BUSY` and more.
# Then several events of a stream go together: the alternative is that all wait for their turn, and just as long.
EVERY_S, LONGEST_S, BUSY = 0.002, 0.03, 0.75
# How much the last round counts in how busy the thread is said to be.
NEWEST = 0.1
# How much of the bound on silence may pass before it is set anew: setting it costs more than an event does.
REARM = 0.25

# Takes an event, at once.
Take = Callable[[Event], None]
Translated = Callable[[], AbstractContextManager[None]]


class Flow:
    """The events of one response until `message_stop`. Errors of its connection are raised as `translated` has them."""

    def __init__(self, response: httpx2.Response, rounds: "Rounds", stall_s: float, translated: Translated) -> None:
        self._content = _undecoded(response)
        self._parts = response.aiter_bytes()
        self._rounds = rounds
        self._stall_s = stall_s
        self._translated = translated
        self._splitter = Splitter()
        self._seen = 0
        self._over = False
        self._loop = asyncio.get_running_loop()
        self._silence = asyncio.Timeout(None)
        self._armed = 0.0

    async def into(self, take: Take) -> None:
        """Give `take` each event until there are no more.

        Raises `UpstreamError`: when the stream breaks off, says `error`, or says nothing for `stall_s` while it is read
        here; and what `take` raises.
        """
        try:
            async with asyncio.timeout(self._stall_s) as self._silence:
                self._armed = self._loop.time()
                with self._rounds.one_more():
                    while not self._over:
                        if self._content is not None and self._rounds.many:
                            await self._rounds.join(self, take)
                        else:
                            self._give(await self._receive(), take)
        except TimeoutError:
            raise UpstreamError(UpstreamCode.TIMEOUT, f"it said nothing for {self._stall_s:g} s") from None

    def look(self, take: Take) -> bool:
        """Give `take` what has come by now; whether that was the last."""
        content = self._content
        assert content is not None
        if content.total_bytes == self._seen and not content.is_eof() and content.exception() is None:
            return False
        events: list[Event] = []
        try:
            self._seen = content.total_bytes
            chunk = content.read_nowait()
            if chunk or content.at_eof():
                events = self._arrived(chunk)
        except Exception:
            with self._translated():
                raise
        self._give(events, take)
        return self._over

    async def _receive(self) -> list[Event]:
        try:
            if self._content is None:
                return self._arrived(await anext(self._parts, b""))
            chunk = await self._content.readany()
            self._seen = self._content.total_bytes
            return self._arrived(chunk)
        except Exception:
            with self._translated():
                raise

    def _arrived(self, chunk: bytes) -> list[Event]:
        if not chunk:
            raise UpstreamError(UpstreamCode.UNREACHABLE, "the stream broke off before its end")
        events = self._splitter.feed(chunk)
        now = self._loop.time()
        # Bytes that are no event, such as a proxy's comments, are silence.
        if events and now - self._armed > REARM * self._stall_s:
            self._armed = now
            self._silence.reschedule(now + self._stall_s)
        return events

    def _give(self, events: list[Event], take: Take) -> None:
        for event in events:
            if event.name == "error":
                with self._translated():
                    raise from_event(event.parsed())
            take(event)
            if event.name == "message_stop":
                self._over = True
                return


class Pace:
    """How long to wait between two rounds, for a thread that at time `now` has used so many seconds of CPU."""

    def __init__(self, now: float, used: float) -> None:
        self._now = now
        self._used = used
        self._busy = 0.0

    def pause_s(self, now: float, used: float) -> float:
        """The seconds to wait, if it is `now` and the thread has used so many."""
        if now > self._now:
            share = min(1.0, (used - self._used) / (now - self._now))
            self._busy += (share - self._busy) * NEWEST
        self._now, self._used = now, used
        return EVERY_S + max(0.0, (self._busy - BUSY) / (1 - BUSY)) * (LONGEST_S - EVERY_S)


class Rounds:
    """The flows of a process, while they are many."""

    def __init__(self) -> None:
        self._flowing = 0
        self._joined: dict[Flow, tuple[Take, asyncio.Future[None]]] = {}
        self._going: asyncio.Task[None] | None = None

    @property
    def many(self) -> bool:
        """Whether there are so many flows that they are better read in rounds."""
        return self._flowing >= MANY

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """While the block runs, there is one flow more."""
        self._flowing += 1
        try:
            yield
        finally:
            self._flowing -= 1

    async def join(self, flow: Flow, take: Take) -> None:
        """Have `flow` read in the rounds until it is over, or there are few left."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._joined[flow] = (take, over)
        if self._going is None:
            self._going = asyncio.create_task(self._go(), name="rounds")
        try:
            await over
        finally:
            self._joined.pop(flow, None)

    async def close(self) -> None:
        """Go no further."""
        if self._going is not None:
            self._going.cancel()
            with suppress(asyncio.CancelledError):
                await self._going

    async def _go(self) -> None:
        try:
            pace = Pace(time.monotonic(), time.thread_time())
            while len(self._joined) >= FEW:
                await asyncio.sleep(pace.pause_s(time.monotonic(), time.thread_time()))
                for flow, (take, over) in list(self._joined.items()):
                    self._visit(flow, take, over)
        finally:
            self._going = None
            for _, over in self._joined.values():
                if not over.done():
                    over.set_result(None)

    def _visit(self, flow: Flow, take: Take, over: "asyncio.Future[None]") -> None:
        if over.done():
            return
        try:
            ended = flow.look(take)
        except Exception as error:
            over.set_exception(error)
        else:
            if ended:
                over.set_result(None)


def _undecoded(response: httpx2.Response) -> aiohttp.StreamReader | None:
    """What aiohttp reads the body into, when there is nothing to decode: the SDK's and httpx2's generators around it, which
    add nothing, cost as much for each delta as reading it does."""
    if "content-encoding" in response.headers:
        return None
    inner = getattr(getattr(response.stream, "_stream", None), "_aiohttp_response", None)
    return inner.content if isinstance(inner, aiohttp.ClientResponse) else None
