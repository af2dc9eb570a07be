"""Random sequences of requests, clock moves and evictions against a reference written in the plainest way: a list of
full prefixes. Read, written and uncached tokens must agree every time. Run more steps by hand with

    python -m tests.sandbox.test_model_based 200000
"""

import json
import sys
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.sandbox.clock import Clock
from app.sandbox.engine import Engine, Exchange, count
from app.sandbox.options import Options
from tests.sandbox.prompts import assistant, text, tool, user

SECONDS = {"5m": 300, "1h": 3600}
MINIMUM = {"claude-sonnet-4-5": 1024, "claude-opus-4-6": 4096}
SIZES = (20, 60, 600)
TOOL = 150
STEPS = 40


@dataclass(frozen=True)
class Item:
    """One block: what it says, how it is marked. `calls` stands for that many tool uses and as many results."""

    name: str
    size: int
    mark: str | None = None
    calls: int = 0


@dataclass
class Request:
    workspace: str
    model: str
    tools: list[Item]
    system: list[Item]
    messages: list[Item]
    choice: str
    automatic: str | None


@dataclass
class Flat:
    """A block of the reference: its level and content, its size, its mark, and the run of tool blocks it is in."""

    content: tuple[str, ...]
    size: int
    mark: str | None
    run: str | None


@dataclass(eq=False)
class Written:
    prefix: list[object]
    ttl: str
    used_at: float


@dataclass
class Pending:
    """A request that has started and not begun to respond."""

    exchange: Exchange
    prefixes: dict[int, list[object]]
    marks: dict[int, str]
    hit: Written | None
    started_at: float = field(default=0.0)


def flatten(request: Request, sizes: dict[str, int]) -> list[Flat]:
    blocks = [Flat(("tools", i.name), sizes[f"tool {i.name}"], i.mark, None) for i in request.tools]
    blocks += [Flat(("system", i.name, str(i.size)), i.size, i.mark, None) for i in request.system]
    for item in request.messages:
        for role, kind in (("assistant", "tool_use"), ("user", "tool_result")):
            for n in range(item.calls):
                blocks.append(Flat((role, kind, f"{item.name}.{n}"), sizes[kind], None, kind))
        blocks.append(Flat(("user", item.name, str(item.size)), item.size, item.mark, None))
    if request.automatic:
        blocks[-1].mark = request.automatic
    return blocks


def prefix(request: Request, blocks: list[Flat], end: int) -> list[object]:
    """Everything that stands before the end of this block, settings of its level included."""
    whole: list[object] = [request.workspace, request.model]
    whole += [b.content for b in blocks[: end + 1]]
    if blocks[end].content[0] in ("user", "assistant"):
        whole.append(("choice", request.choice))
    return whole


def render(request: Request) -> dict[str, Any]:
    def marked(item: Item, block: dict[str, Any]) -> dict[str, Any]:
        return {**block, "cache_control": {"type": "ephemeral", "ttl": item.mark}} if item.mark else block

    messages: list[Any] = [user(text("start", 10))]
    for item in request.messages:
        names = [f"{item.name}.{n}" for n in range(item.calls)]
        if names:
            messages.append(assistant(*({"type": "tool_use", "id": n, "name": "t", "input": {}} for n in names)))
        results = [{"type": "tool_result", "tool_use_id": n, "content": "r"} for n in names]
        messages.append(user(*results, marked(item, text(item.name, item.size))))
    body: dict[str, Any] = {"model": request.model, "max_tokens": 0, "messages": messages}
    if request.tools:
        body["tools"] = [marked(item, tool(item.name, size=TOOL)) for item in request.tools]
        body["tool_choice"] = {"type": request.choice}
    if request.system:
        body["system"] = [marked(item, text(item.name, item.size)) for item in request.system]
    if request.automatic:
        body["cache_control"] = {"type": "ephemeral", "ttl": request.automatic}
    return body


items = st.builds(Item, st.sampled_from("abcdefgh"), st.sampled_from(SIZES))
runs = st.builds(Item, st.sampled_from("wxyz"), st.sampled_from(SIZES), calls=st.integers(1, 8))
turns = st.lists(items | items | items | runs, min_size=1, max_size=4) | st.lists(
    items | runs, min_size=15, max_size=22
)


durations = st.sampled_from([0, 1, 30, 150, 151, 200, 250, 299, 300, 301, 1800, 3599, 3600])


