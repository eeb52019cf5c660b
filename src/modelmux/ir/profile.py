"""What a model can do and needs: read by codecs, written in the catalogue."""

from typing import Literal

from msgspec import Struct

from modelmux.ir.parts import Modality

ReasoningStyle = Literal["none", "effort", "budget", "adaptive", "switch"]
"""How a model is told to think: not at all, by a word, by a token budget, by itself, or by yes or
no (Qwen's `enable_thinking`)."""


class Profile(Struct, frozen=True):
    """Properties of one model as one provider offers it. The defaults suit an unknown model."""

    context_tokens: int = 0
    """Longest prompt and answer together; 0: unknown."""
    max_output_tokens: int = 0
    """Longest answer; 0: unknown."""
    input_modalities: frozenset[Modality] | None = None
    """What may be in a prompt beside text; `None`: unknown, so anything is tried."""
    tools: bool = True
    reasoning: ReasoningStyle | None = None
    """`None`: unknown, so what the caller asked for is passed on in the wire's plainest form."""
    structured_output: Literal["native", "tool"] = "native"
    """Whether the model takes a JSON Schema for its answer, or only for a tool's arguments."""
    refuses: frozenset[str] = frozenset()
    """Fields of `Sampling` that the model answers with 400."""
    temperature_or_top_p: bool = False
    """The model refuses `temperature` and `top_p` together."""
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    developer_role: bool = False
    """The model wants `developer` where others want `system`."""
    prefill: bool = True
    """The conversation may end with the beginning of the answer."""
    reasoning_replay: bool = False
    """Turns that called tools must carry their reasoning text back (DeepSeek, Kimi)."""
    forced_tools: bool = True
    """The model can be made to call a tool."""
    thinks_always: bool = False
    """The model cannot be kept from thinking."""
    json_schema: bool = True
    """Gemini: schemas are JSON Schema; else the API's older subset of OpenAPI."""
    format_with_tools: bool = True
    """An answer can have a form and tools beside it."""
    signed_calls: bool = False
    """Gemini 3: calls in the history are refused without the signature of their thought."""
    tool_ids: bool = True
    """Gemini: calls and results may have ids. Vertex pairs them by place and refuses ids."""
    beside_tool_results: Literal["anything", "text_and_images", "nothing"] = "anything"
    """What a turn may hold beside the results of tools."""
    stream_usage: bool = True
    """The server understands `stream_options.include_usage`."""
    custom_tools: bool = False
    """The model can be offered tools that take free text."""
    tools_wire: str = ""
    """The wire on which the model calls tools while it thinks, where not every one will do."""
    embeddings: Literal["", "predict"] = ""
    """In which of its API's forms the model is asked for embeddings; empty: the usual one."""
    max_inputs: int = 0
    """Most texts of one request for embeddings; more are split. 0: unknown."""


UNKNOWN = Profile()
