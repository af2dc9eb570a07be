"""GET /v1/models: the table of models.py as the API lists it, newest first, a page at a time."""

from collections.abc import Mapping
from typing import Any

from app.sandbox.errors import ApiError, invalid
from app.sandbox.models import MODELS, Model


def one(id: str) -> dict[str, Any]:
    model = MODELS.get(id)
    if model is None:
        raise ApiError(404, f"model: {id}")
    return _entry(model)


def page(query: Mapping[str, str]) -> dict[str, Any]:
    limit = _limit(query.get("limit", "20"))
    ids = list(MODELS)
    after, before = query.get("after_id"), query.get("before_id")
    if after is not None:
        start = _position(ids, after, "after_id") + 1
        chosen, more = ids[start : start + limit], start + limit < len(ids)
    elif before is not None:
        end = _position(ids, before, "before_id")
        chosen, more = ids[max(0, end - limit) : end], end - limit > 0
    else:
        chosen, more = ids[:limit], limit < len(ids)
    return {
        "data": [_entry(MODELS[id]) for id in chosen],
        "has_more": more,
        "first_id": chosen[0] if chosen else None,
        "last_id": chosen[-1] if chosen else None,
    }


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:5]) <= 1000:
        raise invalid("limit: Input should be between 1 and 1000")
    return int(text[:5])


def _position(ids: list[str], id: str, field: str) -> int:
    if id not in ids:
        raise invalid(f"{field}: unknown model '{id}'")
    return ids.index(id)


def _entry(model: Model) -> dict[str, Any]:
    def support(is_supported: bool) -> dict[str, Any]:
        return {"supported": is_supported}

    return {
        "type": "model",
        "id": model.id,
        "display_name": model.name,
        "created_at": f"{model.created}T00:00:00Z",
        "lifecycle": "active",
        "line": model.line,
        "deprecated_at": None,
        "retires_at": None,
        "max_input_tokens": model.context,
        "max_tokens": model.max_output,
        "capabilities": {
            "batch": support(False),
            "citations": support(True),
            "code_execution": support(False),
            "context_management": {"supported": False},
            "effort": {
                **support(bool(model.efforts)),
                **{level: support(level in model.efforts) for level in ("low", "medium", "high", "xhigh", "max")},
            },
            "image_input": support(True),
            "pdf_input": support(True),
            "server_tools": {"supported": False},
            "structured_outputs": support(True),
            "thinking": {
                **support(True),
                "types": {kind: support(accepted) for kind, accepted in model.thinking_types.items()},
            },
        },
    }
