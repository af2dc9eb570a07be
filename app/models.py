"""What is known about each model: sizes, cache minimum, prices, and which parameters it takes.

One table, read by every room. A value that could not be found is None and stays unknown: nothing here is guessed, and
an id that is not in the table works, with everything about it unknown. Each row names its source and the date of what
that source says; sources are pages of Anthropic's public documentation, under `SOURCES`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

DEFAULT_MODEL = "claude-sonnet-5-5"

SOURCES = {
    "overview": "platform.claude.com/docs/en/models/haiku-5-5/overview (line-up of the 5.1 and 5.5 models)",
    "pricing": "platform.claude.com/docs/en/about-claude/pricing",
    "models": "platform.claude.com/docs/en/about-claude/models/overview",
    "sonnet-5-5": "platform.claude.com/docs/en/models/sonnet-5-5/migration-guide",
    "thinking": "platform.claude.com/docs/en/build-with-claude/thinking-troubleshooting",
    "caching": "platform.claude.com/docs/en/build-with-claude/prompt-caching (minimum lengths)",
    "fable-5-2": "two resellers' pages and a price checker's release notes that quote the pricing page",
}


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per million tokens."""

    input: float
    write_5m: float
    write_1h: float
    read: float
    output: float


@dataclass(frozen=True, slots=True)
class Model:
    """One model. Sizes are tokens; `prices` hold for prompts of up to `tier` tokens, `prices_above` beyond it.

    `thinking` and `efforts` are the values that a request may name, `None` when unknown, empty when the model takes none.
    `thinking_off_up_to` is the highest effort at which thinking may be turned off, where there is one.
    """

    id: str
    context_window: int | None = None
    max_output: int | None = None
    min_cacheable: int | None = None
    prices: Prices | None = None
    tier: int | None = None
    prices_above: Prices | None = None
    thinking: frozenset[str] | None = None
    thinks_by_default: bool | None = None
    efforts: tuple[str, ...] | None = None
    thinking_off_up_to: str | None = None
    sampling: bool | None = None
    prefill: bool | None = None
    source: str = ""
    as_of: str = ""

    @property
    def max_pages(self) -> int | None:
        """The most pages of PDF in one request: platform.claude.com/docs/en/build-with-claude/pdf-support, 2026-11-21."""
        if self.context_window is None:
            return None
        return 100 if self.context_window <= 200_000 else 600

    def prices_for(self, prompt_tokens: int) -> Prices | None:
        """The prices of a request whose whole input, cached or not, is `prompt_tokens`."""
        if self.tier is not None and prompt_tokens > self.tier:
            return self.prices_above
        return self.prices


_FIVE = ("low", "medium", "high", "xhigh", "max")
_FOUR = ("low", "medium", "high", "max")
_NEVER_OFF = frozenset({"adaptive"})
_CAN_BE_OFF = frozenset({"adaptive", "disabled"})
_MANUAL = frozenset({"enabled", "disabled"})
_BOTH = frozenset({"adaptive", "enabled", "disabled"})

_OPUS = Prices(5, 6.25, 10, 0.50, 25)
_FABLE_5 = Prices(10, 12.50, 20, 1, 50)
_FABLE_5_1 = Prices(10, 12.50, 20, 0.25, 50)
_FABLE_5_2 = Prices(8, 10, 16, 0.20, 40)
_SONNET_4 = Prices(3, 3.75, 6, 0.30, 15)

_LATEST = Model(
    id="",
    context_window=1_000_000,
    max_output=128_000,
    min_cacheable=512,
    thinking=_NEVER_OFF,
    thinks_by_default=True,
    efforts=_FIVE,
    sampling=False,
    prefill=False,
    source="overview",
    as_of="2026-10-08",
)
_EARLIER = replace(_LATEST, source="models", as_of="2026-10-01")
_SIX = replace(_EARLIER, thinking=_BOTH, thinks_by_default=False, efforts=_FOUR, sampling=True)
_FOUR_FIVE = replace(
    _EARLIER,
    context_window=200_000,
    max_output=64_000,
    min_cacheable=4_096,
    thinking=_MANUAL,
    thinks_by_default=False,
    efforts=(),
    sampling=True,
    prefill=True,
)


