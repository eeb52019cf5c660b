"""Bodies of the Messages API as structs, named as the API names them.

What the neutral model has no word for is mostly not named here: it then takes the slower road
of unknown fields (`wire.extra`) and comes back as the bytes that came. Fields that are in nearly
every body are named as `Raw` all the same, so that the common case is one pass.

Follows the types of Anthropic's SDK (`anthropic` 2.10.0, read 2026-11-20), which are made from
the API reference, platform.claude.com/docs/en/api/messages.
"""

from typing import Literal

from msgspec import Raw, Struct

NAME = "anthropic.messages"


class Named(Struct):
    """The `type` of a block, read before anything else of it can be."""

    type: str


class Sourced(Struct):
    source: Named


class CacheControl(Struct, forbid_unknown_fields=True):
    type: str
    ttl: str | None = None


class Base64Source(Struct, forbid_unknown_fields=True, tag_field="type", tag="base64"):
    media_type: str
    data: str


class URLSource(Struct, forbid_unknown_fields=True, tag_field="type", tag="url"):
    url: str


class FileSource(Struct, forbid_unknown_fields=True, tag_field="type", tag="file"):
    file_id: str


class PlainTextSource(Struct, forbid_unknown_fields=True, tag_field="type", tag="text"):
    media_type: str
    data: str


class TextBlock(Struct, forbid_unknown_fields=True, tag_field="type", tag="text"):
    text: str
    cache_control: CacheControl | None = None
    citations: list[Raw] | None = None


class ImageBlock(Struct, forbid_unknown_fields=True, tag_field="type", tag="image"):
    source: Base64Source | URLSource | FileSource
    cache_control: CacheControl | None = None


class DocumentBlock(Struct, forbid_unknown_fields=True, tag_field="type", tag="document"):
    source: Base64Source | URLSource | FileSource | PlainTextSource
    title: str | None = None
    cache_control: CacheControl | None = None


class ThinkingBlock(Struct, forbid_unknown_fields=True, tag_field="type", tag="thinking"):
    thinking: str
    signature: str = ""


class RedactedThinkingBlock(
    Struct, forbid_unknown_fields=True, tag_field="type", tag="redacted_thinking"
):
    data: str


class ToolUseBlock(Struct, forbid_unknown_fields=True, tag_field="type", tag="tool_use"):
    id: str
    name: str
    input: Raw = Raw(b"{}")
    cache_control: CacheControl | None = None
    caller: Raw = Raw()


class ServerToolUseBlock(
    Struct, forbid_unknown_fields=True, tag_field="type", tag="server_tool_use"
):
    id: str
    name: str
    input: Raw = Raw(b"{}")
    caller: Raw = Raw()


class McpToolUseBlock(Struct, forbid_unknown_fields=True, tag_field="type", tag="mcp_tool_use"):
    id: str
    name: str
    input: Raw = Raw(b"{}")
    server_name: Raw = Raw()


class ToolResultBlock(Struct, forbid_unknown_fields=True, tag_field="type", tag="tool_result"):
    tool_use_id: str
    content: str | list[Raw] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None


class ServerToolResultBlock(Struct):
    """Any of the `…_tool_result` blocks that the provider's own tools answer with."""

    tool_use_id: str


Block = (
    TextBlock
    | ImageBlock
    | DocumentBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | ServerToolUseBlock
    | McpToolUseBlock
    | ToolResultBlock
)


class TextCitation(Struct):
    """What the five kinds of citations have in common, under one name each."""

    cited_text: str | None = None
    url: str | None = None
    source: str | None = None
    title: str | None = None
    document_title: str | None = None


class MessageParam(Struct, forbid_unknown_fields=True):
    role: Literal["user", "assistant", "system"]
    content: str | list[Raw]


class ToolParam(Struct, forbid_unknown_fields=True):
    name: str
    input_schema: Raw
    type: str | None = None
    description: str | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None


class NamedTool(Struct):
    """A tool that the API defines; a toolset has no name but its type."""

    type: str | None = None
    name: str | None = None


class ToolChoice(Struct, forbid_unknown_fields=True):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class ThinkingConfig(Struct, forbid_unknown_fields=True):
    type: str
    budget_tokens: int | None = None


class OutputConfig(Struct, forbid_unknown_fields=True):
    effort: str | None = None
    format: Raw = Raw()


class OutputFormat(Struct, forbid_unknown_fields=True):
    type: str
    schema: Raw = Raw()


