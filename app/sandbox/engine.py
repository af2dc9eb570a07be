"""One request from its bytes to its reply: parse, refuse, look into the cache, wait as long as reading takes, write
the cache, and say what the response is. It holds the sandbox's state and knows no HTTP."""

import asyncio
import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import cycle
from typing import Any

from app.sandbox import answer, blocks, request, rules
from app.sandbox.blocks import Prompt
from app.sandbox.cache import Cache, Plan
from app.sandbox.clock import Clock
from app.sandbox.diagnostics import Diagnostics, fingerprint
from app.sandbox.faults import Script
from app.sandbox.ids import Ids
from app.sandbox.index import Index
from app.sandbox.log import Log, Record, workspace
from app.sandbox.options import Options
from app.sandbox.reply import EMPTY, Reply, compose
from app.sandbox.request import Body

_LARGE = 256 * 1024


def understand(raw: bytes) -> tuple[Body, Prompt]:
    """The body and its prompt, checked by every rule that needs no state."""
    body = request.parse_create(raw)
    model = rules.model_of(body)
    prompt = blocks.build(body, model)
    rules.check_create(body, model)
    rules.check_thinking_blocks(body, prompt)
    rules.check_size(prompt)
    return body, prompt


def count(raw: bytes) -> int:
    """Input tokens of what a message would be billed for."""
    body = request.parse_count(raw)
    model = rules.model_of(body)
    prompt = blocks.build(body, model)
    rules.check_count(body, model)
    rules.check_countable(body)
    return prompt.total


@dataclass
class Exchange:
    """A request that was accepted."""

    body: Body
    prompt: Prompt
    plan: Plan
    message_id: str
    begins_at: float
    diagnosis: dict[str, Any] | None = None
    record: Record | None = None

    @property
    def kind(self) -> str:
        """How it will be answered: "warm", "stream" or "whole"."""
        if self.body["max_tokens"] == 0:
            return "warm"
        return "stream" if self.body.get("stream") else "whole"

    def describe(self, record: Record) -> None:
        """Fill in what is known when the request is accepted."""
        record.model, record.max_tokens = self.body["model"], self.body["max_tokens"]
        record.stream = bool(self.body.get("stream"))
        record.message_id, record.usage, record.begins_at = self.message_id, asdict(self.plan.usage), self.begins_at
        prompt = self.prompt
        record.prefixes = [
            {
                "place": prompt.blocks[i].place,
                "ttl": prompt.blocks[i].ttl,
                "tokens": prompt.ends[i],
                "prefix": self.plan.name(i),
            }
            for i in prompt.marks
        ]

    def delay(self, seconds: float) -> None:
        self.begins_at += seconds
        if self.record is not None:
            self.record.begins_at = self.begins_at

    def message(self, reply: Reply | None) -> dict[str, Any]:
        """The message object; without a reply, as it stands when the response begins."""
        return {
            "id": self.message_id,
            "type": "message",
            "role": "assistant",
            "model": self.body["model"],
            "content": reply.content() if reply else [],
            "stop_reason": reply.stop_reason if reply else None,
            "stop_sequence": reply.stop_sequence if reply else None,
            "usage": self.usage(reply),
            **({"diagnostics": self.diagnosis} if self.body.get("diagnostics") is not None else {}),
        }

    def usage(self, reply: Reply | None) -> dict[str, Any]:
        found = self.plan.usage
        usage: dict[str, Any] = {
            "input_tokens": found.uncached,
            "cache_creation_input_tokens": found.written,
            "cache_read_input_tokens": found.read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": found.written_5m,
                "ephemeral_1h_input_tokens": found.written_1h,
            },
            "output_tokens": reply.output_tokens if reply else 1,
            "service_tier": "standard",
            "inference_geo": "global",
        }
        if reply and reply.thinking_tokens:
            usage["output_tokens_details"] = {"thinking_tokens": reply.thinking_tokens}
        if self.body.get("speed"):
            usage["speed"] = self.body["speed"]
        return usage


