"""What a reader of a cookbook writes: FastAPI, the SDK's `messages.stream()`, and sse-starlette. No journal, no Redis.

    ANTHROPIC_BASE_URL=… uvicorn bench.baseline:app

The measure for what Headstart costs (`bench/carry.py`). `CONTEXT` names the file that is asked about.
"""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

from anthropic import AsyncAnthropic
from anthropic.types import TextBlockParam
from fastapi import FastAPI
from pydantic import BaseModel
from sse_starlette import EventSourceResponse

app = FastAPI()
client = AsyncAnthropic()
context = Path(os.environ["CONTEXT"]).read_text()


class Question(BaseModel):
    question: str


@app.post("/ask")
async def ask(asked: Question) -> EventSourceResponse:
    return EventSourceResponse(answer(asked.question))


async def answer(question: str) -> AsyncIterator[dict[str, str]]:
    cached: TextBlockParam = {"type": "text", "text": context, "cache_control": {"type": "ephemeral"}}
    async with client.messages.stream(
        model="claude-sonnet-5-5",
        max_tokens=4096,
        messages=[{"role": "user", "content": [cached, {"type": "text", "text": question}]}],
    ) as stream:
        async for text in stream.text_stream:
            yield {"event": "delta", "data": json.dumps({"text": text})}
    yield {"event": "done", "data": "{}"}
