"""The simulation's world: conversations that go on in pure time, an upstream that keeps the rules of prompt caching at the
cookbook's speed and at list prices, and the four ways of warming.

Every way has the same mechanics: one call per prefix, questions join it, breakpoints in the right places. They differ in
when they warm and for how long. `Headstart` decides with the product's own arithmetic (`policy.weigh` and `Odds`,
`lifetime.choose_ttl`) and learns, from its prior on, what Redis would learn. Output tokens cost the same under all and are
left out.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Protocol

from app.models import find_model
from app.prompt.context import Ttl
from app.settings import Settings
from app.warm.lifetime import Gaps, choose_ttl
from app.warm.policy import Odds, Prospect, Trigger, too_short, weigh
from bench.habits import Place, Round, Visit

Name = tuple[object, ...]

BASE_S, UNCACHED_PER_S, CACHED_PER_S = 0.5, 7_440, 105_000
ANSWER_S, TURN_TOKENS = 7.0, 500
TTL_S = {"5m": 300.0, "1h": 3600.0}
MARGIN_S, RETRY_S, PING_EVERY_S = 30.0, 10.0, 240.0
VALUE_OF_SECOND_USD = float(Settings.model_fields["value_of_second_usd"].default)
# What learn_odds.lua and note_use.lua keep of older counts.
ODDS_FADE, USES_FADE = 0.99, 0.98


@dataclass(slots=True)
class Entry:
    """A cached prefix: there from `begins_s`, until `ends_s`; `trigger` is that of the warm that no question used yet."""

    begins_s: float
    ends_s: float
    trigger: Trigger | None = None


@dataclass(slots=True)
class Conversation:
    """A visit as it goes on. A prefix is named by the conversation and its turns so far; before the first, by its place."""

    number: int
    visit: Visit
    ttl: Ttl
    turns: int = 0
    tried_s: float = float("-inf")

    def prefixes(self) -> list[tuple[Name, int]]:
        """Every cacheable prefix, the shortest first: its name, and its tokens."""
        place = self.visit.place
        turns = range(1, self.turns + 1)
        later = [((self.number, turn), place.tokens + turn * TURN_TOKENS) for turn in turns]
        return [((place.name, self.ttl), place.tokens), *later]


@dataclass(slots=True)
class Tally:
    """What a day came to."""

    usd: float = 0.0
    warm_usd: float = 0.0
    waits_s: list[float] = field(default_factory=list)
    warms: int = 0

    @property
    def waiting_s(self) -> float:
        return sum(self.waits_s)

    @property
    def total_usd(self) -> float:
        """Money and time in one."""
        return self.usd + VALUE_OF_SECOND_USD * self.waiting_s


class Way(Protocol):
    """A way of warming: what it does with triggers, how long entries live, what it learns."""

    blind: bool
    pings: bool

    def ttl(self, place: Place, now: float) -> Ttl: ...
    def wants(self, place: Place, trigger: Trigger, ttl: Ttl, new: int, cached: int) -> bool: ...
    def warmed(self, place: Place, trigger: Trigger) -> None: ...
    def used(self, place: Place, trigger: Trigger) -> None: ...
    def asked(self, place: Place, now: float) -> None: ...


@dataclass
class Fixed:
    """A way that decides nothing."""

    on_focus: bool = False
    pings: bool = False
    blind: bool = True

    def ttl(self, place: Place, now: float) -> Ttl:
        del place, now
        return "5m"

    def wants(self, place: Place, trigger: Trigger, ttl: Ttl, new: int, cached: int) -> bool:
        del place, ttl, new, cached
        return self.on_focus and trigger != "keystroke"

    def warmed(self, place: Place, trigger: Trigger) -> None:
        pass

    def used(self, place: Place, trigger: Trigger) -> None:
        pass

    def asked(self, place: Place, now: float) -> None:
        pass


class Headstart:
    """The product's own decisions."""

    blind = False
    pings = False

    def __init__(self) -> None:
        self._odds: dict[tuple[str, Trigger], tuple[float, float]] = {}
        self._gaps: dict[str, tuple[float, float, float]] = {}
        self._last: dict[str, float] = {}

    def ttl(self, place: Place, now: float) -> Ttl:
        del now
        gaps = Gaps(*self._gaps.get(place.name, (0.0, 0.0, 0.0)))
        return choose_ttl(gaps, find_model(place.model).prices_for(place.tokens))

    def wants(self, place: Place, trigger: Trigger, ttl: Ttl, new: int, cached: int) -> bool:
        model, prospect = find_model(place.model), Prospect(new, cached, new + cached, counted=True)
        odds = Odds(*self._odds.get((place.name, trigger), (0.0, 0.0)))
        worth = weigh(model, prospect, ttl, odds, trigger, None, VALUE_OF_SECOND_USD)
        return not too_short(model, prospect) and (worth.value_usd is None or worth.value_usd > 0)

    def warmed(self, place: Place, trigger: Trigger) -> None:
        asked, unused = self._odds.get((place.name, trigger), (0.0, 0.0))
        self._odds[place.name, trigger] = asked * ODDS_FADE, unused * ODDS_FADE + 1

    def used(self, place: Place, trigger: Trigger) -> None:
        asked, unused = self._odds.get((place.name, trigger), (0.0, 0.0))
        self._odds[place.name, trigger] = asked + 1, max(0.0, unused - 1)

    def asked(self, place: Place, now: float) -> None:
        last = self._last.get(place.name)
        self._last[place.name] = now
        if last is None:
            return
        found = 0 if now - last <= TTL_S["5m"] else 1 if now - last <= TTL_S["1h"] else 2
        short, middle, long = (
            gaps * USES_FADE + (number == found)
            for number, gaps in enumerate(self._gaps.get(place.name, (0.0, 0.0, 0.0)))
        )
        self._gaps[place.name] = short, middle, long


