"""JSON that a request asks for by schema: the input of a tool that it forces, or an answer in its output format. It is
the smallest that the required properties allow. The sandbox never calls a tool of its own accord and runs none."""

import json
from dataclasses import dataclass
from typing import Any

from app.sandbox import tokens
from app.sandbox.blocks import Prompt
from app.sandbox.request import Body

_EMPTY = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}, "null": None}


@dataclass(frozen=True)
class ToolCall:
    id: str
    name: str
    input: dict[str, Any]
    size: int

    def block(self) -> dict[str, Any]:
        return {"type": "tool_use", "id": self.id, "name": self.name, "input": self.input}


def forced_call(body: Body, prompt: Prompt) -> ToolCall | None:
    choice = body.get("tool_choice", {})
    if choice.get("type") not in ("any", "tool"):
        return None
    tools = {tool.get("name") or tool["type"]: tool for tool in body["tools"]}
    name = choice.get("name") or next(iter(tools))
    made = minimal(tools[name].get("input_schema", {}))
    size = tokens.of_text(name + json.dumps(made), prompt.model.token_factor)
    return ToolCall(f"toolu_01{prompt.binding.hex()[:22]}", name, made, size)


def minimal(schema: dict[str, Any]) -> dict[str, Any]:
    """An object with the required properties and nothing else."""
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return {}
    return {name: _value(properties.get(name)) for name in required if isinstance(name, str)}


def _value(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return ""
    for key in ("enum", "examples"):
        if isinstance(schema.get(key), list) and schema[key]:
            return schema[key][0]
    if "default" in schema or "const" in schema:
        return schema.get("const", schema.get("default"))
    kind = schema.get("type")
    if kind == "object":
        return minimal(schema)
    return _EMPTY.get(kind, "") if isinstance(kind, str) else ""
