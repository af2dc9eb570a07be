"""Whether a request is what the SDK's own parameter types say: no field too many, none missing, nothing of another type.

Pydantic would look into an `Iterable` only when somebody reads it, and let unknown keys of a TypedDict pass, so this
walks the types itself.
"""

import types
from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from pydantic import BaseModel
from typing_extensions import get_type_hints, is_typeddict


def check_request(body: dict[str, Any]) -> None:
    """Raise `AssertionError` with the place where `body` is not a request of the SDK's."""
    kind = MessageCreateParamsStreaming if body.get("stream") else MessageCreateParamsNonStreaming
    wrong = _misfit(body, kind, "body")
    assert wrong is None, wrong


def _misfit(value: Any, hint: Any, place: str) -> str | None:
    """None if `value` is of the type `hint`, else where it is not."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Required, NotRequired, Annotated):
        return _misfit(value, arguments[0], place)
    if origin in (Union, types.UnionType):
        found = [_misfit(value, argument, place) for argument in arguments]
        return None if None in found else max((one for one in found if one), key=len)
    if origin is Literal:
        return None if value in arguments else f"{place}: {value!r} is none of {arguments}"
    if is_typeddict(hint):
        return _dict_misfit(value, hint, place)
    if origin is not None:
        return _container_misfit(value, origin, arguments, place)
    if hint is Any or hint is object:
        return None
    if isinstance(hint, type) and not issubclass(hint, BaseModel) and type(value) in _EXACT.get(hint, (hint,)):
        return None
    return f"{place}: {str(value)[:80]!r} is no {hint}"


_EXACT: dict[type, tuple[type, ...]] = {float: (float, int), types.NoneType: (types.NoneType,)}


def _dict_misfit(value: Any, hint: Any, place: str) -> str | None:
    if not isinstance(value, dict):
        return f"{place}: no object"
    hints = _hints(hint)
    missing = [name for name, one in hints.items() if get_origin(one) is Required and name not in value]
    unknown = sorted(value.keys() - hints.keys())
    if missing or unknown:
        return f"{place}: {hint.__name__} lacks {missing}, does not know {unknown}"
    return next((bad for name, one in value.items() if (bad := _misfit(one, hints[name], f"{place}.{name}"))), None)


def _container_misfit(value: Any, origin: Any, arguments: tuple[Any, ...], place: str) -> str | None:
    if isinstance(origin, type) and issubclass(origin, dict):
        return None if isinstance(value, dict) else f"{place}: no object"
    if not isinstance(value, list) or not (origin is list or issubclass(origin, Iterable)):
        return f"{place}: {type(value).__name__} is no {origin}"
    found = (_misfit(one, arguments[0], f"{place}.{number}") for number, one in enumerate(value))
    return next((bad for bad in found if bad), None)


@cache
def _hints(hint: Any) -> dict[str, Any]:
    return get_type_hints(hint, include_extras=True)
