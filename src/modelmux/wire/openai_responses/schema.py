"""The API's objects as structs, named as the API names them.

Items are a union told apart by `type`; each is read as one `Item`, which has those fields of any
that the neutral model has a word for. Fields follow the types of OpenAI's own Python library 3.51
(openai/types/responses), read 2026-11-20.
"""

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import ProtocolViolation
from modelmux.wire import extra

NAME = "openai.responses"


class InputAudio(Struct, forbid_unknown_fields=True):
    data: str
    format: str


class ContentPart(Struct, forbid_unknown_fields=True):
    """A part of a message's content, or of a tool's output."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    input_audio: InputAudio | None = None
    annotations: list[Raw] | None = None
    logprobs: Raw = Raw()
    prompt_cache_breakpoint: Raw = Raw()


class SummaryPart(Struct):
    text: str = ""


class Item(Struct):
    """Any item; what it has beside these fields is kept as it came."""

    type: str | None = None
    role: str | None = None
    content: str | list[Raw] | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: Raw = Raw()
    output: Raw = Raw()
    summary: list[SummaryPart] | None = None
    encrypted_content: str | None = None
    id: str | None = None
    result: Raw = Raw()
    output_format: str | None = None


class PlainItem(Struct, forbid_unknown_fields=True):
    """A message that is one string and says no more of itself: quicker than `Item`."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str


class Grammar(Struct, forbid_unknown_fields=True):
    type: Literal["grammar"]
    syntax: str
    definition: str


class Tool(Struct, forbid_unknown_fields=True):
    """A function or a custom tool."""

    type: str
    name: str
    description: str | None = None
    parameters: Raw = Raw()
    strict: bool | None = None
    format: Raw = Raw()


class Namespace(Struct, forbid_unknown_fields=True):
    type: str
    name: str
    tools: list[Raw]
    description: str | None = None


class Kind(Struct):
    """What of any object says which one it is."""

    type: str = ""
    name: str | None = None


class AllowedTool(Struct):
    type: str = ""
    name: str = ""
    namespace: str | None = None


class ToolChoice(Struct, forbid_unknown_fields=True):
    type: str
    name: str | None = None
    namespace: str | None = None
    mode: Literal["auto", "required"] | None = None
    tools: list[Raw] | None = None
    server_label: str | None = None


class TextFormat(Struct, forbid_unknown_fields=True):
    type: str
    name: str | None = None
    description: str | None = None
    schema: Raw = Raw()
    strict: bool | None = None


class Text(Struct, forbid_unknown_fields=True):
    format: TextFormat | None = None
    verbosity: Raw = Raw()


class Reasoning(Struct, forbid_unknown_fields=True):
    effort: str | None = None
    summary: Raw = Raw()
    generate_summary: Raw = Raw()
    mode: Raw = Raw()
    context: Raw = Raw()


class PlainRequest(Struct, forbid_unknown_fields=True):
    """What most requests are made of; `Request` has the rest."""

    model: str
    input: str | list[Raw] | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    metadata: dict[str, str] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    stream: bool | None = None
    temperature: float | None = None
    text: Text | None = None
    tool_choice: str | ToolChoice | None = None
    tools: list[Raw] | None = None
    top_logprobs: int | None = None
    top_p: float | None = None
    user: str | None = None


class Request(PlainRequest, forbid_unknown_fields=True):
    """Every documented field. The `Raw` ones mean something to this wire only."""

    access_programs: Raw = Raw()
    background: Raw = Raw()
    context_management: Raw = Raw()
    conversation: Raw = Raw()
    image: Raw = Raw()
    include: Raw = Raw()
    max_tool_calls: Raw = Raw()
    moderation: Raw = Raw()
    previous_response_id: Raw = Raw()
    prompt: Raw = Raw()
    prompt_cache_key: Raw = Raw()
    prompt_cache_options: Raw = Raw()
    prompt_cache_retention: Raw = Raw()
    safety_identifier: Raw = Raw()
    service_tier: Raw = Raw()
    store: Raw = Raw()
    stream_options: Raw = Raw()
    truncation: Raw = Raw()


OWN_FIELDS = tuple(field.name for field in msgspec.structs.fields(Request) if field.type is Raw)
"""Fields of a request that the neutral model has no word for."""


class IncompleteDetails(Struct):
    reason: str | None = None


class Response(Struct):
    """What is read of a whole answer; all of it is kept beside."""

    id: str | None = None
    object: str | None = None
    created_at: float | None = None
    model: str | None = None
    status: str | None = None
    output: list[Raw] | None = None
    usage: Raw = Raw()
    error: Raw = Raw()
    incomplete_details: IncompleteDetails | None = None


class Event(Struct):
    """An event of a stream; those of a type have some of the fields."""

    type: str = ""
    delta: str | None = None
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    text: str | None = None
    arguments: str | None = None
    input: str | None = None
    refusal: str | None = None
    item: Raw = Raw()
    part: Raw = Raw()
    annotation: Raw = Raw()
    response: Raw = Raw()
    code: str | None = None
    message: str | None = None
    error: Raw = Raw()


class TextDelta(Struct, gc=False):
    """The event of which most streams are made: quicker than `Event`."""

    type: Literal["response.output_text.delta"]
    delta: str
    output_index: int = 0
    content_index: int = 0


class OutputPart(Struct):
    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None


item = msgspec.json.Decoder(Item)
plain_part = msgspec.json.Decoder(ContentPart)
content_part = extra.Schema(ContentPart)
output_content_part = extra.Schema(ContentPart, ProtocolViolation)
kind = msgspec.json.Decoder(Kind)
tool = extra.Schema(Tool)
namespace = extra.Schema(Namespace)
grammar = msgspec.json.Decoder(Grammar)
allowed_tool = msgspec.json.Decoder(AllowedTool)
plain_request = msgspec.json.Decoder(PlainRequest)
request = extra.Schema(Request)
plain_item = msgspec.json.Decoder(PlainItem)
response = msgspec.json.Decoder(Response)
event = msgspec.json.Decoder(Event)
text_delta = msgspec.json.Decoder(TextDelta)
output_part = msgspec.json.Decoder(OutputPart)
