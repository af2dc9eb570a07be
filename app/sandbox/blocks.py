"""A validated request becomes the ordered blocks of its prompt: tools, then system, then messages, each with a digest
of its content, its size in tokens and its cache mark. The digest of a block also covers the settings that the API
renders ahead of its level, so two prompts share a prefix exactly when their digests do. Marks are no content."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal

from app.sandbox import pdf, settings, signature, tokens
from app.sandbox.errors import invalid
from app.sandbox.models import Model
from app.sandbox.request import Body
from app.sandbox.settings import content_of

Level = Literal["tools", "system", "messages"]
DIGEST_BYTES = 16
MAX_MARKS = 4


@dataclass(slots=True)
class Block:
    level: Level
    place: str
    kind: str
    content: bytes
    digest: bytes
    tokens: int
    ttl: str | None
    markable: bool


@dataclass(slots=True)
class Prompt:
    """`path`: the block digests in order. `ends[i]`: tokens up to and including block i. `steps[i]`: the lookback
    position of block i, equal for a run of tool uses or of tool results."""

    model: Model
    blocks: list[Block] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.ends[-1] if self.ends else 0

    @property
    def path(self) -> list[bytes]:
        return [block.digest for block in self.blocks]

    @property
    def marks(self) -> list[int]:
        return [i for i, block in enumerate(self.blocks) if block.ttl is not None]

    @property
    def binding(self) -> bytes:
        """What a thinking block of the response is bound to: all content so far, settings left out."""
        chain = blake2b(b"".join(block.content for block in self.blocks), digest_size=DIGEST_BYTES)
        return chain.digest()

    def histories(self) -> Iterator[tuple[Block, bytes]]:
        """Each block with the binding of all that stands before it."""
        chain = blake2b(digest_size=DIGEST_BYTES)
        for block in self.blocks:
            yield block, chain.digest()
            chain.update(block.content)

    def level_tokens(self, level: Level) -> int:
        return sum(block.tokens for block in self.blocks if block.level == level)


def build(body: Body, model: Model) -> Prompt:
    prompt = Prompt(model)
    ahead = _ahead(body, model)
    for level, place, role, value in _rendered(body, model):
        prompt.blocks.append(_block(level, place, role, value, ahead[level], model))
    _mark_automatically(prompt, body)
    _check_marks(prompt)
    total = step = 0
    before = None
    for block in prompt.blocks:
        total += block.tokens
        step += not (block.kind == before and block.kind in ("tool_use", "tool_result"))
        before = block.kind
        prompt.ends.append(total)
        prompt.steps.append(step)
    return prompt


def _ahead(body: Body, model: Model) -> dict[Level, bytes]:
    """What is rendered ahead of each level. A change at one level reaches the levels after it."""
    tools = _digest(_json(model.id))
    system = _digest(tools + _json(settings.before_system(body)))
    messages = _digest(system + _json(settings.before_messages(body, model)))
    return {"tools": tools, "system": system, "messages": messages}


def _rendered(body: Body, model: Model) -> Iterator[tuple[Level, str, str, dict[str, Any]]]:
    """The blocks in the order of rendering. Deferred tools are not rendered; web tools are part of the system prompt."""
    tools = [(f"tools.{i}", tool) for i, tool in enumerate(body.get("tools", ())) if not tool.get("defer_loading")]
    for level in ("tools", "system"):
        yield from ((level, place, "", tool) for place, tool in tools if _is_web_tool(tool) is (level == "system"))
    for i, block in enumerate(content_of(body.get("system", ()))):
        yield "system", f"system.{i}", "", block
    stripped = 0 if model.keeps else _last_question(body["messages"])
    for i, message in enumerate(body["messages"]):
        for j, block in enumerate(content_of(message["content"])):
            if i < stripped and block["type"] in ("thinking", "redacted_thinking"):
                continue
            yield "messages", f"messages.{i}.content.{j}", message["role"], block


def _last_question(messages: list[dict[str, Any]]) -> int:
    for i in range(len(messages) - 1, -1, -1):
        if messages[i]["role"] == "user" and any(
            b["type"] != "tool_result" for b in content_of(messages[i]["content"])
        ):
            return i
    return 0


def _block(level: Level, place: str, role: str, value: dict[str, Any], ahead: bytes, model: Model) -> Block:
    kind = "tool" if level == "tools" else value["type"]
    material, count = _material(kind, value, model.token_factor)
    content = _digest(f"{level}\0{role}\0{kind}\0".encode() + material)
    mark = value.get("cache_control")
    ttl = None if mark is None else mark.get("ttl", "5m")
    empty = kind == "text" and not value["text"]
    if ttl and empty:
        raise invalid(f"{place}: cache_control cannot be set for empty text blocks")
    markable = not empty and kind not in ("thinking", "redacted_thinking")
    return Block(level, place, kind, content, _digest(ahead + content), count, ttl, markable)


def _material(kind: str, value: dict[str, Any], factor: float) -> tuple[bytes, int]:
    """The bytes that identify a block's content, and its approximate tokens."""
    if kind == "text" and not value.get("citations"):
        material = value["text"].encode()
        return b"=" + material, tokens.BLOCK_OVERHEAD + tokens.of_bytes(len(material), factor)
    source = value.get("source")
    if isinstance(source, dict) and source.get("type") == "text":
        data = source["data"].encode()
        rest = _json({**_unmarked(value), "source": None})
        return b"+" + rest + b"\0" + data, _tokens_of(value, factor)
    return b"{" + _json(_unmarked(value)), _tokens_of(value, factor)


