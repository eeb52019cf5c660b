"""The API's objects as structs, named as the API names them.

What the neutral model has no word for is `Raw`: it is kept as bytes and given back. Field types
are as wide as what callers and OpenAI-compatible servers send, not as narrow as the
documentation. Fields follow the types of OpenAI's own Python library 3.51, read 2026-11-20.
"""

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import ProtocolViolation
from modelmux.wire import extra
from modelmux.wire.openai.chunks import XGroq
from modelmux.wire.openai.media import FileFile

NAME = "openai.chat"


class ImageURL(Struct, forbid_unknown_fields=True):
    url: str
    detail: str | None = None


class InputAudio(Struct, forbid_unknown_fields=True):
    data: str
    format: str


class ContentPart(Struct, forbid_unknown_fields=True):
    type: str
    text: str | None = None
    image_url: ImageURL | str | None = None
    input_audio: InputAudio | None = None
    file: FileFile | None = None
    refusal: str | None = None
    thinking: str | list["ContentPart"] | None = None
    """Mistral's: https://docs.mistral.ai/studio-api/conversations/reasoning, read 2026-11-20."""
    cache_control: Raw = Raw()
    """Anthropic's marker, which clients of many gateways write on this wire too."""
    prompt_cache_breakpoint: Raw = Raw()


class Function(Struct, forbid_unknown_fields=True):
    name: str | None = None
    arguments: str | dict[str, Raw] | None = None
    """Hugging Face's router has sent an object where the API says a string."""


class Custom(Struct, forbid_unknown_fields=True):
    name: str | None = None
    input: str | None = None


class ToolCall(Struct, forbid_unknown_fields=True):
    id: str | None = None
    type: str | None = None
    function: Function | None = None
    custom: Custom | None = None


class Message(Struct, forbid_unknown_fields=True):
    """A message of any role, of a request or an answer."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"] | None = None
    content: str | list[ContentPart] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    function_call: Function | None = None
    annotations: list[Raw] | None = None
    audio: Raw = Raw()
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[Raw] | None = None
    images: list[ContentPart] | None = None
    """OpenRouter's, for models that draw.

    https://openrouter.ai/docs/features/multimodal/image-generation, read 2026-11-20.
    """
    cache_control: Raw = Raw()


class FunctionDefinition(Struct, forbid_unknown_fields=True):
    name: str
    description: str | None = None
    parameters: Raw = Raw()
    strict: bool | None = None


class Tool(Struct, forbid_unknown_fields=True):
    type: str = "function"
    function: FunctionDefinition | None = None
    custom: Raw = Raw()
    cache_control: Raw = Raw()


class Named(Struct, forbid_unknown_fields=True):
    name: str


class CustomGrammar(Struct, forbid_unknown_fields=True):
    syntax: str
    definition: str


class CustomFormat(Struct, forbid_unknown_fields=True):
    type: Literal["grammar"]
    grammar: CustomGrammar


class CustomDefinition(Struct, forbid_unknown_fields=True):
    name: str
    description: str | None = None
    format: CustomFormat | None = None


class CustomName(Struct):
    """Of one with fields that are not known, which travels as it came."""

    name: str = ""


class AllowedTool(Struct):
    type: str = ""
    function: Named | None = None
    custom: Named | None = None


class AllowedTools(Struct, forbid_unknown_fields=True):
    mode: Literal["auto", "required"]
    tools: list[Raw]


class ToolChoice(Struct, forbid_unknown_fields=True):
    type: str
    function: Named | None = None
    custom: Named | None = None
    allowed_tools: AllowedTools | None = None


class JSONSchema(Struct, forbid_unknown_fields=True):
    name: str | None = None
    description: str | None = None
    schema: Raw = Raw()
    strict: bool | None = None


class ResponseFormat(Struct, forbid_unknown_fields=True):
    type: str
    json_schema: JSONSchema | None = None


class StreamOptions(Struct, forbid_unknown_fields=True):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Request(Struct, forbid_unknown_fields=True):
    """What most requests are made of; `FullRequest` has the rest."""

    model: str
    messages: list[Message]
    frequency_penalty: float | None = None
    logit_bias: Raw = Raw()
    logprobs: bool | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    metadata: dict[str, str] | None = None
    n: int | None = None
    parallel_tool_calls: bool | None = None
    presence_penalty: float | None = None
    reasoning_effort: str | None = None
    response_format: ResponseFormat | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    tool_choice: str | ToolChoice | None = None
    tools: list[Tool] | None = None
    top_k: int | None = None
    """Not OpenAI's, but understood by most servers of its wire."""
    top_logprobs: int | None = None
    top_p: float | None = None
    user: str | None = None


