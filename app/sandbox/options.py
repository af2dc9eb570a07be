"""What can be chosen when a sandbox starts. Values only, checked once; nothing here starts anything."""

from dataclasses import dataclass

from app.sandbox.profile import PROFILES, Profile


@dataclass(frozen=True)
class Options:
    """`speed` divides latencies (4 = four times as fast), `seed` makes ids and chunking repeatable, `control` opens
    the control API, `memory_bytes` bounds the cache index, `max_body_bytes` is the API's 32 MB."""

    profile: str = "cookbook"
    speed: float = 1.0
    seed: int = 0
    control: bool = False
    memory_bytes: int = 64 * 1024 * 1024
    max_body_bytes: int = 32 * 1024 * 1024

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise ValueError(f"unknown profile {self.profile!r}: choose one of {', '.join(PROFILES)}")
        if not 0 < self.speed < float("inf"):
            raise ValueError("speed must be a positive number: 1 is the profile's own speed, 4 four times as fast")
        if self.memory_bytes < 1024 or self.max_body_bytes < 1024:
            raise ValueError("memory_bytes and max_body_bytes must be at least 1024")

    @property
    def pace(self) -> Profile:
        return PROFILES[self.profile]
