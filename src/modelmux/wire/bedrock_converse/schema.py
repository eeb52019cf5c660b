"""The API's objects as structs, named as the API names them.

Follows the service model of Amazon's SDK (`botocore` 1.44.5, `bedrock-runtime` of 2023-09-30), read
2026-11-20. Of each union, what the neutral model has a word for is named here; the rest is kept
as it came.
"""

from typing import Final, Literal

from msgspec import Raw, Struct

NAME: Final = "bedrock.converse"

Role = Literal["user", "assistant", "system"]


class S3Location(Struct, forbid_unknown_fields=True):
    uri: str


class Source(Struct, forbid_unknown_fields=True):
    bytes: str | None = None
    s3Location: S3Location | None = None


class Media(Struct, forbid_unknown_fields=True):
    source: Source
    format: str = ""
    name: str | None = None


class ImageContent(Struct, forbid_unknown_fields=True):
    image: Media


class DocumentContent(Struct, forbid_unknown_fields=True):
    document: Media


class VideoContent(Struct, forbid_unknown_fields=True):
    video: Media


class AudioContent(Struct, forbid_unknown_fields=True):
    audio: Media


class TextContent(Struct, forbid_unknown_fields=True):
    text: str


class JsonContent(Struct, forbid_unknown_fields=True):
    json: Raw


class ToolUseBlock(Struct, forbid_unknown_fields=True):
    toolUseId: str
    name: str
    input: Raw = Raw(b"{}")


class ToolUseContent(Struct, forbid_unknown_fields=True):
    toolUse: ToolUseBlock


class ToolResultBlock(Struct, forbid_unknown_fields=True):
    toolUseId: str
    content: list[Raw]
    status: str | None = None


class ToolResultContent(Struct, forbid_unknown_fields=True):
    toolResult: ToolResultBlock


class ReasoningTextBlock(Struct, forbid_unknown_fields=True):
    text: str
    signature: str | None = None


class ReasoningContentBlock(Struct, forbid_unknown_fields=True):
    reasoningText: ReasoningTextBlock | None = None
    redactedContent: str | None = None


class ReasoningContent(Struct, forbid_unknown_fields=True):
    reasoningContent: ReasoningContentBlock


class CachePointBlock(Struct, forbid_unknown_fields=True):
    type: Literal["default"]
    ttl: str | None = None


class CachePoint(Struct, forbid_unknown_fields=True):
    cachePoint: CachePointBlock


class CitationsBlock(Struct, forbid_unknown_fields=True):
    content: list[TextContent] = []
    citations: list[Raw] = []


class CitationsContent(Struct, forbid_unknown_fields=True):
    citationsContent: CitationsBlock


class WebLocation(Struct):
    url: str | None = None


class Location(Struct):
    web: WebLocation | None = None


class SourceText(Struct):
    text: str | None = None


class Citation(Struct):
    title: str | None = None
    source: str | None = None
    sourceContent: list[SourceText] | None = None
    location: Location | None = None


class Message(Struct, forbid_unknown_fields=True):
    role: Role
    content: list[Raw]


class InferenceConfiguration(Struct, forbid_unknown_fields=True):
    maxTokens: int | None = None
    temperature: float | None = None
    topP: float | None = None
    stopSequences: list[str] | None = None


class InputSchema(Struct, forbid_unknown_fields=True):
    json: Raw


class ToolSpecification(Struct, forbid_unknown_fields=True):
    name: str
    inputSchema: InputSchema
    description: str | None = None
    strict: bool | None = None


class ToolSpec(Struct, forbid_unknown_fields=True):
    toolSpec: ToolSpecification


class SpecificToolChoice(Struct, forbid_unknown_fields=True):
    name: str


class ToolChoice(Struct, forbid_unknown_fields=True):
    auto: Raw = Raw()
    any: Raw = Raw()
    tool: SpecificToolChoice | None = None


class ToolConfiguration(Struct, forbid_unknown_fields=True):
    tools: list[Raw]
    toolChoice: ToolChoice | None = None


class JsonSchemaDefinition(Struct, forbid_unknown_fields=True):
    schema: str
    name: str | None = None
    description: str | None = None


class OutputFormatStructure(Struct, forbid_unknown_fields=True):
    jsonSchema: JsonSchemaDefinition


class OutputFormat(Struct, forbid_unknown_fields=True):
    type: Literal["json_schema"]
    structure: OutputFormatStructure


class OutputConfig(Struct, forbid_unknown_fields=True):
    textFormat: OutputFormat | None = None
    effort: str | None = None


class ConverseRequest(Struct, forbid_unknown_fields=True):
    messages: list[Message] | None = None
    system: list[Raw] | None = None
    inferenceConfig: InferenceConfiguration | None = None
    toolConfig: ToolConfiguration | None = None
    outputConfig: OutputConfig | None = None
    requestMetadata: dict[str, str] | None = None


class CacheDetail(Struct):
    ttl: str = ""
    inputTokens: int = 0


class TokenUsage(Struct, forbid_unknown_fields=True):
    inputTokens: int = 0
    outputTokens: int = 0
    totalTokens: int | None = None
    cacheReadInputTokens: int | None = None
    cacheWriteInputTokens: int | None = None
    cacheDetails: Raw = Raw()


class OutputMessage(Struct, forbid_unknown_fields=True):
    content: list[Raw] = []
    role: str = "assistant"


class ConverseOutput(Struct, forbid_unknown_fields=True):
    message: OutputMessage


class ConverseResponse(Struct, forbid_unknown_fields=True):
    output: ConverseOutput
    stopReason: str
    usage: TokenUsage | None = None


class Summary(Struct):
    """What is to be known of an answer that is passed on."""

    output: Raw = Raw()
    stopReason: str | None = None
    usage: Raw = Raw()


class ToolUseBlockStart(Struct):
    toolUseId: str
    name: str
    type: str | None = None


class ContentBlockStart(Struct):
    toolUse: ToolUseBlockStart | None = None


class ContentBlockStartEvent(Struct):
    contentBlockIndex: int
    start: Raw = Raw(b"{}")


class ToolUseBlockDelta(Struct):
    input: str = ""


class ReasoningContentBlockDelta(Struct):
    text: str | None = None
    redactedContent: str | None = None
    signature: str | None = None


class ContentBlockDelta(Struct):
    text: str | None = None
    toolUse: ToolUseBlockDelta | None = None
    reasoningContent: ReasoningContentBlockDelta | None = None
    citation: Raw = Raw()


class ContentBlockDeltaEvent(Struct):
    contentBlockIndex: int
    delta: ContentBlockDelta


class ContentBlockStopEvent(Struct):
    contentBlockIndex: int


class MessageStopEvent(Struct, forbid_unknown_fields=True):
    stopReason: str
    p: str = ""
    """Padding, which keeps the length of a frame from telling what it says."""


class MetadataEvent(Struct, forbid_unknown_fields=True):
    usage: TokenUsage | None = None
    p: str = ""


class Error(Struct, rename={"type_": "__type"}):
    """Errors of the API, and of what stands in front of it."""

    message: str | None = None
    Message: str | None = None
    type_: str | None = None
    originalStatusCode: int | None = None
    originalMessage: str | None = None
