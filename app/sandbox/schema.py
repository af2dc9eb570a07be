"""The shape of a request body, field by field, as the public reference has it: unknown fields are refused, types are
not coerced. Blocks and tools that only the API's own servers make (server tools and their results) are accepted by
their type and not looked into. Rules that need more than one field live in rules.py."""

from typing import Annotated, Any, Literal, NotRequired, TypeAlias

from pydantic import ConfigDict, Discriminator, Field, Tag, TypeAdapter, with_config
from typing_extensions import TypedDict

_strict = with_config(ConfigDict(extra="forbid", strict=True))
_loose = with_config(ConfigDict(extra="allow", strict=True))


@_strict
class CacheControl(TypedDict):
    type: Literal["ephemeral"]
    ttl: NotRequired[Literal["5m", "1h"]]


Mark: TypeAlias = CacheControl | None


@_strict
class CitationsConfig(TypedDict):
    enabled: NotRequired[bool]


@_loose
class TextCitation(TypedDict):
    type: str
    cited_text: str


@_strict
class Text(TypedDict):
    type: Literal["text"]
    text: str
    cache_control: NotRequired[Mark]
    citations: NotRequired[list[TextCitation] | None]


@_strict
class Base64Image(TypedDict):
    type: Literal["base64"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: str


@_strict
class UrlSource(TypedDict):
    type: Literal["url"]
    url: str


@_strict
class FileSource(TypedDict):
    type: Literal["file"]
    file_id: str


@_strict
class Image(TypedDict):
    type: Literal["image"]
    source: Annotated[Base64Image | UrlSource | FileSource, Field(discriminator="type")]
    cache_control: NotRequired[Mark]
    transformations: NotRequired[dict[str, Any]]


@_strict
class PlainText(TypedDict):
    type: Literal["text"]
    media_type: Literal["text/plain"]
    data: str


@_strict
class Base64Pdf(TypedDict):
    type: Literal["base64"]
    media_type: Literal["application/pdf"]
    data: str


def _string_or_list(value: Any) -> str:
    return "@string" if isinstance(value, str) else "@list"


@_strict
class ContentSource(TypedDict):
    type: Literal["content"]
    content: Annotated[
        Annotated[str, Tag("@string")]
        | Annotated[list[Annotated[Text | Image, Field(discriminator="type")]], Tag("@list")],
        Discriminator(_string_or_list),
    ]


@_strict
class Document(TypedDict):
    type: Literal["document"]
    source: Annotated[PlainText | Base64Pdf | UrlSource | FileSource | ContentSource, Field(discriminator="type")]
    title: NotRequired[str | None]
    context: NotRequired[str | None]
    citations: NotRequired[CitationsConfig | None]
    cache_control: NotRequired[Mark]


@_strict
class SearchResult(TypedDict):
    type: Literal["search_result"]
    source: str
    title: str
    content: list[Text]
    citations: NotRequired[CitationsConfig | None]
    cache_control: NotRequired[Mark]


@_strict
class Thinking(TypedDict):
    type: Literal["thinking"]
    thinking: str
    signature: str


@_strict
class RedactedThinking(TypedDict):
    type: Literal["redacted_thinking"]
    data: str


@_strict
class ToolUse(TypedDict):
    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]
    cache_control: NotRequired[Mark]
    caller: NotRequired[dict[str, Any]]
    toolset_name: NotRequired[str | None]


@_loose
class ServerMade(TypedDict):
    type: Literal[
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "container_upload",
        "tool_reference",
        "browser_state",
    ]
    cache_control: NotRequired[Mark]


@_strict
class ToolResult(TypedDict):
    type: Literal["tool_result"]
    tool_use_id: str
    content: NotRequired[
        Annotated[
            Annotated[str, Tag("@string")]
            | Annotated[
                list[Annotated[Text | Image | Document | SearchResult | ServerMade, Field(discriminator="type")]],
                Tag("@list"),
            ],
            Discriminator(_string_or_list),
        ]
    ]
    is_error: NotRequired[bool]
    cache_control: NotRequired[Mark]
    toolset_name: NotRequired[str | None]


Block = Annotated[
    Text | Image | Document | SearchResult | Thinking | RedactedThinking | ToolUse | ToolResult | ServerMade,
    Field(discriminator="type"),
]


@_strict
class Message(TypedDict):
    role: Literal["user", "assistant", "system"]
    content: Annotated[
        Annotated[str, Tag("@string")] | Annotated[list[Block], Tag("@list")], Discriminator(_string_or_list)
    ]


