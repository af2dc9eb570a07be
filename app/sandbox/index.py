"""Where cache entries are kept: a radix tree over the digests of a prompt's blocks. Looking up a prompt is one descent
along its own digests, whatever else is stored. The memory that the tree accounts for never exceeds the bound: the least
recently used entries go first, expired ones before live ones. It knows nothing of tokens, breakpoints or billing."""

from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import blake2b

DIGEST = 16
TTL_S = {"5m": 300.0, "1h": 3600.0}
NODE_BYTES = 640
"""What one node is accounted for besides its label: measured at under 600 with its entry, dictionary and queue slot."""


@dataclass(eq=False, slots=True)
class Entry:
    """A cached prefix. `used_at` is the start of the request that wrote or last read it; `name` identifies it."""

    ttl: str
    used_at: float
    name: str = ""

    def live(self, now: float) -> bool:
        return now - self.used_at < TTL_S[self.ttl]


@dataclass(eq=False, slots=True)
class _Node:
    label: bytes
    parent: "_Node | None" = None
    children: "dict[bytes, _Node]" = field(default_factory=dict)
    entry: Entry | None = None


def prefix_name(path: list[bytes]) -> str:
    return blake2b(b"".join(path), digest_size=DIGEST).hexdigest()


class Index:
    def __init__(self, memory_bytes: int) -> None:
        self.memory_bytes = memory_bytes
        self._root = _Node(b"")
        self._used = 0
        self._queues: dict[str, OrderedDict[Entry, _Node]] = {ttl: OrderedDict() for ttl in TTL_S}

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    @property
    def used_bytes(self) -> int:
        """Memory accounted for; at most `memory_bytes`."""
        return self._used

    def on_path(self, path: list[bytes], now: float) -> dict[int, Entry]:
        """Live entries by the position of the block that they end at."""
        key = b"".join(path)
        found: dict[int, Entry] = {}
        node, at = self._root, 0
        while True:
            child = node.children.get(key[at : at + DIGEST])
            if child is None or not key.startswith(child.label, at):
                return found
            node, at = child, at + len(child.label)
            if node.entry is not None and node.entry.live(now):
                found[at // DIGEST - 1] = node.entry

    def put(self, path: list[bytes], ttl: str, used_at: float) -> None:
        """Store an entry for this prefix in place of any that is there, then keep to the bound."""
        key = b"".join(path)
        node = self._node(key)
        if node.entry is not None:
            del self._queues[node.entry.ttl][node.entry]
        node.entry = Entry(ttl, used_at, prefix_name(path))
        self._queues[ttl][node.entry] = node
        self._drop_expired(used_at)
        while self._used > self.memory_bytes and len(self) > 0:
            self._drop(min((q for q in self._queues.values() if q), key=lambda q: next(iter(q)).used_at))

    def touch(self, entry: Entry, used_at: float) -> None:
        queue = self._queues[entry.ttl]
        if entry in queue:
            entry.used_at = max(entry.used_at, used_at)
            queue.move_to_end(entry)

    def evict(self, name: str | None = None) -> int:
        """Remove one entry by its name, or all; how many there were."""
        chosen = [e for queue in self._queues.values() for e in queue if name is None or e.name == name]
        for entry in chosen:
            self._remove(self._queues[entry.ttl].pop(entry))
        return len(chosen)

    def entries(self) -> list[Entry]:
        """All entries, expired ones included, least recently used first within a lifetime."""
        return [entry for queue in self._queues.values() for entry in queue]

    def _node(self, key: bytes) -> _Node:
        """The node that ends exactly at the key, made if need be."""
        node, at = self._root, 0
        while at < len(key):
            child = node.children.get(key[at : at + DIGEST])
            if child is None:
                return self._add(node, key[at:])
            shared = _shared(child.label, key, at)
            if shared < len(child.label):
                child = self._split(child, shared)
            node, at = child, at + shared
        return node

    def _add(self, parent: _Node, label: bytes) -> _Node:
        node = _Node(label, parent)
        parent.children[label[:DIGEST]] = node
        self._used += NODE_BYTES + len(label)
        return node

    def _split(self, node: _Node, length: int) -> _Node:
        """Put a node above this one that ends after `length` bytes of its label."""
        assert node.parent is not None
        upper = _Node(node.label[:length], node.parent)
        node.parent.children[upper.label[:DIGEST]] = upper
        node.label, node.parent = node.label[length:], upper
        upper.children[node.label[:DIGEST]] = node
        self._used += NODE_BYTES
        return upper

    def _drop_expired(self, now: float) -> None:
        for queue in self._queues.values():
            while queue and not next(iter(queue)).live(now):
                self._drop(queue)

    def _drop(self, queue: OrderedDict[Entry, _Node]) -> None:
        self._remove(queue.popitem(last=False)[1])

    def _remove(self, node: _Node) -> None:
        """Take the entry off and the nodes that served it alone."""
        node.entry = None
        if not node.children and node.parent is not None:
            del node.parent.children[node.label[:DIGEST]]
            self._used -= NODE_BYTES + len(node.label)
            node = node.parent
        if node.parent is not None and node.entry is None and len(node.children) == 1:
            (child,) = node.children.values()
            child.label, child.parent = node.label + child.label, node.parent
            node.parent.children[child.label[:DIGEST]] = child
            self._used -= NODE_BYTES


def _shared(label: bytes, key: bytes, at: int) -> int:
    """Bytes of the label that the key has at this place, in whole digests."""
    if key.startswith(label, at):
        return len(label)
    shared = 0
    while label[shared : shared + DIGEST] == key[at + shared : at + shared + DIGEST]:
        shared += DIGEST
    return shared
