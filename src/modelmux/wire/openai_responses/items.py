"""Items of a conversation to neutral messages.

The assistant's items are what it says, thinks and calls; those that stand together are one turn.
Everything else is the caller's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import GatewayError, InvalidRequest
from modelmux.ir.parts import (
    Blob,
    Extra,
    File,
    Generic,
    Part,
    Refusal,
    ResultPart,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.request import Message, Role
from modelmux.wire import extra
from modelmux.wire.openai import media
from modelmux.wire.openai.values import NULL, objects, present
from modelmux.wire.openai_responses import content, notes, reasoning, schema
from modelmux.wire.openai_responses.schema import NAME

ITEM_TYPE = "item:"
"""What the type of a `Generic` part begins with that is a whole item."""

_SPEAKERS: Mapping[str, Role] = {
    role: role for role in ("system", "developer", "user", "assistant")
}

_RUN_BY_PROVIDER = frozenset(
    {
        "code_interpreter_call",
        "file_search_call",
        "image_generation_call",
        "mcp_call",
        "mcp_list_tools",
        "web_search_call",
    }
)
"""Items that are a call and its result, of a tool that the provider runs."""

ASKED_OF_CALLER = frozenset(
    {
        "apply_patch_call",
        "computer_call",
        "local_shell_call",
        "mcp_approval_request",
        "shell_call",
    }
)
"""Items by which the assistant asks the caller for something, in forms that only this wire has."""

_ASSISTANTS = _RUN_BY_PROVIDER | ASKED_OF_CALLER | {"compaction", "program", "tool_search_call"}

_MESSAGE = frozenset({"type", "role", "content"})
_SPOKEN = frozenset({"role", "content"})
_CALL = frozenset({"type", "call_id", "name", "arguments"})
_CUSTOM_CALL = frozenset({"type", "call_id", "name", "input"})
_OUTPUT = frozenset({"type", "call_id", "output"})
_IMAGE = frozenset({"type", "result"})

_string = msgspec.json.Decoder(str)


def flat_name(namespace: str | None, name: str) -> str:
    """The one name of a tool that stands in a namespace, for wires that have none."""
    if not namespace:
        return name
    return namespace + name if namespace.endswith("__") else f"{namespace}__{name}"


@dataclass(frozen=True, slots=True)
class Reading:
    """One item while it is decoded."""

    raw: Raw
    item: schema.Item
    fields: dict[str, Raw]
    at: str
    error: type[GatewayError]
    answers: bool
    """It is of an answer, where a state that goes without saying is left out of notes."""

    def bad(self, field: str) -> GatewayError:
        path = extra.pointer_to_path(f"{self.at}/{field}")
        return self.error(f"{path}: an item of type {self.item.type!r} has one", param=path)

    def sort(self, held: frozenset[str]) -> tuple[dict[str, Raw], dict[str, Raw]]:
        noted, unknown = notes.sort(self.fields, held)
        if self.answers:
            status = noted.pop("status", None)
            if status is None:
                noted["status"] = NULL
            elif bytes(status) not in _DONE:
                noted["status"] = status
        return noted, unknown


_DONE = (b'"completed"', b'"in_progress"')
"""States of an item in an answer that go without saying; the latter, while it is streamed."""


def decode(
    raw: Raw, at: str, error: type[GatewayError] = InvalidRequest, *, answers: bool = False
) -> Message:
    """The message, or piece of one, that an item is.

    Args:
        raw: The item.
        at: JSON Pointer of it in the caller's body.
        error: Whose mistake a malformed one is.
        answers: It stands in an answer and not in a request.

    Raises:
        GatewayError: The error given: it is no item of its type.
    """
    if not answers:
        try:
            plain = schema.plain_item.decode(raw)
        except extra.MALFORMED:
            pass  # there is more to it
        else:
            return Message(plain.role, (Text(plain.content),), bare=plain.role != "assistant")
    try:
        item = schema.item.decode(raw)
        reading = Reading(raw, item, objects.decode(raw), at, error, answers)
        read = _READERS.get(item.type or "message")
        return read(reading) if read is not None else _other(reading)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, at, error) from None


def _message(reading: Reading) -> Message:
    item, fields, at = reading.item, reading.fields, reading.at
    role = _SPEAKERS.get(item.role or "")
    if role is None:
        raise reading.bad("role")
    if role == "assistant":
        return Message(role, tuple(_spoken(reading)))
    kept = None
    if len(fields) > len(_SPOKEN):
        noted, unknown = notes.sort(fields, _SPOKEN)
        kept = notes.keep(at, unknown, item=noted or None)
    if isinstance(item.content, str):
        return Message(role, (Text(item.content),), bare=True, extra=kept)
    parts = [
        content.decode(raw, f"{at}/content/{n}", reading.error)
        for n, raw in enumerate(item.content or ())
    ]
    return Message(role, tuple(parts), extra=kept)


def _spoken(reading: Reading) -> list[Part]:
    """The texts of an assistant's message, of which the first has the message's note."""
    item, at = reading.item, reading.at
    if reading.answers:
        noted, unknown = reading.sort(_MESSAGE)
    else:
        noted, unknown = notes.sort(reading.fields, _SPOKEN)
    if isinstance(item.content, str):
        plain = len(reading.fields) == len(_SPOKEN)
        kept = None if plain else notes.keep(at, unknown, item={**noted, "content": None})
        return [Text(item.content, extra=kept)]
    parts: list[Part] = []
    for n, raw in enumerate(item.content or ()):
        part = content.decode(raw, f"{at}/content/{n}", reading.error)
        if isinstance(part, Text | Refusal):
            key, note = (notes.MORE, {}) if parts else (notes.ITEM, noted)
            kept = notes.with_note(part.extra, key, note)
            parts.append(replace(part, extra=kept))
        else:  # an image in the assistant's mouth: only this wire knows what it means
            whole = Generic(f"{ITEM_TYPE}message", NAME, reading.raw)
            return [whole]
    if not parts:
        parts.append(Text(extra=notes.keep(at, {}, item=noted, empty={})))
    if unknown:
        parts[0] = _with_unknown(parts[0], unknown, noted, at)
    return parts


def _with_unknown(
    part: Part, unknown: Mapping[str, Raw], noted: Mapping[str, Raw], at: str
) -> Part:
    """A text with the unknown fields of its message: noted, to be written back, and to be lost."""
    if not isinstance(part, Text | Refusal):
        return part
    note = {**noted, **{pointer[1:]: raw for pointer, raw in unknown.items()}}
    kept = notes.with_note(part.extra, notes.ITEM, note)
    lost = {f"/{notes.ITEM}{pointer}": raw for pointer, raw in unknown.items()}
    return replace(part, extra=Extra(NAME, {**kept.fields, **lost}, at, kept.content))


def _function_call(reading: Reading) -> Message:
    item = reading.item
    if item.call_id is None or item.name is None:
        raise reading.bad("call_id" if item.call_id is None else "name")
    return _called(reading, item.arguments or "", _CALL, custom=False)


def _custom_call(reading: Reading) -> Message:
    item = reading.item
    if item.call_id is None or item.name is None:
        raise reading.bad("call_id" if item.call_id is None else "name")
    text = _string.decode(item.input) if present(item.input) else ""
    return _called(reading, text, _CUSTOM_CALL, custom=True)


def _called(reading: Reading, text: str, held: frozenset[str], *, custom: bool) -> Message:
    item = reading.item
    noted, unknown = reading.sort(held)
    name = item.name or ""
    if item.namespace:
        noted["name"] = reading.fields["name"]
    kept = notes.keep(reading.at, unknown, item=noted or None)
    call = ToolCall(
        item.call_id or "", flat_name(item.namespace, name), text, custom=custom, extra=kept
    )
    return Message("assistant", (call,))


def _call_output(reading: Reading) -> Message:
    item, at = reading.item, reading.at
    if item.call_id is None or not present(item.output):
        raise reading.bad("call_id" if item.call_id is None else "output")
    noted, unknown = notes.sort(reading.fields, _OUTPUT)
    if item.type == "custom_tool_call_output":
        noted["type"] = reading.fields["type"]
    kept = notes.keep(at, unknown, item=noted or None)
    said = content.text_of(item.output)
    if isinstance(said, str):
        result = ToolResult(item.call_id, (Text(said),), bare=True, extra=kept)
        return Message("user", (result,))
    parts: list[ResultPart] = []
    for n, raw in enumerate(said):
        part = content.decode(raw, f"{at}/output/{n}", reading.error)
        if not isinstance(part, Text | Blob | Uri | File | Generic):
            raise reading.bad(f"output/{n}")
        parts.append(part)
    return Message("user", (ToolResult(item.call_id, tuple(parts), extra=kept),))


def _reasoning(reading: Reading) -> Message:
    part = reasoning.decode(reading.item, reading.fields, reading.at, answers=reading.answers)
    return Message("assistant", (part,))


def _drawn(reading: Reading) -> Message:
    """A generated image, which other wires can show."""
    item = reading.item
    if not present(item.result):
        return _other(reading)
    data = media.standard_base64(_string.decode(item.result), f"{reading.at}/result")
    mime_type = f"image/{item.output_format or 'png'}"
    noted = {n: raw for n, raw in reading.fields.items() if n not in _IMAGE}
    kept = notes.keep(reading.at, {}, item=noted)
    return Message("assistant", (Blob("image", mime_type, data, extra=kept),))


def _other(reading: Reading) -> Message:
    """An item that only this wire knows, as it came."""
    kind = reading.item.type or "message"
    if kind in _RUN_BY_PROVIDER:
        part: Part = ServerToolResult(reading.item.id or "", kind, NAME, reading.raw)
    else:
        part = Generic(f"{ITEM_TYPE}{kind}", NAME, reading.raw)
    return Message("assistant" if kind in _ASSISTANTS else "user", (part,))


_READERS: Mapping[str, Callable[[Reading], Message]] = {
    "message": _message,
    "function_call": _function_call,
    "function_call_output": _call_output,
    "custom_tool_call": _custom_call,
    "custom_tool_call_output": _call_output,
    "reasoning": _reasoning,
    "image_generation_call": _drawn,
}


def join(messages: list[Message], following: Message) -> None:
    """Add the next message to a conversation: what the assistant goes on to say is one turn."""
    last = messages[-1] if messages else None
    if last is None or last.role != "assistant" or following.role != "assistant":
        messages.append(following)
        return
    first = following.parts[0]
    if isinstance(first, Text) and first.extra is None:  # a message of its own
        first = replace(first, extra=notes.with_note(None, notes.ITEM, {"content": None}))
    messages[-1] = replace(last, parts=(*last.parts, first, *following.parts[1:]))


def own_item(part: Part) -> Raw | None:
    """The item that a part is by itself; `None` where it has been taken apart."""
    if isinstance(part, Generic) and part.wire == NAME and part.type.startswith(ITEM_TYPE):
        return part.raw
    if isinstance(part, ServerToolResult) and part.wire == NAME:
        return part.raw
    return None
