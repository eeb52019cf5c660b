"""Bodies of Ollama's own API as structs, named as the API names them.

Follows the types of Ollama's library (`ollama` 0.6.3, read 2026-11-20), docs.ollama.com/api, and
for the ids of calls `api/types.go` of github.com/ollama/ollama, as of 2026-11.
"""

from msgspec import Raw, Struct

CHAT = "ollama.chat"
GENERATE = "ollama.generate"


class Function(Struct, forbid_unknown_fields=True):
    name: str = ""
    arguments: Raw = Raw()


class ToolCall(Struct, forbid_unknown_fields=True):
    function: Function
    id: str | None = None


class Message(Struct, forbid_unknown_fields=True):
    role: str = "assistant"
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class FunctionDefinition(Struct, forbid_unknown_fields=True):
    name: str
    description: str | None = None
    parameters: Raw = Raw()


class Tool(Struct, forbid_unknown_fields=True):
    function: FunctionDefinition
    type: str | None = None


class Options(Struct, forbid_unknown_fields=True):
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    num_predict: int | None = None
    stop: list[str] | str | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


class Settings(Struct, forbid_unknown_fields=True):
    """What both kinds of requests have."""

    model: str
    stream: bool | None = None
    think: bool | str | None = None
    format: Raw = Raw()
    options: Options | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class ChatRequest(Settings, forbid_unknown_fields=True):
    messages: list[Message] | None = None
    tools: list[Raw] | None = None


class GenerateRequest(Settings, forbid_unknown_fields=True):
    prompt: str | None = None
    system: str | None = None
    images: list[str] | None = None


class Envelope(Struct):
    model: str
    stream: bool | None = None


class Counts(Struct, forbid_unknown_fields=True):
    """What an answer, or the last line of a stream, says of itself."""

    model: str = ""
    created_at: str = ""
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    total_duration: Raw = Raw()
    load_duration: Raw = Raw()
    prompt_eval_duration: Raw = Raw()
    eval_duration: Raw = Raw()
    error: Raw = Raw()


class ChatResponse(Counts, forbid_unknown_fields=True):
    message: Message | None = None


class GenerateResponse(Counts, forbid_unknown_fields=True):
    response: str | None = None
    thinking: str | None = None


class Summary(Struct):
    """What is to be known of an answer, or a line of one, that is not decoded."""

    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    model: str | None = None
    error: Raw = Raw()


class Error(Struct):
    error: Raw
