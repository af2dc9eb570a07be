"""A request body becomes a validated dictionary, or the API's 400 naming the field. Keys come out in the schema's
order, so that a block's own key order cannot matter, while the order inside `input` and `input_schema` is kept: the
API renders those as sent."""

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app.sandbox.errors import ApiError, invalid
from app.sandbox.schema import COUNT, CREATE

Body = dict[str, Any]


def parse_create(raw: bytes) -> Body:
    return _parse(CREATE, raw)


def parse_count(raw: bytes) -> Body:
    return _parse(COUNT, raw)


def _parse(adapter: TypeAdapter[Any], raw: bytes) -> Body:
    try:
        body: Body = adapter.validate_json(raw)
    except ValidationError as error:
        raise _refusal(error) from None
    return body


def _refusal(error: ValidationError) -> ApiError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return invalid("The request body is not valid JSON: " + first["msg"].removeprefix("Invalid JSON: "))
    place = _place(first["loc"])
    message = first["msg"].replace("valid array", "valid list")
    return invalid(f"{place}: {message}" if place else message)


def _place(loc: Iterable[str | int]) -> str:
    return ".".join(str(part) for part in loc if not str(part).startswith("@"))
