"""Threads for reading what people send, and for nothing else: however long it takes them, questions do not wait."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Answer = TypeVar("Answer")

# Each may have a parsing process of its own.
AT_ONCE = 2

_threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="reader")


async def read_apart(work: Callable[[], Answer]) -> Answer:
    """What `work` gives, when a reader has come to it."""
    return await asyncio.get_running_loop().run_in_executor(_threads, work)
