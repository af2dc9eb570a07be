"""The rules of the prompt cache: what a request reads, what it writes, and what is billed for it. A request looks
once, when it starts; what it writes exists from the moment its response begins, and its lifetime counts from the
request's start. Where the documentation is silent the choice made is listed in docs/sandbox.md."""

from dataclasses import dataclass

from app.sandbox.blocks import Prompt
from app.sandbox.index import Entry, Index, prefix_name

LOOKBACK = 20


@dataclass(frozen=True)
class Usage:
    """Input tokens of one request: `read` + `written_1h` + `written_5m` + `uncached` is the whole prompt."""

    read: int
    written_1h: int
    written_5m: int
    uncached: int

    @property
    def written(self) -> int:
        return self.written_1h + self.written_5m


@dataclass(frozen=True)
class Plan:
    """What one request found when it started: to be billed at once and committed when the response begins."""

    path: list[bytes]
    started_at: float
    hit: Entry | None
    marks: dict[int, str]
    usage: Usage

    def name(self, i: int) -> str:
        """What identifies the prefix that ends at block i, in the log and in the index."""
        return prefix_name(self.path[: i + 2])


class Cache:
    def __init__(self, index: Index) -> None:
        self.index = index

    def look(self, workspace: bytes, prompt: Prompt, now: float) -> Plan:
        path = [workspace, *prompt.path]
        marks = {
            i: block.ttl
            for i, block in enumerate(prompt.blocks)
            if block.ttl is not None and prompt.ends[i] >= prompt.model.minimum
        }
        entries = {i - 1: entry for i, entry in self.index.on_path(path, now).items()} if marks else {}
        hit = _highest_hit(prompt, list(marks), entries)
        usage = _bill(prompt, marks, hit)
        return Plan(path, now, None if hit is None else entries[hit], marks, usage)

    def commit(self, plan: Plan) -> None:
        """Refresh what was read and write one entry for each breakpoint. An entry that is there already is refreshed
        and keeps its own lifetime: nothing was paid for another one."""
        if plan.hit is not None:
            self.index.touch(plan.hit, plan.started_at)
        present = self.index.on_path(plan.path, plan.started_at)
        for i, ttl in plan.marks.items():
            entry = present.get(i + 1)
            if entry is None:
                self.index.put(plan.path[: i + 2], ttl, plan.started_at)
            else:
                self.index.touch(entry, plan.started_at)


def _highest_hit(prompt: Prompt, marks: list[int], entries: dict[int, Entry]) -> int | None:
    """From the last breakpoint backward, at most 20 positions each, counting the breakpoint itself."""
    for mark in reversed(marks):
        i = mark
        while i >= 0 and prompt.steps[mark] - prompt.steps[i] < LOOKBACK:
            if i in entries:
                return i
            i -= 1
    return None


def _bill(prompt: Prompt, marks: dict[int, str], hit: int | None) -> Usage:
    """The documented positions: A the highest hit, B the highest 1h breakpoint after A, C the last breakpoint."""
    a = 0 if hit is None else prompt.ends[hit]
    b = max([a, *(prompt.ends[i] for i, ttl in marks.items() if ttl == "1h")])
    c = max([b, *(prompt.ends[i] for i in marks)])
    return Usage(read=a, written_1h=b - a, written_5m=c - b, uncached=prompt.total - c)
