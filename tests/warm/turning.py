"""Turning time for Headstart: what Redis remembers of a prefix is made older, so that nobody has to wait."""

from redis import Redis

from tests.running import RedisProcess


class Memory:
    """What Redis holds, for a test to look at and to age."""

    def __init__(self, process: RedisProcess) -> None:
        self.redis = Redis.from_url(process.url, decode_responses=True)

    def key(self, pattern: str) -> str:
        (found,) = self.redis.scan_iter(pattern)
        return str(found)

    def warm(self, digest: str) -> dict[str, str]:
        """The record of the prefix `digest`."""
        return {str(name): str(value) for name, value in self.redis.hgetall(self._warm(digest)).items()}

    def age(self, digest: str, seconds: float) -> None:
        """Let `seconds` pass for the prefix `digest`."""
        for field in ("started_ms", "lease_ms", "expires_ms", "failed_ms"):
            if self.redis.hget(self._warm(digest), field):
                self.redis.hincrby(self._warm(digest), field, -round(seconds * 1_000))

    def now_ms(self) -> int:
        seconds, micros = self.redis.time()
        return int(seconds) * 1_000 + int(micros) // 1_000

    def close(self) -> None:
        self.redis.close()

    def _warm(self, digest: str) -> str:
        return self.key(f"hs:warm:*{digest}}}")
