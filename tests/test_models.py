"""The table of models: complete, sourced, and consistent with itself."""

from datetime import date
from typing import get_args

import pytest
from anthropic.types import ModelParam, OutputConfigParam, ThinkingConfigParam
from typing_extensions import get_type_hints

from app.models import DEFAULT_MODEL, MODELS, SOURCES, Model, find_model
from app.prompt.context import Effort, Thinking

SDK_MODELS = get_args(get_args(ModelParam)[0])
ROWS = sorted(MODELS.values(), key=lambda model: model.id)

each_row = pytest.mark.parametrize("model", ROWS, ids=lambda model: model.id)


def test_every_model_that_the_sdk_names_has_a_row() -> None:
    assert len(SDK_MODELS) > 15
    assert set(SDK_MODELS) - MODELS.keys() == set()


def test_the_default_is_in_the_table_with_everything_known() -> None:
    model = MODELS[DEFAULT_MODEL]
    assert DEFAULT_MODEL == "claude-sonnet-5-5"
    assert None not in (model.context_window, model.max_output, model.min_cacheable, model.prices, model.thinking)


@each_row
def test_each_row_says_where_it_is_from_and_as_of_when(model: Model) -> None:
    assert model.source in SOURCES
    assert date(2026, 1, 1) <= date.fromisoformat(model.as_of) <= date(2026, 12, 31)


def test_every_source_is_used() -> None:
    assert {model.source for model in ROWS} == SOURCES.keys()


@each_row
def test_prices_stand_in_their_order(model: Model) -> None:
    for prices in (model.prices, model.prices_above):
        if prices is not None:
            assert 0 < prices.read < prices.input < prices.write_5m < prices.write_1h < prices.output
            # The documented multipliers, which hold for writes of every model so far.
            assert prices.write_5m == pytest.approx(1.25 * prices.input)
            assert prices.write_1h == pytest.approx(2 * prices.input)
    assert (model.tier is None) == (model.prices_above is None)
    if model.tier is not None and model.prices is not None and model.prices_above is not None:
        assert model.prices_for(model.tier) == model.prices
        assert model.prices_for(model.tier + 1) == model.prices_above
        assert model.prices.input < model.prices_above.input
    else:
        assert model.prices_for(10**7) == model.prices_for(0) == model.prices


@each_row
def test_sizes_stand_in_their_order(model: Model) -> None:
    sizes = [size for size in (model.min_cacheable, model.max_output, model.context_window) if size is not None]
    assert sizes == sorted(sizes)
    assert model.min_cacheable in (None, 512, 1024, 2048, 4096)


@each_row
def test_thinking_and_effort_are_words_of_the_sdk(model: Model) -> None:
    types = {get_args(get_type_hints(kind)["type"])[0] for kind in get_args(ThinkingConfigParam)}
    assert (model.thinking or set()) <= types
    assert model.thinking is None or model.thinking & {*get_args(Thinking), "enabled"}
    efforts = {word for hint in get_args(get_type_hints(OutputConfigParam)["effort"]) for word in get_args(hint)}
    assert set(model.efforts or ()) <= set(get_args(Effort)) == efforts


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        ("claude-opus-5-5", (4, 5, 8, 0.20, 20)),
        ("claude-opus-5", (5, 6.25, 10, 0.50, 25)),
        ("claude-opus-4-5", (5, 6.25, 10, 0.50, 25)),
        ("claude-fable-5", (10, 12.50, 20, 1, 50)),
        ("claude-sonnet-5", (2, 2.50, 4, 0.20, 10)),
        ("claude-sonnet-4-6", (3, 3.75, 6, 0.30, 15)),
        ("claude-haiku-4-5", (1, 1.25, 2, 0.10, 5)),
    ],
)
def test_prices_are_the_published_ones(id: str, expected: tuple[float, ...]) -> None:
    prices = MODELS[id].prices
    assert prices is not None
    assert (prices.input, prices.write_5m, prices.write_1h, prices.read, prices.output) == expected


@pytest.mark.parametrize(
    ("id", "minimum"),
    [
        *(("claude-opus-5", 512), ("claude-fable-5", 512), ("claude-mythos-5", 512)),
        *(("claude-opus-4-8", 1024), ("claude-sonnet-5", 1024), ("claude-sonnet-4-6", 1024)),
        *(("claude-sonnet-4-5", 1024), ("claude-opus-4-7", 2048), ("claude-opus-4-6", 4096)),
        *(("claude-opus-4-5", 4096), ("claude-haiku-4-5", 4096)),
    ],
)
def test_minimums_are_the_published_ones(id: str, minimum: int) -> None:
    assert MODELS[id].min_cacheable == minimum


def test_dated_names_are_the_same_models() -> None:
    for model in ROWS:
        name, _, day = model.id.rpartition("-")
        if len(day) == 8:
            plain = MODELS[name]
            assert (plain.prices, plain.context_window, plain.min_cacheable, plain.thinking) == (
                *(model.prices, model.context_window, model.min_cacheable, model.thinking),
            )


def test_of_an_id_that_is_not_in_the_table_nothing_is_known() -> None:
    model = find_model("my-own-model")
    assert model == Model("my-own-model")
    assert model.prices_for(1000) is None
    assert {getattr(model, name) for name in ("context_window", "min_cacheable", "thinking", "efforts")} == {None}