class Engine:
    def __init__(self, options: Options, clock: Clock) -> None:
        self.options = options
        self.clock = clock
        self.ids = Ids(options.seed)
        self.cache = Cache(Index(options.memory_bytes))
        self.library = answer.Library()
        self.diagnostics = Diagnostics()
        self.script = Script()
        self._preparing: set[asyncio.Future[None]] = set()
        self.log = Log()

    def close(self) -> None:
        self.library.close()

    async def receive(self, raw: bytes, key: str, betas: frozenset[str]) -> Exchange:
        """Accept a request or raise ApiError. Large bodies are read in a thread, so that no stream has to wait."""
        now = self.clock.now()
        if len(raw) < _LARGE:
            return self.accept(raw, key, betas)
        understood = await asyncio.to_thread(understand, raw)
        return self._admit(*understood, key, betas, now)

    def accept(self, raw: bytes, key: str, betas: frozenset[str] = frozenset()) -> Exchange:
        """The same at once."""
        return self._admit(*understand(raw), key, betas, self.clock.now())

    def _admit(self, body: Body, prompt: Prompt, key: str, betas: frozenset[str], now: float) -> Exchange:
        plan = self.cache.look(workspace(key), prompt, now)
        profile = self.options.pace
        reading = profile.reading_s(plan.usage.read, prompt.total - plan.usage.read) / self.options.speed
        exchange = Exchange(body, prompt, plan, self.ids.new("msg"), now + reading)
        if body.get("diagnostics") is not None:
            self._diagnose(exchange, workspace(key), betas)
        return exchange

    async def count(self, raw: bytes) -> int:
        return await asyncio.to_thread(count, raw) if len(raw) >= _LARGE else count(raw)

    async def begin(self, exchange: Exchange) -> Reply:
        """Wait until the response begins and write the cache; the answer is looked up meanwhile."""
        if exchange.body["max_tokens"] == 0:
            self._prepare(exchange)
            await self.clock.sleep_until(exchange.begins_at)
            self.cache.commit(exchange.plan)
            return EMPTY
        answering = asyncio.ensure_future(asyncio.to_thread(self._answer, exchange))
        try:
            await self.clock.sleep_until(exchange.begins_at)
            self.cache.commit(exchange.plan)
            return await answering
        finally:
            answering.cancel()

    def due(self, started_at: float, written_tokens: float) -> float:
        """When so many output tokens have been written."""
        return started_at + self.options.pace.writing_s(written_tokens) / self.options.speed

    def dice(self, exchange: Exchange) -> Iterator[int]:
        """Numbers that are the same again for the same seed and prompt."""
        start = f"{self.options.seed}/{exchange.prompt.binding.hex()}".encode()
        return cycle(hashlib.shake_256(start).digest(1024))

    def _diagnose(self, exchange: Exchange, workspace: bytes, betas: frozenset[str]) -> None:
        """Compare with the request that the caller names, and keep this one to be compared with."""
        mine = fingerprint(exchange.body, exchange.prompt, betas, exchange.plan.started_at)
        previous = exchange.body["diagnostics"].get("previous_message_id")
        exchange.diagnosis = self.diagnostics.compare(workspace, previous, mine)
        self.diagnostics.keep(workspace, exchange.message_id, mine)

    def _prepare(self, exchange: Exchange) -> None:
        """Let the question that a warm announces find its passages ranked; nobody waits for it."""

        def prepare() -> None:
            with contextlib.suppress(answer.Closed):
                self.library.prepare(answer.sources_of(exchange.body))

        task = asyncio.ensure_future(asyncio.to_thread(prepare))
        self._preparing.add(task)
        task.add_done_callback(self._preparing.discard)

    def _answer(self, exchange: Exchange) -> Reply:
        sources = answer.sources_of(exchange.body)
        try:
            passages = self.library.find(sources, answer.question_of(exchange.body), limit=3)
        except answer.Closed:
            return EMPTY
        return compose(exchange.body, exchange.prompt, passages, self.options.pace)
