"""What the API refuses although every field is well formed: settings that a model does not take, combinations that
exclude each other, conversations out of order. Each check raises the API's own 400 and changes nothing."""

from collections.abc import Iterator
from typing import Any

from app.sandbox import pdf, settings, signature
from app.sandbox.blocks import Prompt
from app.sandbox.errors import ApiError, invalid
from app.sandbox.models import MODELS, Model
from app.sandbox.request import Body


def model_of(body: Body) -> Model:
    model = MODELS.get(body["model"])
    if model is None:
        raise ApiError(404, f"model: {body['model']}")
    return model


def check_create(body: Body, model: Model) -> None:
    check_count(body, model)
    _check_output(body, model)
    _check_warming(body)
    _check_sampling(body, model)
    _check_prefill(body, model)


def check_count(body: Body, model: Model) -> None:
    """What holds for token counting too: everything that goes into the prompt."""
    _check_thinking(body, model)
    _check_effort(body, model)
    _check_tools(body, model)
    _check_citations(body)
    _check_pdfs(body, model)
    _check_turns(body, model)
    _check_tool_results(body)


def check_countable(body: Body) -> None:
    """Inputs that the Messages API takes and token counting does not."""
    for i, tool in enumerate(body.get("tools", ())):
        if str(tool.get("type") or "").startswith(("web_", "code_execution", "tool_search")):
            raise invalid(f"tools.{i}: server tools are not supported by token counting")
    for i, message in enumerate(body["messages"]):
        for j, block in enumerate(message["content"] if isinstance(message["content"], list) else ()):
            source = block.get("source")
            if isinstance(source, dict) and source["type"] in ("url", "file"):
                raise invalid(f"messages.{i}.content.{j}: {source['type']} sources are not supported by token counting")


def check_size(prompt: Prompt) -> None:
    if prompt.total > prompt.model.context:
        raise invalid(f"prompt is too long: {prompt.total} tokens > {prompt.model.context} maximum")


def check_thinking_blocks(body: Body, prompt: Prompt) -> None:
    """Blocks must come back as they were made and, on models that bind them, after the very same history."""
    values = dict(_thinking_blocks(body))
    for block, history in prompt.histories():
        value = values.get(block.place)
        if value is None:
            continue
        if value["type"] == "redacted_thinking":
            raise invalid(f"{block.place}: Invalid `data` in `redacted_thinking` block")
        found = signature.opened(value["signature"])
        if found is None:
            raise invalid(f"{block.place}: Invalid `signature` in `thinking` block")
        thought, shown, binding = found
        if shown and value["thinking"] != thought:
            raise invalid(
                f"{block.place}: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be "
                "modified. These blocks must remain as they were in the original response."
            )
        if prompt.model.binds and binding != history:
            raise invalid(
                f"{block.place}: Invalid `signature` in `thinking` block. The block is bound to a different "
                "conversation. Remove the block, or set `thinking.block_binding.prefix_mismatch_behavior` to "
                '"drop_block". That setting requires the `thinking-binding-controls-2026-08-01` value in the '
                "`anthropic-beta` header."
            )


def _thinking_blocks(body: Body) -> Iterator[tuple[str, dict[str, Any]]]:
    for i, message in enumerate(body["messages"]):
        for j, block in enumerate(message["content"] if isinstance(message["content"], list) else ()):
            if block["type"] in ("thinking", "redacted_thinking"):
                yield f"messages.{i}.content.{j}", block


def _check_output(body: Body, model: Model) -> None:
    if body["max_tokens"] > model.max_output:
        raise invalid(
            f"max_tokens: {body['max_tokens']} > {model.max_output}, which is the maximum allowed number of output "
            f"tokens for {model.id}"
        )
    budget = body.get("thinking", {}).get("budget_tokens")
    if budget is not None and body["max_tokens"] and body["max_tokens"] <= budget:
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if any(not text.strip() for text in body.get("stop_sequences", ())):
        raise invalid("stop_sequences: each stop sequence must contain non-whitespace")


def _check_warming(body: Body) -> None:
    if body["max_tokens"] != 0:
        return
    implied = {
        "`stream: true`": body.get("stream"),
        '`thinking.type: "enabled"`': body.get("thinking", {}).get("type") == "enabled",
        "`output_config.format`": body.get("output_config", {}).get("format"),
        '`tool_choice` of "tool" or "any"': _forces(body),
    }
    for name, is_set in implied.items():
        if is_set:
            raise invalid(f"max_tokens: 0 cannot be combined with {name}, which implies output")


def _check_sampling(body: Body, model: Model) -> None:
    default = {"temperature": 1, "top_p": 1}
    for name in ("temperature", "top_p", "top_k"):
        value = body.get(name)
        if value is None or value == default.get(name):
            continue
        if not model.sampling:
            raise invalid(f"{name}: non-default values are not supported for this model.")
        if settings.thinks(body, model) and not (name == "top_p" and value >= 0.95):
            raise invalid(f"`{name}` must be left at its default when thinking is enabled.")


def _check_prefill(body: Body, model: Model) -> None:
    if body["messages"][-1]["role"] != "assistant":
        return
    if not model.prefill:
        raise invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    if settings.thinks(body, model):
        raise invalid("messages: prefilling the assistant's response is not supported when thinking is enabled")


