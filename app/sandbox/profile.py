"""How fast the sandbox pretends to be. The numbers of `cookbook` are a fit to one published measurement and claim
nothing about today's latency; `instant` takes no time at all. Speed divides latencies only: cache lifetimes run on the
sandbox's clock, unscaled."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """`inf` tokens a second means: takes no time."""

    name: str
    base_s: float
    uncached_tokens_s: float
    cached_tokens_s: float
    output_tokens_s: float
    answer_tokens: int
    thinking_tokens: int
    source: str

    def reading_s(self, read: int, uncached: int) -> float:
        """Seconds from the request's start until the response begins."""
        return self.base_s + uncached / self.uncached_tokens_s + read / self.cached_tokens_s

    def writing_s(self, tokens: float) -> float:
        return tokens / self.output_tokens_s


_COOKBOOK = (
    "Anthropic cookbook, speculative prompt caching: 151,629 tokens, cold TTFT 20.87 s (total 28.32 s, 362 output "
    "tokens), warm TTFT 1.94 s (total 8.40 s, 330 output tokens)"
)
_INF = float("inf")

PROFILES = {
    "cookbook": Profile("cookbook", 0.5, 7_440, 105_000, 51, answer_tokens=340, thinking_tokens=40, source=_COOKBOOK),
    "instant": Profile("instant", 0.0, _INF, _INF, _INF, answer_tokens=340, thinking_tokens=40, source="no latency"),
}