@_loose
class InputSchema(TypedDict):
    type: Literal["object"]


@_strict
class CustomTool(TypedDict):
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
    input_schema: InputSchema
    type: NotRequired[Literal["custom"] | None]
    description: NotRequired[str]
    cache_control: NotRequired[Mark]
    defer_loading: NotRequired[bool]
    strict: NotRequired[bool]
    eager_input_streaming: NotRequired[bool | None]
    input_examples: NotRequired[list[dict[str, Any]]]
    allowed_callers: NotRequired[list[str]]


_SERVER_TOOLS = (
    r"^(bash|code_execution|memory|text_editor|web_search|web_fetch|tool_search_tool_bm25|tool_search_tool_regex"
    r"|computer_toolset|browser_toolset)_20\d{6}$"
)


@_loose
class ProvidedTool(TypedDict):
    type: Annotated[str, Field(pattern=_SERVER_TOOLS)]
    cache_control: NotRequired[Mark]


def _tool_kind(value: Any) -> str:
    provided = isinstance(value, dict) and value.get("type") not in (None, "custom")
    return "@provided" if provided else "custom"


@_strict
class EnabledThinking(TypedDict):
    type: Literal["enabled"]
    budget_tokens: Annotated[int, Field(ge=1024)]
    display: NotRequired[Literal["summarized", "omitted"] | None]


@_strict
class AdaptiveThinking(TypedDict):
    type: Literal["adaptive"]
    display: NotRequired[Literal["summarized", "omitted"] | None]


@_strict
class PlainThinking(TypedDict):
    type: Literal["disabled", "between_tools"]


@_strict
class OpenChoice(TypedDict):
    type: Literal["auto", "any"]
    disable_parallel_tool_use: NotRequired[bool]


@_strict
class NamedChoice(TypedDict):
    type: Literal["tool"]
    name: str
    disable_parallel_tool_use: NotRequired[bool]


@_strict
class NoChoice(TypedDict):
    type: Literal["none"]


@_strict
class OutputFormat(TypedDict):
    type: Literal["json_schema"]
    schema: dict[str, Any]


@_strict
class OutputConfig(TypedDict):
    effort: NotRequired[Literal["low", "medium", "high", "xhigh", "max"] | None]
    format: NotRequired[OutputFormat | None]


@_strict
class Metadata(TypedDict):
    user_id: NotRequired[str | None]


@_strict
class Diagnostics(TypedDict):
    previous_message_id: NotRequired[str | None]


@_strict
class Counted(TypedDict):
    """What token counting takes: everything that is rendered into the prompt."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    messages: Annotated[list[Message], Field(min_length=1, max_length=100_000)]
    system: NotRequired[
        Annotated[Annotated[str, Tag("@string")] | Annotated[list[Text], Tag("@list")], Discriminator(_string_or_list)]
    ]
    tools: NotRequired[
        list[
            Annotated[
                Annotated[CustomTool, Tag("custom")] | Annotated[ProvidedTool, Tag("@provided")],
                Discriminator(_tool_kind),
            ]
        ]
    ]
    tool_choice: NotRequired[Annotated[OpenChoice | NamedChoice | NoChoice, Field(discriminator="type")]]
    thinking: NotRequired[Annotated[EnabledThinking | AdaptiveThinking | PlainThinking, Field(discriminator="type")]]
    output_config: NotRequired[OutputConfig]
    cache_control: NotRequired[Mark]
    speed: NotRequired[Literal["standard", "fast"] | None]
    user_profile_id: NotRequired[str]


@_strict
class Created(Counted):
    max_tokens: Annotated[int, Field(ge=0)]
    stream: NotRequired[bool]
    temperature: NotRequired[Annotated[float, Field(ge=0, le=1)]]
    top_p: NotRequired[Annotated[float, Field(ge=0, le=1)]]
    top_k: NotRequired[Annotated[int, Field(ge=0)]]
    stop_sequences: NotRequired[list[str]]
    metadata: NotRequired[Metadata]
    service_tier: NotRequired[Literal["auto", "standard_only"]]
    inference_geo: NotRequired[str | None]
    container: NotRequired[str | dict[str, Any] | None]
    diagnostics: NotRequired[Diagnostics | None]


CREATE: TypeAdapter[Any] = TypeAdapter(Created)
COUNT: TypeAdapter[Any] = TypeAdapter(Counted)
