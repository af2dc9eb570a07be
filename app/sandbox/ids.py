"""Names for messages and requests: opaque, unique within a sandbox, and the same again for the same seed and order."""

from hashlib import blake2b
from itertools import count

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class Ids:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = count()

    def new(self, prefix: str) -> str:
        digest = blake2b(f"{self._seed}/{prefix}/{next(self._count)}".encode(), digest_size=18).digest()
        number = int.from_bytes(digest, "big")
        letters = []
        for _ in range(22):
            number, rest = divmod(number, len(_ALPHABET))
            letters.append(_ALPHABET[rest])
        return f"{prefix}_01{''.join(letters)}"
