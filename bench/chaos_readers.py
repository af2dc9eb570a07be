"""Readers for the chaos: they warm and ask, are cut off at random, come back to any replica, and keep every event they saw.
Whoever hears nothing for half a minute, or of an error that says more than "not now", has found a bug."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx2

from bench.chaos_deployment import Deployment

PATIENCE_S = 120.0
SILENCE_S = 30.0
PAUSE_S = 0.2
ENDS = (b"verdict", b"stopped", b"error")
CONTEXT = "asyncio"
# All that a warm can have come to; it is still under way when it takes too long, or when the server is about to end.
WARMED = ("cold", "warming", "warm", "skipped", "failed")


class Broken(Exception):
    """A promise was not kept: the message says which."""


@dataclass
class Heard:
    """What one reader has of a turn: its frames by id, and the name of the event that ended it."""

    session: str
    turn: str
    frames: dict[int, bytes] = field(default_factory=dict)
    end: bytes | None = None
    cuts: int = 0

    @property
    def last(self) -> int:
        return max(self.frames, default=0)

    @property
    def ending(self) -> str:
        """How it ended, as far as was heard; an error with its code."""
        if self.end != b"error":
            return self.end.decode() if self.end else "nothing"
        return str(json.loads(self.frames[self.last].split(b"data: ", 1)[1])["code"])

    def take(self, frame: bytes) -> None:
        """Keep a frame. Raises `Broken` when it was heard before, or comes out of order."""
        fields = dict(
            line.split(b": ", 1) for line in frame.split(b"\n") if b": " in line and not line.startswith(b":")
        )
        if b"id" not in fields:
            return
        number, name = int(fields[b"id"]), fields[b"event"]
        if number <= self.last:
            raise Broken(f"{self.turn}: event {number} came after {self.last}")
        if self.end is not None:
            raise Broken(f"{self.turn}: {name.decode()} came after the end")
        self.frames[number] = frame
        self.end = name if name in ENDS else None


class Owner:
    """One person with one session, who asks one question after the other."""

    def __init__(self, deployment: Deployment, random: Random, number: int) -> None:
        self._deployment = deployment
        self._random = random
        self._number = number
        self._http = httpx2.AsyncClient(timeout=httpx2.Timeout(SILENCE_S, connect=2))
        self.session = ""
        self.questions: dict[str, str] = {}
        self.heard: list[Heard] = []
        self.refused = 0
        self.waited: Counter[str] = Counter()

    async def close(self) -> None:
        await self._http.aclose()

    async def converse(self, turns: int) -> None:
        """Ask `turns` questions, and hear each of them out."""
        body = {"context": CONTEXT, "isolation": self._random.choice(["shared", "session"])}
        self.session = (await self.call("POST", "/api/sessions", json=body))["session"]
        for number in range(turns):
            if self._random.random() < 0.5:
                await self._warm(wait=self._random.random() < 0.5)
            question = f"Question {self._number}.{number}: what does the event loop do with {number} tasks?"
            heard = await self._ask(question)
            self.questions[heard.turn] = question
            readers = [self._hear_out(heard)]
            if self._random.random() < 0.3:
                readers.append(self._hear_out(Heard(self.session, heard.turn)))
            if self._random.random() < 0.07:
                readers.append(self._stop(heard.turn))
            if self._random.random() < 0.2:
                readers.append(self._warm(wait=True))
            await asyncio.gather(*readers)

    async def call(self, method: str, path: str, **given: Any) -> Any:
        """A request that is made until a replica answers it."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                response = await self._http.request(method, self._url(path), **given)
            except httpx2.ReadTimeout:
                raise Broken(f"{method} {path} was not answered for {SILENCE_S:g} s") from None
            except httpx2.HTTPError:
                response = None
            if response is not None and response.status_code != 503:
                if response.is_error:
                    raise Broken(f"{method} {path} was answered {response.status_code}: {response.text}")
                return response.json() if response.content else None
            self.refused += 1
            await asyncio.sleep(PAUSE_S)
        raise Broken(f"{method} {path} was not answered within {PATIENCE_S:g} s")

    async def journal(self, turn: str) -> Heard:
        """The turn from its start, as whoever comes late reads it."""
        late = Heard(self.session, turn)
        await self._hear_out(late, cut=False)
        return late

    async def _warm(self, *, wait: bool) -> None:
        """Have the next question's prefix warmed, and with `wait` be told what came of it."""
        body = {"trigger": self._random.choice(["focus", "api"]), "wait": wait}
        warm = (await self.call("POST", f"/api/sessions/{self.session}/warm", json=body))["warm"]
        if warm["state"] not in WARMED:
            raise Broken(f"a warm came to {warm}")
        if wait:
            self.waited[warm["state"]] += 1

    async def _ask(self, question: str) -> Heard:
        """Ask until the turn is accepted: an answer that got lost may have said so already."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                path = f"/api/sessions/{self.session}/ask"
                async with self._http.stream("POST", self._url(path), json={"question": question}) as response:
                    if response.status_code == 200:
                        heard = Heard(self.session, response.headers["turn-id"])
                        self.heard.append(heard)
                        await self._read(response, heard, self._patience())
                        return heard
                    await response.aread()
                    if response.status_code not in (409, 503):
                        raise Broken(f"a question was answered {response.status_code}: {response.text}")
            except httpx2.HTTPError:
                if self.heard and self.heard[-1].turn not in self.questions:
                    return self.heard[-1]
            self.refused += 1
            await asyncio.sleep(PAUSE_S)
            turns = (await self.call("GET", f"/api/sessions/{self.session}"))["turns"]
            if turns and turns[-1]["question"] == question:
                self.heard.append(Heard(self.session, turns[-1]["turn"]))
                return self.heard[-1]
        raise Broken(f"a question was not accepted within {PATIENCE_S:g} s")

    async def _hear_out(self, heard: Heard, *, cut: bool = True) -> None:
        """Come back to the turn until its end was heard."""
        if heard not in self.heard:
            self.heard.append(heard)
        deadline = time.monotonic() + PATIENCE_S
        while heard.end is None:
            if time.monotonic() > deadline:
                raise Broken(f"{heard.turn} did not end within {PATIENCE_S:g} s")
            path, headers = f"/api/turns/{heard.turn}/events", {"Last-Event-ID": str(heard.last)}
            try:
                async with self._http.stream("GET", self._url(path), headers=headers) as response:
                    if response.status_code == 200:
                        await self._read(response, heard, self._patience() if cut else None)
                        continue
                    await response.aread()
                    if response.status_code != 503:
                        raise Broken(f"{heard.turn} was answered {response.status_code}: {response.text}")
            except httpx2.HTTPError:
                pass
            await asyncio.sleep(PAUSE_S)

    async def _read(self, response: httpx2.Response, heard: Heard, patience: int | None) -> None:
        """Read on; hang up after `patience` frames."""
        self._deployment.streams += 1
        try:
            async for frame in _frames(response.aiter_bytes()):
                heard.take(frame)
                if patience is not None:
                    patience -= 1
                    if patience <= 0:
                        heard.cuts += 1
                        return
            self._not_cut_off(heard)
        except httpx2.ReadTimeout:
            raise Broken(f"{heard.turn}: nothing came for {SILENCE_S:g} s, not even a ping") from None
        except httpx2.HTTPError:
            self._not_cut_off(heard)
            raise
        finally:
            self._deployment.streams -= 1

    def _not_cut_off(self, heard: Heard) -> None:
        """That a stream is over is well when its turn is, or when a replica is gone, but not because Redis is away."""
        if heard.end is None and self._deployment.outage:
            raise Broken(f"{heard.turn}: a reader was cut off while Redis was away")

    def _patience(self) -> int | None:
        return self._random.choice([None, None, None, 1, 5, 20, 60])

    async def _stop(self, turn: str) -> None:
        await asyncio.sleep(self._random.uniform(0, 1.5))
        await self.call("POST", f"/api/turns/{turn}/stop")

    def _url(self, path: str) -> str:
        return self._deployment.any_url(self._random) + path


async def _frames(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in chunks:
        *frames, rest = (rest + chunk).split(b"\n\n")
        for frame in frames:
            yield frame


def text_of(frames: list[bytes]) -> str:
    """What a reader has of a turn: the text since it last began anew."""
    text = ""
    for frame in frames:
        data = json.loads(frame.split(b"data: ", 1)[1])
        kind = data.get("type")
        if kind == "message_start" or b"event: restart\n" in frame:
            text = ""
        if kind == "content_block_delta":
            text += data["delta"].get("text", "")
    return text