class ReasoningSettings(Struct, forbid_unknown_fields=True):
    """OpenRouter's `reasoning`."""

    effort: str | None = None
    max_tokens: int | None = None
    enabled: bool | None = None


class Thinking(Struct, forbid_unknown_fields=True):
    """Anthropic's `thinking`, which DeepSeek, Z.ai and other gateways take on this wire."""

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: int | None = None


class FullRequest(Request, forbid_unknown_fields=True):
    """Every documented field. The `Raw` ones mean something to this wire only."""

    audio: Raw = Raw()
    function_call: str | Named | None = None
    functions: list[FunctionDefinition] | None = None
    modalities: Raw = Raw()
    moderation: Raw = Raw()
    prediction: Raw = Raw()
    prompt_cache_key: Raw = Raw()
    prompt_cache_options: Raw = Raw()
    prompt_cache_retention: Raw = Raw()
    reasoning: ReasoningSettings | None = None
    safety_identifier: Raw = Raw()
    service_tier: Raw = Raw()
    store: Raw = Raw()
    thinking: Thinking | None = None
    verbosity: Raw = Raw()
    web_search_options: Raw = Raw()


OWN_FIELDS = tuple(
    field.name
    for field in msgspec.structs.fields(FullRequest)
    if field.type is Raw and field.name != "logit_bias"
)
"""Fields of a request that the neutral model has no word for."""


class Choice(Struct, forbid_unknown_fields=True):
    index: int | None = None
    message: Message | None = None
    finish_reason: str | None = None
    logprobs: Raw = Raw()
    stop_reason: str | int | None = None
    """vLLM's: the stop string that was met, or the id of the token."""
    error: Raw = Raw()
    """OpenRouter's: https://openrouter.ai/docs/api-reference/overview, read 2026-11-20."""


class Response(Struct, forbid_unknown_fields=True):
    id: str | None = None
    object: str | None = None
    created: int | float | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: Raw = Raw()
    error: Raw = Raw()
    system_fingerprint: Raw = Raw()
    service_tier: Raw = Raw()


class FunctionDelta(Struct):
    """The structs of a stream pass over fields they do not name: there are hundreds of them."""

    name: str | None = None
    arguments: str | dict[str, Raw] | None = None


class CustomDelta(Struct):
    name: str | None = None
    input: str | None = None


class ToolCallDelta(Struct):
    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: FunctionDelta | None = None
    custom: CustomDelta | None = None


class ImageDelta(Struct):
    url: str = ""


class ContentDelta(Struct):
    type: str = ""
    text: str | None = None
    thinking: str | list["ContentDelta"] | None = None
    image_url: ImageDelta | str | None = None


class Audio(Struct):
    id: str | None = None
    data: str | None = None
    transcript: str | None = None
    expires_at: int | None = None


class Delta(Struct):
    content: str | list[ContentDelta] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[Raw] | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallDelta] | None = None
    function_call: FunctionDelta | None = None
    annotations: list[Raw] | None = None
    audio: Audio | None = None
    images: list[ContentDelta] | None = None


class ChunkChoice(Struct):
    delta: Delta | None = None
    index: int | None = None
    finish_reason: str | None = None
    logprobs: Raw = Raw()
    stop_reason: str | int | None = None
    usage: Raw = Raw()
    """Moonshot's place for usage."""
    error: Raw = Raw()


class Chunk(Struct):
    choices: list[ChunkChoice] | None = None
    usage: Raw = Raw()
    error: Raw = Raw()
    object: str | None = None
    id: str | None = None
    model: str | None = None
    created: int | float | None = None
    x_groq: XGroq | None = None


class PlainDelta(Struct, forbid_unknown_fields=True, gc=False):
    """Of a chunk that holds a piece of text and nothing else, as most do: quicker than `Delta`.

    A chunk with anything more is none, because its type says so, and is read as a `Chunk`.
    """

    content: str | None = None
    reasoning_content: str | None = None
    role: str | None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None


class PlainChoice(Struct, gc=False):
    delta: PlainDelta
    index: Literal[0] = 0
    finish_reason: Literal[""] | None = None
    logprobs: None = None
    usage: None = None
    error: None = None


class PlainChunk(Struct, gc=False):
    choices: tuple[PlainChoice]
    usage: None = None
    error: None = None
    x_groq: None = None


allowed_tool = msgspec.json.Decoder(AllowedTool)
custom_definition = msgspec.json.Decoder(CustomDefinition)
custom_name = msgspec.json.Decoder(CustomName)
plain_request = msgspec.json.Decoder(Request)
full_request = extra.Schema(FullRequest)
response = extra.Schema(Response, ProtocolViolation)
plain_chunk = msgspec.json.Decoder(PlainChunk)
chunk = msgspec.json.Decoder(Chunk)
audio = msgspec.json.Decoder(Audio)
