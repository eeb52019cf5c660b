"""The neutral request, and the record of what could not be said on another wire."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Raw, Struct

from modelmux.ir.parts import CacheControl, Extra, Part
from modelmux.ir.restore import Restore

Role = Literal["system", "developer", "user", "assistant"]
"""Tool results are `ToolResult` parts of a user's message, whatever the wire calls the role."""

LossKind = Literal["tuning", "content"]
"""`tuning`: the answer may differ in style or cost. `content`: something said is not heard."""

OnLoss = Literal["refuse", "warn"]
"""What is done where content would be lost: the call is refused, or goes on and says so."""


class Envelope(Struct, frozen=True):
    """What must be known of a body to send it on without decoding the rest."""

    model: str
    """The name the caller asked for, and is answered with."""
    stream: bool = False
    include_usage: bool = True
    """Whether the caller wants usage at the end of a stream."""
    choices: int = 1
    """How many answers were asked for (`n`)."""
    spelling: frozenset[str] = frozenset()
    """As `Request.spelling`."""
    has_tools: bool = False
    """Whether the model is offered tools, where the wire looks."""
    echo: Mapping[str, Raw] = {}
    """Fields of the request that an answer repeats, on a wire whose answers do."""
    answer_id: str = ""
    """What the answer is to be called where the target's own name for it cannot stand."""


class Message(Struct, frozen=True):
    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    """Which of several participants in the same role is speaking."""
    bare: bool = False
    """The content was one string and not a list; a wire that has both forms writes it so."""
    extra: Extra | None = None


class Grammar(Struct, frozen=True):
    """What the input of a custom tool must look like."""

    syntax: str
    """`lark` or `regex`."""
    definition: str


class Tool(Struct, frozen=True):
    """A function the model may ask the caller to run."""

    name: str
    description: str | None = None
    parameters: Raw | None = None
    """JSON Schema of the arguments, as it came: reordering it would spoil prompt caches."""
    strict: bool | None = None
    cache_control: CacheControl | None = None
    extra: Extra | None = None
    custom: bool = False
    """It takes free text and not JSON."""
    grammar: Grammar | None = None
    """Of a custom tool; `None`: any text."""


class GenericTool(Struct, frozen=True):
    """A tool of a kind that only one wire knows, such as one that the provider runs."""

    type: str
    name: str
    wire: str
    raw: Raw


class ToolChoice(Struct, frozen=True):
    mode: Literal["auto", "none", "required", "named", "allowed"]
    """`named`: exactly the tool in `names`. `allowed`: only those in `names`."""
    names: tuple[str, ...] = ()
    required: bool = False
    """With `allowed`: one of them must be called."""
    extra: Extra | None = None


class ResponseFormat(Struct, frozen=True):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: Raw | None = None
    strict: bool | None = None
    extra: Extra | None = None


class Sampling(Struct, frozen=True):
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Raw | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class ReasoningOptions(Struct, frozen=True):
    """How much the model may think."""

    mode: Literal["enabled", "disabled", "adaptive"] | None = None
    effort: str | None = None
    """`none minimal low medium high xhigh max`, or a provider's own word."""
    budget_tokens: int | None = None
    extra: Extra | None = None


class Request(Struct, frozen=True):
    """One chat request.

    Invariant: messages are in the caller's order. System and developer messages stand where
    the caller put them; a wire with one place for them collects them on encoding.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool | GenericTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    sampling: Sampling = Sampling()
    response_format: ResponseFormat | None = None
    reasoning: ReasoningOptions | None = None
    choices: int = 1
    stream: bool = False
    include_usage: bool = True
    user: str | None = None
    """The end user on whose behalf the caller asks, as an opaque id."""
    metadata: Mapping[str, str] = {}
    wire: str = ""
    """Name of the wire it was decoded from."""
    spelling: frozenset[str] = frozenset()
    """Which of its equal spellings the caller's wire used; only that wire reads it."""
    extra: Extra | None = None


class Loss(Struct, frozen=True):
    """One thing the caller said that the target will not hear."""

    path: str
    """JSON Pointer: into the caller's body for unknown fields, else into the neutral request."""
    reason: str
    kind: LossKind = "tuning"


class Encoded(Struct, frozen=True):
    """A body for a target, and what had to be done to the request to say it there."""

    body: bytes
    losses: tuple[Loss, ...] = ()
    restore: Restore | None = None
    """What must be undone in the answer; `None`: nothing."""