class Simulation:
    """One way of warming through any number of days."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.tally = Tally()
        self._entries: dict[Name, Entry] = {}
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()

    def run(self, visits: Sequence[Visit], until_s: float) -> Tally:
        """The days' tally."""
        for number, visit in enumerate(visits):
            self._at(visit.at_s, partial(self._arrive, number, visit))
        if self.way.pings:
            for place in {visit.place.name: visit.place for visit in visits}.values():
                self._at(0.0, partial(self._ping, place, until_s))
        while self._events:
            now, _, act = heapq.heappop(self._events)
            act(now)
        return self.tally

    def _at(self, when: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), act))

    def _ping(self, place: Place, until_s: float, now: float) -> None:
        self._warm(Conversation(-1, Visit(now, place, ()), self.way.ttl(place, now)), "api", now)
        if now + PING_EVERY_S < until_s:
            self._at(now + PING_EVERY_S, partial(self._ping, place, until_s))

    def _arrive(self, number: int, visit: Visit, now: float) -> None:
        self._focus(Conversation(number, visit, self.way.ttl(visit.place, now)), iter(visit.rounds), now)

    def _focus(self, talk: Conversation, rounds: Iterator[Round], now: float) -> None:
        this = next(rounds, None)
        if this is None:
            return
        focus = now + this.away_s
        self._at(focus, lambda at: self._trigger(talk, "visible" if this.comes_back else "focus", at))
        if this.typing_s is None:
            self._at(focus + this.think_s, lambda at: self._focus(talk, rounds, at))
            return
        typed = focus + this.think_s + this.typing_s
        # Keys that are pressed while the page may not ask again yet are heard a little later.
        for after in (this.think_s, RETRY_S):
            if this.think_s <= after < this.think_s + this.typing_s:
                self._at(focus + after, lambda at: self._trigger(talk, "keystroke", at))
        follow = self._ask if this.asks else self._focus
        self._at(typed, lambda at: follow(talk, rounds, at))

    def _trigger(self, talk: Conversation, trigger: Trigger, now: float) -> None:
        if trigger == "keystroke" and now - talk.tried_s < RETRY_S:
            return
        name, tokens = talk.prefixes()[-1]
        entry = self._entries.get(name)
        if entry and not self.way.blind and now < entry.ends_s - MARGIN_S:
            return
        talk.tried_s = now
        cached = max((size for prefix, size in talk.prefixes()[:-1] if self._live(prefix, now)), default=0)
        if self.way.wants(talk.visit.place, trigger, talk.ttl, tokens - cached, cached):
            self._warm(talk, trigger, now)

    def _warm(self, talk: Conversation, trigger: Trigger, now: float) -> None:
        entry = self._entries.get(talk.prefixes()[-1][0])
        if entry and entry.begins_s > now:
            return
        fresh = not self._live(talk.prefixes()[-1][0], now)
        _, usd = self._call(talk, now, trigger)
        self.tally.warm_usd += usd
        self.tally.warms += 1
        if fresh:
            self.way.warmed(talk.visit.place, trigger)

    def _ask(self, talk: Conversation, rounds: Iterator[Round], now: float) -> None:
        name, _ = talk.prefixes()[-1]
        entry = self._entries.get(name)
        # One that is being written is joined, and then read.
        joined = max(0.0, entry.begins_s - now) if entry else 0.0
        trigger = entry.trigger if entry and now < entry.ends_s else None
        took, _ = self._call(talk, now + joined, None)
        if trigger is not None:
            self.way.used(talk.visit.place, trigger)
        self.way.asked(talk.visit.place, now)
        self.tally.waits_s.append(joined + took)
        talk.turns += 1
        self._at(now + joined + took + ANSWER_S, lambda at: self._focus(talk, rounds, at))

    def _call(self, talk: Conversation, now: float, trigger: Trigger | None) -> tuple[float, float]:
        """One call to the upstream: how long until it begins, and what its input costs. It writes what is not cached."""
        place, prefixes = talk.visit.place, talk.prefixes()
        name, tokens = prefixes[-1]
        read = max((size for prefix, size in prefixes if self._live(prefix, now)), default=0)
        took = BASE_S + (tokens - read) / UNCACHED_PER_S + read / CACHED_PER_S
        ends = now + TTL_S[talk.ttl]
        for prefix, size in prefixes:
            if self._live(prefix, now):
                self._entries[prefix].ends_s = max(self._entries[prefix].ends_s, ends)
            elif size > read:
                self._entries[prefix] = Entry(now + took, ends)
        self._entries[name].trigger = trigger if read < tokens else self._entries[name].trigger if trigger else None
        prices = find_model(place.model).prices_for(tokens)
        assert prices is not None
        write = prices.write_1h if talk.ttl == "1h" else prices.write_5m
        usd = (read * prices.read + (tokens - read) * write) / 1e6
        self.tally.usd += usd
        return took, usd

    def _live(self, prefix: Name, now: float) -> bool:
        entry = self._entries.get(prefix)
        return entry is not None and entry.begins_s <= now < entry.ends_s


WAYS: dict[str, Callable[[], Way]] = {
    "never": Fixed,
    "on every focus": lambda: Fixed(on_focus=True),
    "every 4 min": lambda: Fixed(pings=True),
    "Headstart": Headstart,
}
