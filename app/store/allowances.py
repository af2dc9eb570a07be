"""What owners have used of what they may: token buckets, and which owners an address has brought. By Redis's clock."""

from app.store import keys
from app.store.connection import Store
from app.store.spending import Bucket


class Allowances:
    """The allowances in `store`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def take(self, bucket: Bucket, count: int = 1) -> float:
        """Take `count` tokens from `bucket`: 0, or the seconds until there are so many, and then nothing is taken."""
        taken = [bucket.capacity, bucket.per_second, count]
        wait_ms = await self._store.run("take_token", [keys.bucket(bucket.name)], taken)
        return int(wait_ms) / 1000

    async def give_back(self, bucket: Bucket) -> None:
        """Put a token back that was taken for nothing."""
        await self._store.run("give_token", [keys.bucket(bucket.name)], [bucket.capacity])

    async def bring(self, owner: str, kept_s: int) -> bool:
        """Whether `owner` is new: nobody has brought it within `kept_s`."""
        return bool(await self._store.do("SET", keys.brought(owner), "", "NX", "EX", kept_s))

    async def send_away(self, owner: str) -> None:
        """`owner` was not let in after all."""
        await self._store.do("DEL", keys.brought(owner))