def _check_thinking(body: Body, model: Model) -> None:
    kind = body.get("thinking", {}).get("type")
    if kind is None or kind in model.accepts:
        return
    if kind == "adaptive":
        raise invalid("adaptive thinking is not supported on this model")
    if kind == "disabled" and "between_tools" in model.accepts:
        advice = 'Use "thinking.type.between_tools" to turn off up-front thinking.'
    elif kind == "disabled" and "enabled" in model.accepts:
        advice = (
            'Thinking defaults to adaptive mode when not specified; use "thinking.type.enabled" with "budget_tokens" '
            "for extended thinking."
        )
    else:
        advice = 'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
    raise invalid(f'"thinking.type.{kind}" is not supported for this model. {advice}')


def _check_effort(body: Body, model: Model) -> None:
    effort = body.get("output_config", {}).get("effort")
    if effort is None:
        return
    if effort not in model.efforts:
        levels = ", ".join(model.efforts) or "none"
        raise invalid(f"output_config.effort: '{effort}' is not supported for this model (supported: {levels}).")
    kind = body.get("thinking", {}).get("type")
    if effort in ("xhigh", "max") and kind in model.off_up_to_high:
        raise invalid(f"\"thinking.type.{kind}\" is not supported at effort '{effort}'; use 'high' or below.")


def _forces(body: Body) -> bool:
    return body.get("tool_choice", {}).get("type") in ("tool", "any")


def _check_tools(body: Body, model: Model) -> None:
    tools = body.get("tools", [])
    names = [tool.get("name") or tool.get("type") for tool in tools]
    if len(set(names)) != len(names):
        raise invalid("tools: Tool names must be unique.")
    for i, tool in enumerate(tools):
        if tool.get("defer_loading") and tool.get("cache_control"):
            raise invalid(f"tools.{i}: a tool with defer_loading=true cannot have cache_control")
    choice = body.get("tool_choice")
    if choice is None:
        return
    if not tools:
        raise invalid("tool_choice: may only be specified while providing tools")
    if _forces(body) and not model.forced_tools:
        raise invalid('tool_choice: type "tool" and "any" are not supported for this model.')
    if _forces(body) and body.get("thinking", {}).get("type") == "enabled":
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")
    if choice["type"] == "tool" and choice["name"] not in names:
        raise invalid(f"tool_choice: Tool '{choice['name']}' not found in provided tools")


def _check_citations(body: Body) -> None:
    enabled = {bool((d.get("citations") or {}).get("enabled")) for d in settings.documents(body)}
    if len(enabled) > 1:
        raise invalid("citations: must be enabled on all or none of the documents of a request")
    if True in enabled and body.get("output_config", {}).get("format"):
        raise invalid("output_config.format: structured outputs cannot be used together with citations")


def _check_pdfs(body: Body, model: Model) -> None:
    """As documented for PDF support: 600 pages in a request, 100 on models with a window of 200k tokens, no passwords."""
    most = 100 if model.context <= 200_000 else 600
    pages = 0
    for i, message in enumerate(body["messages"]):
        for j, block in enumerate(message["content"] if isinstance(message["content"], list) else ()):
            if not pdf.is_pdf(block):
                continue
            reading = pdf.read(block["source"]["data"])
            pages += reading.pages
            refusal = reading.refusal or (pages > most and f"A maximum of {most} PDF pages may be provided.")
            if refusal:
                raise invalid(f"messages.{i}.content.{j}.pdf.source.base64.data: {refusal}")


def _check_turns(body: Body, model: Model) -> None:
    messages = body["messages"]
    if messages[0]["role"] != "user":
        raise invalid('messages: first message must use the "user" role')
    for i, message in enumerate(messages):
        if message["role"] == "system" and not model.mid_system:
            raise invalid(f'messages.{i}.role: "system" is not supported for this model; use the `system` parameter')
        last_assistant = message["role"] == "assistant" and i == len(messages) - 1
        if not message["content"] and not last_assistant:
            raise invalid(
                f"messages.{i}: all messages must have non-empty content except for the optional final "
                "assistant message"
            )
        _check_texts(i, message)


def _check_texts(i: int, message: dict[str, Any]) -> None:
    content = message["content"]
    texts = [content] if isinstance(content, str) else [b["text"] for b in content if b["type"] == "text"]
    if message["role"] == "user" and any(not text.strip() for text in texts):
        raise invalid(f"messages.{i}: text content blocks must contain non-whitespace text")
    if isinstance(content, list):
        for j, block in enumerate(content):
            misplaced = {"user": ("thinking", "redacted_thinking", "tool_use"), "assistant": ("tool_result",)}
            if block["type"] in misplaced.get(message["role"], ()):
                raise invalid(
                    f"messages.{i}.content.{j}: `{block['type']}` blocks are not allowed in {message['role']} messages"
                )


def _check_tool_results(body: Body) -> None:
    open_ids: list[str] = []
    for i, message in enumerate(body["messages"]):
        content = message["content"] if isinstance(message["content"], list) else []
        if message["role"] == "assistant":
            open_ids += [block["id"] for block in content if block["type"] == "tool_use"]
        elif message["role"] == "user":
            results = [block["tool_use_id"] for block in content if block["type"] == "tool_result"]
            _check_answered(i, open_ids, results)
            open_ids = []


def _check_answered(i: int, asked: list[str], answered: list[str]) -> None:
    missing = set(asked) - set(answered)
    if missing:
        raise invalid(
            f"messages.{i}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(sorted(missing)[:9])}. Each `tool_use` block must have a corresponding `tool_result` block in the "
            "next message."
        )
    unknown = set(answered) - set(asked)
    if unknown:
        raise invalid(
            f"messages.{i}: unexpected `tool_use_id` found in `tool_result` blocks: {', '.join(sorted(unknown)[:9])}. Each "
            "`tool_result` block must have a corresponding `tool_use` block in the previous message."
        )