class Metadata(Struct, forbid_unknown_fields=True):
    user_id: str | None = None


class MessageCreateParams(Struct, forbid_unknown_fields=True):
    model: str
    messages: list[MessageParam]
    max_tokens: int | None = None
    system: str | list[Raw] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    tools: list[Raw] | None = None
    tool_choice: Raw = Raw()
    thinking: Raw = Raw()
    output_config: Raw = Raw()
    output_format: Raw = Raw()
    metadata: Metadata | None = None


class Envelope(Struct):
    model: str
    stream: bool | None = None


class CacheCreation(Struct):
    ephemeral_1h_input_tokens: int | None = None


class OutputTokensDetails(Struct):
    thinking_tokens: int | None = None


class Usage(Struct, frozen=True, forbid_unknown_fields=True):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: Raw = Raw()
    output_tokens_details: Raw = Raw()
    service_tier: Raw = Raw()
    inference_geo: Raw = Raw()
    server_tool_use: Raw = Raw()


class Message(Struct, forbid_unknown_fields=True):
    id: str
    model: str
    content: list[Raw]
    usage: Usage | None = None
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    stop_reason: str | None = None
    stop_sequence: str | None = None
    container: Raw = Raw()
    stop_details: Raw = Raw()
    context_management: Raw = Raw()


class MessageStarted(Struct, forbid_unknown_fields=True):
    """A `Message` as it begins: whatever is missing here may still come."""

    id: str = ""
    model: str = ""
    usage: Usage | None = None
    type: str = "message"
    role: str = "assistant"
    content: Raw = Raw()
    stop_reason: str | None = None
    stop_sequence: str | None = None


class MessageStart(Struct, forbid_unknown_fields=True, tag_field="type", tag="message_start"):
    message: MessageStarted


class Delta(Struct):
    """The deltas of all blocks: what a block does not have stays empty."""

    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    citation: Raw = Raw()


class Stopping(Struct, frozen=True):
    stop_reason: str | None = None
    stop_sequence: str | None = None


class Stopped(Stopping, frozen=True, forbid_unknown_fields=True):
    """The same, for where later fields are to be kept."""


class MessageDelta(Struct, forbid_unknown_fields=True, tag_field="type", tag="message_delta"):
    delta: Stopped = Stopped()
    usage: Usage | None = None


class MessageStartEvent(Struct, tag_field="type", tag="message_start"):
    """Which events there are, for those that are then read once more and in full."""


class MessageDeltaEvent(Struct, tag_field="type", tag="message_delta"):
    pass


class MessageStopEvent(Struct, tag_field="type", tag="message_stop"):
    pass


class PingEvent(Struct, tag_field="type", tag="ping"):
    pass


class ErrorEvent(Struct, tag_field="type", tag="error"):
    pass


class ContentBlockStart(Struct, tag_field="type", tag="content_block_start"):
    index: int
    content_block: Raw


class ContentBlockDelta(Struct, tag_field="type", tag="content_block_delta"):
    index: int
    delta: Delta


class ContentBlockStop(Struct, tag_field="type", tag="content_block_stop"):
    index: int


class Untyped(Struct):
    """An event that is none of the API's, as far as it shows what else it is."""

    type: str = ""
    error: Raw = Raw()


class OpaqueDelta(Struct):
    """The delta of a block that the schema does not know."""

    delta: dict[str, Raw]


Event = (
    MessageStartEvent
    | ContentBlockStart
    | ContentBlockDelta
    | ContentBlockStop
    | MessageDeltaEvent
    | MessageStopEvent
    | PingEvent
    | ErrorEvent
)


class ModelName(Struct):
    model: str


class Answer(Struct):
    """What is to be known of an answer that is not decoded."""

    stop_reason: str | None = None
    content: Raw = Raw()
    usage: Usage | None = None
    error: Raw = Raw()


class AnswerOfLater(Struct):
    """The same, where its usage has fields that are not in the schema."""

    stop_reason: str | None = None
    content: Raw = Raw()
    usage: Raw = Raw()
    error: Raw = Raw()


class Error(Struct, forbid_unknown_fields=True):
    type: str = ""
    message: str = ""
    details: Raw = Raw()


class ErrorDetails(Struct):
    error_code: str = ""


class ErrorResponse(Struct, forbid_unknown_fields=True):
    error: Raw
    type: str = "error"
    request_id: str | None = None


class MessageTokensCount(Struct):
    input_tokens: int
