"""What a turn adds to its session: its bytes, and the prefix that the next question will have."""

import asyncio
from dataclasses import replace
from typing import Any

from app.prompt.prefix import Transcript, append_turn
from app.store.turns import Appended

LARGE = 1_000_000


async def append(
    transcript: Transcript, question: str, blocks: list[dict[str, Any]], message_id: str | None
) -> Appended | None:
    """`question` and the answer's `blocks` after `transcript`; None when the answer has nothing that can be kept."""
    added = append_turn(transcript, question, blocks)
    if added is None:
        return None
    turns, end = added
    grown = replace(transcript, turns=transcript.turns + turns, ends=(*transcript.ends, end))
    prefix = grown.prefix()
    # Up to a megabyte, a thread would cost more than it spares.
    digest = await asyncio.to_thread(lambda: prefix.digest) if prefix.size > LARGE else prefix.digest
    return Appended(turns, end.as_list(), digest, prefix.size, prefix.breakpoints, message_id)
