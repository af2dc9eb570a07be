"""An upstream that a test writes the answers of, word by word: what it says next comes when the test says it."""

import asyncio
import queue
from typing import Any

from tests.recorder import END, Exchange, Recorder, answer, message_start

Event = dict[str, Any]


class Writer:
    """Answers every question with what it is told to `say`, until it is told to `end`."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._told: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._index = 0
        recorder.script.clear()
        recorder.default = self._respond

    def say(self, text: str, citations: tuple[Event, ...] = ()) -> None:
        """A text block of its own, with its citations."""
        self.begin({"type": "text", "text": ""})
        self.write(text)
        for citation in citations:
            self.delta({"type": "citations_delta", "citation": citation})
        self.finish()

    def think(self, text: str) -> None:
        """A thought, which goes on until `finish`."""
        self.begin({"type": "thinking", "thinking": "", "signature": ""})
        self.delta({"type": "thinking_delta", "thinking": text})
        self.delta({"type": "signature_delta", "signature": "signed"})

    def begin(self, block: Event) -> None:
        self._told.put({"type": "content_block_start", "index": self._index, "content_block": block})

    def write(self, text: str) -> None:
        self.delta({"type": "text_delta", "text": text})

    def delta(self, delta: Event) -> None:
        self._told.put({"type": "content_block_delta", "index": self._index, "delta": delta})

    def finish(self) -> None:
        self._told.put({"type": "content_block_stop", "index": self._index})
        self._index += 1

    def end(self) -> None:
        self._told.put(None)
        self._index = 0

    async def _respond(self, exchange: Exchange) -> None:
        if exchange.is_warm:
            await answer(exchange)
            return
        await exchange.start_stream()
        await exchange.event(message_start(exchange.number))
        while (event := await asyncio.to_thread(self._told.get)) is not None:
            await exchange.event(event)
        for event in END:
            await exchange.event(event)
        await exchange.end_stream()
