"""The API's objects as structs, named as the API names them.

Follows the types of Cohere's own Python library 7.3.1, read 2026-11-20.
"""

from typing import Final, Literal

from msgspec import Raw, Struct

NAME: Final = "cohere.chat"


class ImageUrl(Struct, forbid_unknown_fields=True):
    url: str
    detail: str | None = None


class Document(Struct, forbid_unknown_fields=True):
    data: Raw
    id: str | None = None


class Content(Struct, forbid_unknown_fields=True):
    """A piece of a message of any role."""

    type: str
    text: str | None = None
    thinking: str | None = None
    image_url: ImageUrl | None = None
    document: Raw = Raw()


class ToolCallFunction(Struct, forbid_unknown_fields=True):
    name: str | None = None
    arguments: str | None = None


class ToolCall(Struct, forbid_unknown_fields=True):
    id: str | None = None
    type: str | None = None
    function: ToolCallFunction | None = None


class Message(Struct, forbid_unknown_fields=True):
    role: Literal["user", "assistant", "system", "tool"]
    content: str | list[Content] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_plan: str | None = None
    tool_call_id: str | None = None
    citations: list[Raw] | None = None


class ToolFunction(Struct, forbid_unknown_fields=True):
    name: str
    description: str | None = None
    parameters: Raw = Raw()


class Tool(Struct, forbid_unknown_fields=True):
    type: str = "function"
    function: ToolFunction | None = None


class ResponseFormat(Struct, forbid_unknown_fields=True):
    type: Literal["text", "json_object"]
    json_schema: Raw = Raw()


class Thinking(Struct, forbid_unknown_fields=True):
    type: Literal["enabled", "disabled"]
    token_budget: int | None = None


class Request(Struct, forbid_unknown_fields=True):
    model: str
    messages: list[Message]
    stream: bool | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["REQUIRED", "NONE"] | None = None
    response_format: ResponseFormat | None = None
    thinking: Thinking | None = None
    max_tokens: int | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    k: int | None = None
    p: float | None = None
    logprobs: bool | None = None


class Envelope(Struct):
    model: str
    stream: bool | None = None


class CitedDocument(Struct):
    title: str | None = None
    url: str | None = None
    text: str | None = None


class Source(Struct):
    type: str = ""
    document: CitedDocument | None = None


class Citation(Struct):
    start: int | None = None
    end: int | None = None
    text: str | None = None
    sources: list[Source] | None = None
    content_index: int | None = None
    type: str | None = None


class Tokens(Struct):
    input_tokens: float | None = None
    output_tokens: float | None = None


class Usage(Struct):
    billed_units: Tokens | None = None
    tokens: Tokens | None = None
    cached_tokens: float | None = None


class Answer(Struct, forbid_unknown_fields=True):
    role: str = "assistant"
    content: list[Content] | None = None
    tool_plan: str | None = None
    tool_calls: list[ToolCall] | None = None
    citations: list[Raw] | None = None


class Response(Struct, forbid_unknown_fields=True):
    id: str
    finish_reason: str
    message: Answer
    usage: Raw = Raw()


class Summary(Struct):
    """What is to be known of an answer that is passed on."""

    finish_reason: str | None = None
    message: Raw = Raw()
    usage: Raw = Raw()


class DeltaMessage(Struct):
    content: Raw = Raw()
    tool_plan: str | None = None
    tool_calls: Raw = Raw()
    citations: Raw = Raw()


class Delta(Struct):
    message: DeltaMessage | None = None
    finish_reason: str | None = None
    usage: Raw = Raw()
    error: str | None = None


class Event(Struct):
    """Any event of a stream; each has some of the fields."""

    type: str
    index: int | None = None
    id: str | None = None
    delta: Delta | None = None


class DeltaContent(Struct):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None


class Error(Struct):
    message: str | None = None
    id: str | None = None
