"""What a request sets besides its content, as far as it changes the prompt: whether it thinks and cites, its documents
and images, and the settings that are rendered ahead of the system prompt and ahead of the messages. A default that is
spelled out is the default."""

from collections.abc import Iterator
from typing import Any

from app.sandbox.models import Model
from app.sandbox.request import Body


def thinks(body: Body, model: Model) -> bool:
    kind = body.get("thinking", {}).get("type")
    if kind is None:
        return model.thinking != "off"
    return kind in ("adaptive", "enabled")


def cites(body: Body) -> bool:
    return any((block.get("citations") or {}).get("enabled") for block in documents(body))


def documents(body: Body) -> Iterator[dict[str, Any]]:
    """All document and search result blocks of the messages, in order, those inside tool results included."""
    return (block for block in _all_blocks(body) if block["type"] in ("document", "search_result"))


def before_system(body: Body) -> list[Any]:
    """Citations, speed and output format. The web tools are rendered here too, as blocks."""
    return [cites(body), body.get("speed") or "standard", body.get("output_config", {}).get("format")]


def before_messages(body: Body, model: Model) -> list[Any]:
    """Tool choice, thinking, effort, and whether there are images anywhere."""
    return [*_chosen(body, model), any(block["type"] == "image" for block in _all_blocks(body))]


def prompt_settings(body: Body, model: Model) -> list[Any]:
    """What diagnostics compare besides model, tools, system and messages."""
    config = body.get("output_config", {})
    return [*_chosen(body, model), body.get("speed") or "standard", config.get("format")]


def content_of(content: Any) -> list[dict[str, Any]]:
    """A message's or system prompt's content as blocks."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return list(content)


def _chosen(body: Body, model: Model) -> list[Any]:
    thinking = body.get("thinking", {})
    default = "disabled" if model.thinking == "off" else "adaptive"
    effort = body.get("output_config", {}).get("effort") or model.default_effort
    choice = body.get("tool_choice", {"type": "auto"})
    return [choice, thinking.get("type", default), thinking.get("budget_tokens"), effort]


def _all_blocks(body: Body) -> Iterator[dict[str, Any]]:
    for message in body["messages"]:
        for block in content_of(message["content"]):
            yield block
            inner = block.get("content") if block["type"] == "tool_result" else None
            if isinstance(inner, list):
                yield from inner