def _tokens_of(value: dict[str, Any], factor: float) -> int:
    """An estimate by kind. Images and files count flat, PDFs by the page, inner blocks each as a block, a thought by what is
    sealed in its signature; cited text does not count."""
    inner = _inner(value)
    source = value.get("source")
    kind = value.get("type")
    if kind == "image":
        return tokens.IMAGE_TOKENS
    if kind == "text":
        size = len(value["text"].encode())
    elif kind == "thinking":
        size = len(signature.thought(value["signature"]).encode())
    elif isinstance(source, dict):
        if source["type"] in ("url", "file"):
            return tokens.PDF_TOKENS
        if source["type"] == "base64":
            return pdf.read(source["data"]).pages * tokens.PAGE_TOKENS
        size = _weight(value) + (len(source["data"].encode()) if source["type"] == "text" else 0)
    elif inner:
        size = len(_json({**_unmarked(value), "content": None}))
    else:
        size = len(_json(_unmarked(value)))
    return tokens.BLOCK_OVERHEAD + tokens.of_bytes(size, factor) + sum(_tokens_of(block, factor) for block in inner)


def _inner(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The blocks inside a tool result, a search result or a document of custom content."""
    source = value.get("source")
    content = source.get("content") if isinstance(source, dict) else value.get("content")
    if value.get("type") not in ("tool_result", "search_result", "document"):
        return []
    return content_of(content) if isinstance(content, list | str) else []


def _weight(document: dict[str, Any]) -> int:
    return sum(len((document.get(name) or "").encode()) for name in ("title", "context"))


def _unmarked(value: Any) -> Any:
    """Without marks, absent settings and switched-off citations: none of them is rendered."""
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, item in value.items():
        off = name == "citations" and isinstance(item, dict) and not item.get("enabled")
        if name == "cache_control" or item is None or off:
            continue
        kept[name] = _unmarked(item) if name == "content" else item
    return kept


def _mark_automatically(prompt: Prompt, body: Body) -> None:
    mark = body.get("cache_control")
    if mark is None:
        return
    ttl = mark.get("ttl", "5m")
    last = next((block for block in reversed(prompt.blocks) if block.markable), None)
    if last is None or last.ttl == ttl:
        return
    if last.ttl is not None:
        raise invalid(
            f"cache_control: the last block ({last.place}) is already marked with ttl '{last.ttl}', "
            f"which differs from the request's '{ttl}'"
        )
    if len(prompt.marks) >= MAX_MARKS:
        raise invalid(
            "A maximum of 4 blocks with cache_control may be provided. Found 4, and no slot is left for the "
            "top-level cache_control."
        )
    last.ttl = ttl


def _check_marks(prompt: Prompt) -> None:
    marks = prompt.marks
    if len(marks) > MAX_MARKS:
        raise invalid(f"A maximum of 4 blocks with cache_control may be provided. Found {len(marks)}.")
    short = False
    for i in marks:
        block = prompt.blocks[i]
        if block.ttl == "1h" and short:
            raise invalid(
                f"{block.place}.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' "
                "cache_control block. Note that blocks are processed in the following order: `tools`, `system`, "
                "`messages`."
            )
        short = short or block.ttl == "5m"


def _is_web_tool(tool: dict[str, Any]) -> bool:
    return str(tool.get("type", "")).startswith(("web_search_", "web_fetch_"))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=DIGEST_BYTES).digest()