class CacheMachine(RuleBasedStateMachine):
    steps = 0
    requests = 0
    hits = 0

    @initialize(system=st.lists(items, max_size=2), tools=st.sampled_from([("t",), ("t", "u")]))
    def begin_machine(self, system: list[Item], tools: tuple[str, ...]) -> None:
        self.clock = Clock("frozen", start=0)
        self.engine = Engine(Options(profile="instant"), self.clock)
        self.system = system
        self.tools = [Item(name, TOOL) for name in tools]
        self.conversation = [Item("a", 600), Item("b", 600), Item("c", 60)]
        self.written: list[Written] = []
        self.pending: list[Pending] = []
        self.marked: list[int] = []
        self.last: Request | None = None
        self.sizes = {f"tool {item.name}": self._count_tool(item) for item in self.tools}
        self.sizes |= self._count_calls()

    @rule(more=turns)
    def continue_conversation(self, more: list[Item]) -> None:
        self.conversation = (self.conversation + more)[:120]

    @rule(place=st.integers(0, 60), item=items)
    def edit_an_earlier_turn(self, place: int, item: Item) -> None:
        """Or put back what stood there: the same few names and sizes come again."""
        self.conversation[-1 - place % len(self.conversation)] = item

    @rule(length=st.integers(1, 60))
    def go_back(self, length: int) -> None:
        self.conversation = self.conversation[:length]

    @rule(seconds=durations)
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(data=st.data(), at_once=st.booleans())
    def send(self, data: st.DataObject, at_once: bool) -> None:
        self._send(self._request(data), at_once)

    @precondition(lambda self: self.last)
    @rule(waits=st.lists(durations, min_size=1, max_size=3), at_once=st.booleans())
    def ask_the_same_again_later(self, waits: list[int], at_once: bool) -> None:
        assert self.last is not None
        for seconds in waits:
            self.clock.advance(seconds)
            self._send(self.last, at_once)

    @precondition(lambda self: self.last)
    @rule(more=st.lists(items | runs, min_size=1, max_size=7) | st.lists(items, min_size=18, max_size=21))
    def append_to_the_last_request(self, more: list[Item]) -> None:
        """As a conversation grows: nothing before is changed, only the new end is marked."""
        assert self.last is not None
        unmarked = [replace(item, mark=None) for item in self.last.messages]
        grown = replace(self.last, messages=(unmarked + more)[:120], automatic=self.last.automatic or "5m")
        grown.tools, grown.system = ([replace(i, mark=None) for i in part] for part in (grown.tools, grown.system))
        self._send(grown, at_once=True)

    def _send(self, request: Request, at_once: bool) -> None:
        self.last = request
        blocks = flatten(request, self.sizes)
        blocks.insert(len(request.tools) + len(request.system), Flat(("user", "start"), 10, None, None))
        now = self.clock.now()
        body = render(request)
        exchange = self.engine.accept(json.dumps(body).encode(), request.workspace)
        pending = self._expect(request, blocks, exchange, now)
        self.pending.append(pending)
        if at_once:
            self._begin(pending)

    @precondition(lambda self: self.pending)
    @rule(data=st.data(), given_up=st.booleans())
    def a_response_begins_or_is_given_up(self, data: st.DataObject, given_up: bool) -> None:
        pending = data.draw(st.sampled_from(self.pending))
        if given_up:
            self.pending.remove(pending)
        else:
            self._begin(pending)

    @precondition(lambda self: self.written)
    @rule(everything=st.booleans(), data=st.data())
    def evict(self, everything: bool, data: st.DataObject) -> None:
        if everything:
            self.engine.cache.index.evict()
            self.written = []
            return
        live = [e for e in self.engine.cache.index.entries() if e.live(self.clock.now())]
        if not live:
            return
        entry = data.draw(st.sampled_from(live))
        twins = [w for w in self.written if (w.ttl, w.used_at) == (entry.ttl, entry.used_at)]
        if len(twins) == 1:
            self.engine.cache.index.evict(entry.name)
            self.written.remove(twins[0])

    @invariant()
    def note_a_step(self) -> None:
        CacheMachine.steps += 1

    def _request(self, data: st.DataObject) -> Request:
        choice = data.draw(st.sampled_from(["auto"] * 7 + ["none"]))
        request = Request(
            workspace=data.draw(st.sampled_from(["one"] * 7 + ["two"])),
            model=data.draw(st.sampled_from(["claude-sonnet-4-5"] * 7 + ["claude-opus-4-6"])),
            tools=list(self.tools),
            system=list(self.system),
            messages=list(self.conversation),
            choice=choice,
            automatic=None,
        )
        places = [(part, i) for part in (request.tools, request.system, request.messages) for i in range(len(part))]
        last = len(places) - 1
        usual = st.sampled_from([place for place in (*self.marked, last) if place <= last])
        chosen = data.draw(st.lists(usual | usual | st.integers(0, last), max_size=4, unique=True).map(sorted))
        self.marked = [*self.marked, *chosen][-6:]
        hours = data.draw(st.sampled_from([0, 0, 1, 2]).map(lambda n: min(n, len(chosen))))
        for n, place in enumerate(chosen):
            part, i = places[place]
            part[i] = Item(part[i].name, part[i].size, "1h" if n < hours else "5m", part[i].calls)
        if len(chosen) < 4 and last not in chosen and data.draw(st.booleans()):
            request.automatic = "1h" if hours == len(chosen) and data.draw(st.booleans()) else "5m"
        return request

    def _expect(self, request: Request, blocks: list[Flat], exchange: Exchange, now: float) -> Pending:
        """Work out by brute force what this request reads and writes, and compare."""
        ends = list(accumulate(block.size for block in blocks))
        marks = {i: b.mark for i, b in enumerate(blocks) if b.mark and ends[i] >= MINIMUM[request.model]}
        prefixes = {i: prefix(request, blocks, i) for i in marks}
        hit_at, hit = None, None
        for mark in reversed(marks):
            position, i = 1, mark
            while i >= 0 and position <= 20 and hit is None:
                same = prefix(request, blocks, i)
                found = [w for w in self.written if w.prefix == same and now - w.used_at < SECONDS[w.ttl]]
                if found:
                    hit_at, hit = i, found[0]
                i -= 1
                if i >= 0 and not (blocks[i].run and blocks[i].run == blocks[i + 1].run):
                    position += 1
            if hit is not None:
                break
        a = 0 if hit_at is None else ends[hit_at]
        b = max([a] + [ends[i] for i, ttl in marks.items() if ttl == "1h"])
        c = max([b] + [ends[i] for i in marks])
        usage = exchange.plan.usage
        CacheMachine.requests += 1
        CacheMachine.hits += usage.read > 0
        expected = (a, b - a, c - b, ends[-1] - c)
        assert (usage.read, usage.written_1h, usage.written_5m, usage.uncached) == expected
        return Pending(exchange, prefixes, {i: str(ttl) for i, ttl in marks.items()}, hit, now)

    def _begin(self, pending: Pending) -> None:
        self.pending.remove(pending)
        self.engine.cache.commit(pending.exchange.plan)
        if pending.hit in self.written and pending.hit is not None:
            pending.hit.used_at = max(pending.hit.used_at, pending.started_at)
        for i, ttl in pending.marks.items():
            same = [w for w in self.written if w.prefix == pending.prefixes[i]]
            live = [w for w in same if pending.started_at - w.used_at < SECONDS[w.ttl]]
            if live:
                live[0].used_at = max(live[0].used_at, pending.started_at)
            else:
                self.written = [w for w in self.written if w not in same]
                self.written.append(Written(pending.prefixes[i], ttl, pending.started_at))

    def _count_tool(self, item: Item) -> int:
        asked = {"model": "claude-sonnet-4-5", "messages": [user(text("q", 10))]}
        with_tool = {**asked, "tools": [tool(item.name, size=TOOL)]}
        return count(json.dumps(with_tool).encode()) - 10

    def _count_calls(self) -> dict[str, int]:
        """Tokens of one tool use and of one result, as the sandbox counts them: the reference judges no tokenizer."""
        use = assistant({"type": "tool_use", "id": "w.0", "name": "t", "input": {}})
        result = user({"type": "tool_result", "tool_use_id": "w.0", "content": "r"})
        counts = []
        for messages in ([user(text("q", 10)), use], [user(text("q", 10)), use, result]):
            body = {"model": "claude-sonnet-4-5", "messages": messages}
            counts.append(count(json.dumps(body).encode()) - 10)
        return {"tool_use": counts[0], "tool_result": counts[1] - counts[0]}


def run(examples: int, *, derandomize: bool) -> None:
    run_state_machine_as_test(
        CacheMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            derandomize=derandomize,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_2000_random_steps_agree_with_the_brute_force_reference() -> None:
    CacheMachine.steps = 0
    run(150, derandomize=True)
    assert CacheMachine.steps >= 2000


if __name__ == "__main__":
    wanted = int(sys.argv[1])
    while CacheMachine.steps < wanted:
        run(1000, derandomize=False)
        print(
            f"{CacheMachine.steps} steps, {CacheMachine.requests} requests, {CacheMachine.hits} hits: no disagreement"
        )
