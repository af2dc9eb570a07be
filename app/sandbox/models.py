"""The models the sandbox knows, and what the documentation says each accepts. One row a model, each with its source;
where a number was not found in public text the row says so and what was taken instead. Unknown ids are 404."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from app.sandbox.tokens import NEWER_FACTOR

_CACHING = "platform docs, prompt-caching#cache-limitations and thinking-troubleshooting#supported-models (2026-09-26)"
_HAIKU_55 = "platform docs, models/haiku-5-5 overview and what's new (2026-10); minimum from a vendor's comparison"
_SONNET_55 = "platform docs, models/sonnet-5-5 (2026-09); minimum: prompt-caching page (2026-10-01)"
_UNKNOWN = "1970-01-01"
"""The API's own stand-in for a release date that is not known."""
_ON_FABLE_52 = "platform docs, models/fable-5-2/whats-new-fable-5-2; minimum not found, Fable 5.1's 512 assumed"


@dataclass(frozen=True)
class Model:
    """`minimum`: smallest cacheable prefix in tokens. `thinking`: what it does when the request says nothing.
    `accepts`: thinking types that are not refused. `omits`: thinking text is left out by default. `binds`: a thinking
    block is valid only after the very history that produced it. `keeps`: earlier turns' thinking stays in the prompt.
    `mid_system`: takes role "system" inside messages. `off_up_to_high`: thinking types refused at effort xhigh and
    max. `sampling`, `prefill`, `forced_tools`: accepted at all."""

    id: str
    name: str
    line: str
    created: str
    minimum: int
    context: int = 1_000_000
    max_output: int = 128_000
    thinking: Literal["always", "on", "off"] = "on"
    accepts: frozenset[str] = frozenset({"adaptive"})
    efforts: tuple[str, ...] = ("low", "medium", "high", "xhigh", "max")
    default_effort: str | None = "high"
    omits: bool = True
    sampling: bool = False
    prefill: bool = False
    forced_tools: bool = True
    newer_tokenizer: bool = True
    binds: bool = False
    keeps: bool = True
    mid_system: bool = False
    off_up_to_high: frozenset[str] = frozenset()
    source: str = _CACHING

    @property
    def token_factor(self) -> float:
        return NEWER_FACTOR if self.newer_tokenizer else 1.0

    @property
    def thinking_types(self) -> dict[str, bool]:
        return {kind: kind in self.accepts for kind in ("adaptive", "between_tools", "disabled", "enabled")}


_SWITCHABLE = frozenset({"adaptive", "disabled"})
_EXTENDED = frozenset({"enabled", "disabled"})
_ALL = frozenset({"adaptive", "enabled", "disabled"})
_FABLE: dict[str, Any] = {"line": "fable", "minimum": 512, "thinking": "always", "mid_system": True}
_BOUND: dict[str, Any] = {"binds": True, "forced_tools": False}
_OLDER: dict[str, Any] = {
    "context": 200_000,
    "max_output": 64_000,
    "thinking": "off",
    "accepts": _EXTENDED,
    "omits": False,
    "sampling": True,
    "prefill": True,
    "newer_tokenizer": False,
    "default_effort": None,
    "efforts": (),
}
_OFF: dict[str, Any] = {"thinking": "off", "accepts": _SWITCHABLE}
_4_6: dict[str, Any] = {
    "thinking": "off",
    "accepts": _ALL,
    "omits": False,
    "sampling": True,
    "newer_tokenizer": False,
    "efforts": ("low", "medium", "high", "max"),
}

_FABLE_5 = Model("claude-fable-5", "Claude Fable 5", created="2026-06-09", **_FABLE)
_FABLE_51 = replace(_FABLE_5, id="claude-fable-5-1", name="Claude Fable 5.1", created=_UNKNOWN, **_BOUND)
_FABLE_52 = replace(_FABLE_51, id="claude-fable-5-2", name="Claude Fable 5.2", created=_UNKNOWN, source=_ON_FABLE_52)
_SONNET_5 = Model("claude-sonnet-5", "Claude Sonnet 5", "sonnet", "2026-06-30", 1_024, accepts=_SWITCHABLE)
_OPUS_5 = Model(
    "claude-opus-5",
    "Claude Opus 5",
    "opus",
    _UNKNOWN,
    512,
    accepts=_SWITCHABLE,
    mid_system=True,
    off_up_to_high=frozenset({"disabled"}),
)
_OPUS_48 = Model("claude-opus-4-8", "Claude Opus 4.8", "opus", _UNKNOWN, 1_024, mid_system=True, **_OFF)
_OPUS_45 = Model(
    "claude-opus-4-5",
    "Claude Opus 4.5",
    "opus",
    "2025-11-24",
    4_096,
    **{**_OLDER, "efforts": ("low", "medium", "high"), "default_effort": "high"},
)
_SONNET_45 = Model("claude-sonnet-4-5", "Claude Sonnet 4.5", "sonnet", "2025-09-29", 1_024, keeps=False, **_OLDER)
_HAIKU_45 = Model("claude-haiku-4-5", "Claude Haiku 4.5", "haiku", "2025-10-15", 4_096, keeps=False, **_OLDER)


def _mythos(fable: Model) -> Model:
    return replace(
        fable, id=fable.id.replace("fable", "mythos"), name=fable.name.replace("Fable", "Mythos"), line="mythos"
    )


_TABLE = (
    _FABLE_52,
    _mythos(_FABLE_52),
    Model(
        "claude-haiku-5-5",
        "Claude Haiku 5.5",
        "haiku",
        "2026-10-07",
        512,
        accepts=_SWITCHABLE,
        default_effort="medium",
        binds=True,
        off_up_to_high=frozenset({"disabled"}),
        source=_HAIKU_55,
    ),
    replace(
        _SONNET_5,
        id="claude-sonnet-5-5",
        name="Claude Sonnet 5.5",
        created="2026-09-28",
        minimum=512,
        accepts=frozenset({"adaptive", "between_tools"}),
        off_up_to_high=frozenset({"between_tools"}),
        source=_SONNET_55,
        **_BOUND,
    ),
    _FABLE_51,
    replace(
        _OPUS_5,
        id="claude-opus-5-5",
        name="Claude Opus 5.5",
        created=_UNKNOWN,
        thinking="always",
        accepts=frozenset({"adaptive"}),
        default_effort="medium",
        **_BOUND,
    ),
    _mythos(_FABLE_51),
    _SONNET_5,
    _FABLE_5,
    _mythos(_FABLE_5),
    _OPUS_5,
    _OPUS_48,
    replace(
        _OPUS_48,
        id="claude-opus-4-7",
        name="Claude Opus 4.7",
        created=_UNKNOWN,
        minimum=2_048,
        mid_system=False,
    ),
    Model(
        "claude-mythos-preview",
        "Claude Mythos Preview",
        "mythos",
        _UNKNOWN,
        2_048,
        thinking="always",
        accepts=frozenset({"adaptive", "enabled"}),
        efforts=("low", "medium", "high", "max"),
    ),
    Model("claude-opus-4-6", "Claude Opus 4.6", "opus", "2026-02-05", 4_096, **_4_6),
    Model("claude-sonnet-4-6", "Claude Sonnet 4.6", "sonnet", "2026-02-17", 1_024, **_4_6),
    _HAIKU_45,
    replace(_HAIKU_45, id="claude-haiku-4-5-20251001"),
    _OPUS_45,
    replace(_OPUS_45, id="claude-opus-4-5-20251101"),
    _SONNET_45,
    replace(_SONNET_45, id="claude-sonnet-4-5-20250929"),
)

MODELS = {model.id: model for model in _TABLE}
