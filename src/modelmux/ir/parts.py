"""Parts: the pieces of which a message's content is made.

Names are OpenTelemetry's GenAI message parts (`text`, `reasoning`, `tool_call`,
`tool_call_response`, `blob`, `uri`, `file`, `generic`), plus `refusal`, which two wires keep
apart from text. All are frozen and may be shared.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Raw, Struct

Modality = Literal["image", "audio", "video", "document"]


class Extra(Struct, frozen=True):
    """Fields of one object that the neutral model has no word for, as bytes that came.

    They are written back on the wire they came from, where they also win over what the model
    says, and are a `Loss` on any other.
    """

    wire: str
    """Name of the wire that understands `fields`."""
    fields: Mapping[str, Raw]
    """Values by JSON Pointer relative to the object, such as `/function/x`.

    A name without the slash is the wire's own note of how the object was written: it says nothing
    to anybody else, and is no loss there.
    """
    at: str = ""
    """JSON Pointer of the object in the caller's body, for messages to the caller."""
    content: frozenset[str] = frozenset()
    """Pointers of those fields that change what is said, and not only how it is answered."""


class CacheControl(Struct, frozen=True):
    """A marker: the prompt up to and including what carries it may be cached."""

    ttl: str | None = None
    """Lifetime as the caller wrote it (`5m`, `1h`); `None`: the provider's default."""
    extra: Extra | None = None


class Citation(Struct, frozen=True):
    """Where a piece of text comes from."""

    url: str | None = None
    title: str | None = None
    cited_text: str | None = None
    start_index: int | None = None
    """First character of the text that is supported, counted in the whole answer's text."""
    end_index: int | None = None
    """One past the last such character."""
    wire: str = ""
    raw: Raw | None = None
    """The citation as it came, which only `wire` understands in full."""


class Text(Struct, frozen=True, tag_field="kind", tag="text"):
    text: str = ""
    citations: tuple[Citation, ...] = ()
    cache_control: CacheControl | None = None
    extra: Extra | None = None


class Refusal(Struct, frozen=True, tag_field="kind", tag="refusal"):
    """The model's own words for why it does not answer."""

    text: str = ""
    extra: Extra | None = None


class Reasoning(Struct, frozen=True, tag_field="kind", tag="reasoning"):
    """The model's thinking.

    `signature` and `encrypted` are opaque: they go back byte for byte, in place, to the wire
    named by `origin`, and nowhere else.
    """

    text: str = ""
    signature: str | None = None
    """Proof that `text` is the model's own."""
    encrypted: str | None = None
    """Thinking that only the provider can read (Anthropic's `redacted_thinking`)."""
    origin: str = ""
    """Name of the wire it was decoded from."""
    extra: Extra | None = None


class ToolCall(Struct, frozen=True, tag_field="kind", tag="tool_call"):
    id: str
    name: str
    arguments: str = ""
    """What the model wrote, not parsed: JSON unless `custom`; may be incomplete or invalid."""
    custom: bool = False
    """The tool takes free text and not JSON."""
    cache_control: CacheControl | None = None
    extra: Extra | None = None


class Blob(Struct, frozen=True, tag_field="kind", tag="blob"):
    """Media by value."""

    modality: Modality
    mime_type: str
    content: str
    """Base64, standard alphabet, without line breaks."""
    name: str | None = None
    detail: str | None = None
    """How closely an image is to be looked at (`low`, `high`, `auto`)."""
    cache_control: CacheControl | None = None
    extra: Extra | None = None


class Uri(Struct, frozen=True, tag_field="kind", tag="uri"):
    """Media by address; the target fetches it."""

    modality: Modality
    uri: str
    mime_type: str | None = None
    name: str | None = None
    detail: str | None = None
    cache_control: CacheControl | None = None
    extra: Extra | None = None


class File(Struct, frozen=True, tag_field="kind", tag="file"):
    """Media by the id of an upload, which means something to one provider only."""

    modality: Modality
    file_id: str
    origin: str
    """Name of the wire whose provider issued the id."""
    mime_type: str | None = None
    name: str | None = None
    cache_control: CacheControl | None = None
    extra: Extra | None = None


class Generic(Struct, frozen=True, tag_field="kind", tag="generic"):
    """A part of a type that the neutral model does not know."""

    type: str
    wire: str
    raw: Raw
    """The whole part as it came."""


class ServerToolCall(Struct, frozen=True, tag_field="kind", tag="server_tool_call"):
    """A call of a tool that the provider itself runs."""

    id: str
    name: str
    arguments: str = ""
    origin: str = ""
    extra: Extra | None = None


class ServerToolResult(Struct, frozen=True, tag_field="kind", tag="server_tool_call_response"):
    """The result of a `ServerToolCall`, as the provider wrote it."""

    id: str
    type: str
    wire: str
    raw: Raw


ResultPart = Text | Blob | Uri | File | Generic


class ToolResult(Struct, frozen=True, tag_field="kind", tag="tool_call_response"):
    id: str
    """Id of the `ToolCall` it answers."""
    parts: tuple[ResultPart, ...] = ()
    is_error: bool | None = None
    """`None`: the caller did not say, which means no."""
    bare: bool = False
    """The content was one string and not a list."""
    cache_control: CacheControl | None = None
    extra: Extra | None = None


Part = (
    Text
    | Refusal
    | Reasoning
    | ToolCall
    | ToolResult
    | Blob
    | Uri
    | File
    | Generic
    | ServerToolCall
    | ServerToolResult
)