def _rows() -> Iterable[Model]:
    # Haiku 5.5 is the one model priced by prompt length. That cached tokens count towards that length is inferred from
    # "all three count toward the window" (context windows page); the pricing page does not say.
    yield replace(
        _LATEST,
        id="claude-haiku-5-5",
        prices=Prices(0.10, 0.125, 0.20, 0.01, 0.50),
        tier=100_000,
        prices_above=Prices(0.50, 0.625, 1, 0.05, 2.50),
        thinking=_CAN_BE_OFF,
        thinking_off_up_to="high",
    )
    # Its cache reads were $0.20 until 2026-10-07.
    yield replace(
        _LATEST,
        id="claude-sonnet-5-5",
        prices=Prices(2, 2.50, 4, 0.10, 10),
        thinking=frozenset({"adaptive", "between_tools"}),
        thinking_off_up_to="high",
        source="sonnet-5-5",
    )
    yield replace(_LATEST, id="claude-opus-5-5", prices=Prices(4, 5, 8, 0.20, 20))
    yield replace(_LATEST, id="claude-fable-5-1", prices=_FABLE_5_1)
    yield replace(_LATEST, id="claude-mythos-5-1", prices=_FABLE_5_1, source="pricing")
    # How long a prompt they cache was not found.
    fable_5_2 = replace(_LATEST, min_cacheable=None, prices=_FABLE_5_2, source="fable-5-2", as_of="2026-11-10")
    yield replace(fable_5_2, id="claude-fable-5-2")
    yield replace(fable_5_2, id="claude-mythos-5-2")
    yield replace(
        _EARLIER,
        id="claude-sonnet-5",
        min_cacheable=1_024,
        prices=Prices(2, 2.50, 4, 0.20, 10),
        thinking=_CAN_BE_OFF,
    )
    yield replace(_EARLIER, id="claude-opus-5", prices=_OPUS, thinking=_CAN_BE_OFF, thinking_off_up_to="high")
    yield replace(_EARLIER, id="claude-fable-5", prices=_FABLE_5)
    yield replace(_EARLIER, id="claude-mythos-5", prices=_FABLE_5)
    eight = replace(_EARLIER, prices=_OPUS, thinking=_CAN_BE_OFF, thinks_by_default=False, source="thinking")
    yield replace(eight, id="claude-opus-4-8", min_cacheable=1_024)
    yield replace(eight, id="claude-opus-4-7", min_cacheable=2_048)
    yield Model(
        "claude-mythos-preview",
        context_window=1_000_000,
        min_cacheable=2_048,
        thinking=frozenset({"adaptive", "enabled"}),
        thinks_by_default=True,
        efforts=_FOUR,
        source="caching",
        as_of="2026-10-03",
    )
    yield replace(_SIX, id="claude-opus-4-6", min_cacheable=4_096, prices=_OPUS)
    yield replace(_SIX, id="claude-sonnet-4-6", min_cacheable=1_024, prices=_SONNET_4)
    for opus in ("claude-opus-4-5", "claude-opus-4-5-20251101"):
        yield replace(_FOUR_FIVE, id=opus, prices=_OPUS, efforts=("low", "medium", "high"))
    for sonnet in ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"):
        yield replace(_FOUR_FIVE, id=sonnet, min_cacheable=1_024, prices=_SONNET_4)
    for haiku in ("claude-haiku-4-5", "claude-haiku-4-5-20251001"):
        yield replace(_FOUR_FIVE, id=haiku, prices=Prices(1, 1.25, 2, 0.10, 5))


MODELS = {model.id: model for model in _rows()}


_DATED = re.compile(r"-\d{8}$")

# Rows that this deployment's settings add to the table, or put in the place of its own.
_LOCAL: dict[str, Model] = {}
# The models that may be asked here; empty for any.
_USABLE: list[str] = []


def find_model(model: str) -> Model:
    """The row of `model`, or one in which all is unknown."""
    return _LOCAL.get(model) or MODELS.get(model) or Model(model)


def is_known(model: str) -> bool:
    """Whether `model` has a row, and so a place in figures: ids come from anybody, and there is no end of them."""
    return model in _LOCAL or model in MODELS


def refusal(model: str) -> str | None:
    """Why `model` may not be asked here; None if it may."""
    if not _USABLE or model in _USABLE:
        return None
    return f"{model} is not asked here; {', '.join(_USABLE)} can be"


def offered_models() -> list[Model]:
    """What a reader can choose from: what may be asked here, or else the deployment's own first, and of the table no dated
    one of a model that is there."""
    if _USABLE:
        return [find_model(model) for model in _USABLE]
    others = [model for id, model in MODELS.items() if id not in _LOCAL and not _DATED.search(id)]
    return [*_LOCAL.values(), *others]


def set_local_models(prices: Mapping[str, Prices], named: Iterable[str] = (), usable: Sequence[str] = ()) -> None:
    """From now on in this process, models cost what `prices` says, at every length, the ones `named` have a row, and those
    that are `usable` alone may be asked, or any if none is."""
    _USABLE[:] = usable
    _LOCAL.clear()
    _LOCAL.update({model: find_model(model) for model in (*named, *usable)})
    _LOCAL.update({id: replace(find_model(id), prices=own, tier=None, prices_above=None) for id, own in prices.items()})
