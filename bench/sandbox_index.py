"""The sandbox's cache index beside a naive dictionary of full prefixes: how long a lookup and a write take, and what
they keep in memory, as prompts grow and entries accumulate. Prints a table; bounded in size; touches no network.

    python -m bench.sandbox_index
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from app.sandbox import blocks, request, rules
from app.sandbox.index import Index

TOKENS = 1_000_000
BYTES = int(TOKENS * 3.2375)


class Naive:
    """What one would write first: every full prefix is a key."""

    def __init__(self) -> None:
        self.entries: dict[bytes, float] = {}

    def on_path(self, texts: list[bytes]) -> list[int]:
        return [i for i in range(len(texts)) if b"".join(texts[: i + 1]) in self.entries]

    def put(self, texts: list[bytes]) -> None:
        self.entries[b"".join(texts)] = 0.0

    @property
    def used_bytes(self) -> int:
        return sum(sys.getsizeof(key) for key in self.entries)


def median_ms(work: Callable[[], object], times: int) -> float:
    spent = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        spent.append((time.perf_counter() - begun) * 1000)
    return statistics.median(spent)


def digests(count: int, name: str) -> list[bytes]:
    return [blake2b(f"{name}/{i}".encode(), digest_size=16).digest() for i in range(count)]


def prompt_of_a_million_tokens(count: int) -> None:
    """Parse, digest and look up one prompt of 1M tokens in `count` blocks; the naive way beside it."""
    texts = [f"{i:06d}" + "x" * (BYTES // count - 6) for i in range(count)]
    content: list[dict[str, Any]] = [{"type": "text", "text": text} for text in texts]
    content[-1]["cache_control"] = {"type": "ephemeral"}
    raw = json.dumps({"model": "claude-opus-4-6", "max_tokens": 0, "messages": [{"role": "user", "content": content}]})
    body = request.parse_create(raw.encode())
    model = rules.model_of(body)
    path = blocks.build(body, model).path
    index, naive = Index(1 << 30), Naive()
    encoded = [text.encode() for text in texts]
    index.put(path, "5m", 0)
    naive.put(encoded)
    naive_times = 3 if count <= 1000 else 1
    print(
        f"{count:>7} blocks | parse {median_ms(lambda: request.parse_create(raw.encode()), 5):7.1f} ms"
        f" | digests {median_ms(lambda: blocks.build(body, model), 5):6.1f} ms"
        f" | tree lookup {median_ms(lambda: index.on_path(path, 0), 20):7.3f} ms"
        f" | naive lookup {median_ms(lambda: naive.on_path(encoded), naive_times):9.1f} ms"
        f" | tree {index.used_bytes / 1e6:5.2f} MB, naive {naive.used_bytes / 1e6:5.1f} MB"
    )


def many_entries(count: int) -> None:
    """Look up one prompt of 200 blocks while `count` others are live, half of them sharing its first 100 blocks."""
    index = Index(1 << 30)
    mine = digests(200, "mine")
    index.put(mine, "5m", 0)
    for i in range(count - 1):
        start = mine[:100] if i % 2 else []
        index.put([*start, *digests(20, str(i))], "5m", 0)
    print(
        f"{count:>7} live entries | tree lookup {median_ms(lambda: index.on_path(mine, 0), 200) * 1000:6.1f} µs"
        f" | write {median_ms(lambda: index.put(mine, '5m', 0), 200) * 1000:6.1f} µs"
        f" | {index.used_bytes / 1e6:6.2f} MB accounted"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out the slow naive rows")
    quick = parser.parse_args().quick
    print("One prompt of 1,000,000 tokens (3.2 MB):")
    for count in (10, 100, 1_000) if quick else (10, 100, 1_000, 4_000):
        prompt_of_a_million_tokens(count)
    print("A prompt of 200 blocks among others:")
    for count in (1, 100, 10_000, 50_000):
        many_entries(count)


if __name__ == "__main__":
    main()
