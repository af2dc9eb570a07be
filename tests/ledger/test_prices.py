"""Prices of the user's own: they win over the table, at every length, and whatever is wrong with them is one line."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.ledger.price import cost_usd
from app.ledger.prices import COLUMNS, InvalidPrices, load_prices
from app.ledger.usage import Usage
from app.models import Prices, find_model, is_known, set_local_models
from app.settings import Settings

pytestmark = pytest.mark.usefixtures("own_models")

OWN = {"input": 2, "write_5m": 2.5, "write_1h": 4, "read": 0.2, "output": 10}


def written(folder: Path, given: Any) -> Path:
    file = folder / "prices.json"
    file.write_text(given if isinstance(given, str) else json.dumps(given))
    return file


def test_a_model_that_nobody_knows_gets_its_price(tmp_path: Path) -> None:
    assert cost_usd("llama-9", Usage(uncached=1_000_000)) is None
    set_local_models(load_prices(written(tmp_path, {"llama-9": OWN})))
    assert cost_usd("llama-9", Usage(1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000)) == pytest.approx(18.7)
    assert is_known("llama-9")


def test_a_known_model_costs_what_the_file_says_at_every_length_and_keeps_the_rest() -> None:
    before = find_model("claude-haiku-5-5")
    set_local_models({"claude-haiku-5-5": Prices(1, 1, 1, 1, 1)})
    assert find_model("claude-haiku-5-5").prices_for(1) == find_model("claude-haiku-5-5").prices_for(900_000)
    assert find_model("claude-haiku-5-5").min_cacheable == before.min_cacheable
    set_local_models({})
    assert find_model("claude-haiku-5-5") == before


def test_a_model_can_be_known_by_name_alone() -> None:
    set_local_models({}, named=["llama-9"])
    assert is_known("llama-9") and not is_known("llama-10")
    assert cost_usd("llama-9", Usage(uncached=5)) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON (line 1: "),
        ("[]", "must hold one object"),
        ('{"m": 3}', "'m' must be an object with input, write_5m, write_1h, read, output"),
        (json.dumps({"m": {**OWN, "outputs": 1}}), "'m' has 'outputs', which is no column"),
        ('{"m": {"input": 1, "read": 1}}', "'m' lacks write_5m, write_1h, output"),
        (json.dumps({"m": {**OWN, "read": -0.1}}), "'m': read must be USD per million tokens, a number from 0 to"),
        (json.dumps({"m": {**OWN, "read": "0.1"}}), "'m': read must be"),
        (json.dumps({"m": {**OWN, "read": True}}), "'m': read must be"),
        (json.dumps({"m": {**OWN, "read": None}}), "'m': read must be"),
        (json.dumps({"m": {**OWN, "read": 10**400}}), "'m': read must be"),
        (json.dumps({"m": {**OWN, "read": float("nan")}}), "NaN is no number"),
        (json.dumps({"m": OWN}).replace("0.2", "1" * 5000), "is no price list"),
        ("[" * 100_000, "is no price list"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidPrices) as raised:
        load_prices(written(tmp_path, text))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_or_not_text_is_said_too(tmp_path: Path) -> None:
    with pytest.raises(InvalidPrices, match=r"cannot read .*No such file"):
        load_prices(tmp_path / "none.json")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidPrices, match="is not UTF-8 text"):
        load_prices(tmp_path / "binary")


def test_the_setting_refuses_a_bad_file_before_anything_starts(tmp_path: Path) -> None:
    good, bad = written(tmp_path, {"m": OWN}), tmp_path / "bad.json"
    assert Settings(prices=good).prices == good
    with pytest.raises(ValidationError, match="cannot read"):
        Settings(prices=bad)


@given(st.dictionaries(st.text(max_size=5), st.fixed_dictionaries({name: st.floats(0, 1e6) for name in COLUMNS})))
def test_every_well_formed_table_is_taken_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, table: dict[str, Any]
) -> None:
    loaded = load_prices(written(tmp_path_factory.mktemp("prices"), table))
    assert loaded == {model: Prices(**columns) for model, columns in table.items()}
