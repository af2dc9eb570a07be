"""Prices of the user's own: a JSON file that adds models to the price table, or says what known ones cost here.

    {"my-model": {"input": 2, "write_5m": 2.5, "write_1h": 4, "read": 0.2, "output": 10}}

USD per million tokens, all five columns. A model that is priced so costs this at every length of prompt. Whatever is wrong
with the file is said in one line.
"""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from app.models import Prices

# A dollar a token: whoever writes more has mistaken the unit.
MOST_USD = 1_000_000
COLUMNS = tuple(field.name for field in fields(Prices))


class InvalidPrices(ValueError):
    """A price list that cannot be used; the message is one line that says why, and where."""


def load_prices(path: Path) -> dict[str, Prices]:
    """The prices in the file at `path`. Raises `InvalidPrices` when it cannot be used."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except OSError as error:
        raise InvalidPrices(f"cannot read {path} ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InvalidPrices(f"{path} is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise InvalidPrices(f"{path} is not JSON (line {error.lineno}: {error.msg})") from None
    except (ValueError, RecursionError) as error:
        raise InvalidPrices(f"{path} is no price list ({error})") from None
    if not isinstance(given, dict):
        raise InvalidPrices(f"{path} must hold one object: the prices of each model, by its id")
    return {model: _prices(f"{path}: {model!r}", columns) for model, columns in given.items()}


def _prices(where: str, columns: Any) -> Prices:
    if not isinstance(columns, dict):
        raise InvalidPrices(f"{where} must be an object with {', '.join(COLUMNS)}")
    if missing := [column for column in COLUMNS if column not in columns]:
        raise InvalidPrices(f"{where} lacks {', '.join(missing)}")
    if unknown := [column for column in columns if column not in COLUMNS]:
        raise InvalidPrices(f"{where} has {', '.join(map(repr, unknown))}, which is no column of the price table")
    for column, price in columns.items():
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price <= MOST_USD:
            raise InvalidPrices(f"{where}: {column} must be USD per million tokens, a number from 0 to {MOST_USD:,}")
    return Prices(**{column: float(price) for column, price in columns.items()})


def _refuse_constant(constant: str) -> Any:
    raise InvalidPrices(f"{constant} is no number")
