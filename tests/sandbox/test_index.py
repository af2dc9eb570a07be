"""The radix tree beside the plainest thing that could work, its memory bound and its order of eviction."""

import gc
import tracemalloc
from hashlib import blake2b

from hypothesis import given, settings
from hypothesis import strategies as st

from app.sandbox.index import NODE_BYTES, Index

ROOM = 10**9


def path(letters: str) -> list[bytes]:
    return [blake2b(letter.encode(), digest_size=16).digest() for letter in letters]


@given(st.lists(st.tuples(st.sampled_from(["put", "evict", "find"]), st.text("abc", min_size=1, max_size=6))))
@settings(max_examples=300)
def test_it_finds_what_a_dictionary_of_full_prefixes_finds(steps: list[tuple[str, str]]) -> None:
    index, plain = Index(ROOM), set[str]()
    for step, letters in steps:
        if step == "put":
            index.put(path(letters), "5m", 0)
            plain.add(letters)
        elif step == "evict" and letters in plain:
            name = index.on_path(path(letters), 0)[len(letters) - 1].name
            assert index.evict(name) == 1
            plain.discard(letters)
        found = index.on_path(path(letters + "abc"), 0)
        assert set(found) == {i for i in range(len(letters) + 3) if (letters + "abc")[: i + 1] in plain}
        assert len(index) == len(plain)
    assert index.evict() == len(plain)
    assert index.used_bytes == 0


def test_the_least_recently_used_entries_go_first_and_the_bound_holds() -> None:
    index = Index(10 * (NODE_BYTES + 16))
    for i in range(10):
        index.put(path(chr(200 + i)), "5m" if i % 2 else "1h", i)
    first = index.on_path(path(chr(200)), 10)[0]
    index.touch(first, 10)
    index.put(path("x"), "5m", 11)
    assert index.used_bytes <= index.memory_bytes
    assert index.on_path(path(chr(200)), 11)
    assert not index.on_path(path(chr(201)), 11)


def test_an_entry_larger_than_the_bound_is_not_kept() -> None:
    index = Index(1024)
    index.put(path("a" * 100), "5m", 0)
    assert (len(index), index.used_bytes) == (0, 0)


def test_expired_entries_make_room_before_live_ones() -> None:
    index = Index(ROOM)
    index.put(path("a"), "5m", 0)
    index.put(path("b"), "1h", 0)
    index.put(path("c"), "5m", 400)
    assert [entry.ttl for entry in index.entries()] == ["5m", "1h"]


def test_the_memory_that_is_accounted_for_is_the_memory_that_is_used() -> None:
    paths = [[*path(f"{i:05d}"[:4]), i.to_bytes(16, "big")] for i in range(5000)]
    gc.collect()
    tracemalloc.start()
    index = Index(ROOM)
    for one in paths:
        index.put(one, "5m", 0)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used <= index.used_bytes <= 2 * used
