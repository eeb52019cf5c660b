"""Bodies of the Gemini API as structs, named as the API names them.

What the neutral model has no word for is mostly not named here: it then takes the slower road
of unknown fields (`wire.extra`) and comes back as the bytes that came.

Follows the types of Google's SDK (`google-genai` 3.4.0, read 2026-11-20), which are made from
the API reference, ai.google.dev/api/generate-content.
"""

from msgspec import Raw, Struct

NAME = "gemini"


class Part(Struct, rename="camel"):
    """Which kind of part an object is, and what may stand beside its content."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: Raw = Raw()
    file_data: Raw = Raw()
    function_call: Raw = Raw()
    function_response: Raw = Raw()
    executable_code: Raw = Raw()
    code_execution_result: Raw = Raw()


class KnownPart(Part, rename="camel", forbid_unknown_fields=True):
    """The same, for where other fields are to be kept."""


class Blob(Struct, rename="camel", forbid_unknown_fields=True):
    mime_type: str
    data: str
    display_name: str | None = None


class FileData(Struct, rename="camel", forbid_unknown_fields=True):
    file_uri: str
    mime_type: str | None = None
    display_name: str | None = None


class FunctionCall(Struct, forbid_unknown_fields=True):
    name: str = ""
    args: Raw = Raw()
    id: str | None = None


class FunctionResponse(Struct, forbid_unknown_fields=True):
    name: str = ""
    response: Raw = Raw()
    id: str | None = None
    parts: list[Raw] | None = None


class ServerTool(Struct):
    """What Google's own tools do; `id` pairs a call with its result where the API gives one."""

    id: str | None = None


class Content(Struct, forbid_unknown_fields=True):
    parts: list[Raw] | None = None
    role: str | None = None


class FunctionDeclaration(Struct, rename="camel", forbid_unknown_fields=True):
    name: str
    description: str | None = None
    parameters: Raw = Raw()
    parameters_json_schema: Raw = Raw()


class Tool(Struct, rename="camel"):
    function_declarations: list[Raw] | None = None


class FunctionCallingConfig(Struct, rename="camel", forbid_unknown_fields=True):
    mode: str | None = None
    allowed_function_names: list[str] | None = None


class ToolConfig(Struct, rename="camel", forbid_unknown_fields=True):
    function_calling_config: FunctionCallingConfig | None = None


class ThinkingConfig(Struct, rename="camel", forbid_unknown_fields=True):
    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class GenerationConfig(Struct, rename="camel", forbid_unknown_fields=True):
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    seed: int | None = None
    candidate_count: int | None = None
    max_output_tokens: int | None = None
    stop_sequences: list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_logprobs: bool | None = None
    logprobs: int | None = None
    response_mime_type: str | None = None
    response_schema: Raw = Raw()
    response_json_schema: Raw = Raw()
    thinking_config: ThinkingConfig | None = None


class GenerateContentRequest(Struct, rename="camel", forbid_unknown_fields=True):
    contents: list[Content] | None = None
    system_instruction: Content | None = None
    tools: list[Raw] | None = None
    tool_config: ToolConfig | None = None
    generation_config: GenerationConfig | None = None


class CountTokensRequest(Struct, rename="camel"):
    generate_content_request: Raw = Raw()


class CandidateCount(Struct, rename="camel"):
    candidate_count: int | None = None


class Envelope(Struct, rename="camel"):
    generation_config: CandidateCount | None = None


class UsageMetadata(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    total_token_count: int | None = None
    cached_content_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    prompt_tokens_details: Raw = Raw()
    cache_tokens_details: Raw = Raw()
    candidates_tokens_details: Raw = Raw()


class Candidate(Struct, rename="camel", forbid_unknown_fields=True):
    content: Content | None = None
    finish_reason: str | None = None
    index: int | None = None
    grounding_metadata: Raw = Raw()
    citation_metadata: Raw = Raw()
    safety_ratings: Raw = Raw()
    avg_logprobs: Raw = Raw()


class PromptFeedback(Struct, rename="camel"):
    block_reason: str | None = None


class GenerateContentResponse(Struct, rename="camel", forbid_unknown_fields=True):
    candidates: list[Raw] | None = None
    prompt_feedback: Raw = Raw()
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    response_id: str | None = None


class CandidateSummary(Struct, rename="camel"):
    finish_reason: str | None = None
    index: int = 0


class Summary(Struct, rename="camel"):
    """What is to be known of an answer, or of a piece of one, that is not decoded."""

    candidates: list[Raw] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: Raw = Raw()
    model_version: str | None = None
    response_id: str | None = None
    total_tokens: int | None = None
    error: Raw = Raw()


class Web(Struct):
    uri: str | None = None
    title: str | None = None


class GroundingChunk(Struct, rename="camel"):
    web: Web | None = None
    retrieved_context: Web | None = None
    maps: Web | None = None


class Segment(Struct, rename="camel"):
    text: str | None = None
    start_index: int = 0
    end_index: int | None = None
    part_index: int = 0


class GroundingSupport(Struct, rename="camel"):
    segment: Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class GroundingMetadata(Struct, rename="camel"):
    grounding_chunks: list[GroundingChunk] | None = None
    grounding_supports: list[GroundingSupport] | None = None


class Source(Struct, rename="camel"):
    uri: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class CitationMetadata(Struct):
    citations: list[Source] | None = None


class Error(Struct, forbid_unknown_fields=True):
    message: str = ""
    status: str = ""
    code: int | str | None = None
    details: list[Raw] | None = None


class ErrorInfo(Struct):
    reason: str = ""


class ErrorResponse(Struct, forbid_unknown_fields=True):
    error: Raw


class CountTokensResponse(Struct, rename="camel"):
    total_tokens: int
