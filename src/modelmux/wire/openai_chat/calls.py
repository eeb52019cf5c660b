"""Tool calls, of requests and answers, and the function calls that came before them."""

import re
from collections.abc import Mapping

import msgspec
from msgspec import Raw

from modelmux.ir.parts import Extra, ToolCall
from modelmux.wire import extra
from modelmux.wire.openai_chat import schema
from modelmux.wire.openai_chat.schema import NAME

LEGACY = "functions"
"""In a request's `spelling`: tools and their calls are said as functions."""

_LEGACY_ID = "function_call_"
_IS_LEGACY_ID = re.compile(r"function_call_\d+")

CALL_TYPE = "tool_call:"
"""What the type of a `Generic` part begins with that stood among a message's tool calls."""

NO_ARGUMENTS = "{}"

_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]+")


def arguments(given: str | Mapping[str, Raw] | None) -> str:
    """The text of arguments, which some servers send as an object."""
    if isinstance(given, str):
        return given
    return "" if given is None else msgspec.json.encode(given).decode()


def made_up_id(response_id: str, number: int) -> str:
    """An id for a call of an answer that came without one, different from turn to turn."""
    suffix = _NOT_IN_IDS.sub("", response_id)
    return f"call_{number}_{suffix}" if suffix else f"call_{number}"


def legacy_id(number: int) -> str:
    """The id of the call in a request's `function_call` of that number: it has none itself."""
    return f"{_LEGACY_ID}{number}"


def is_legacy_id(call_id: str) -> bool:
    """Whether `legacy_id` made it, so that the call goes back as a `function_call`."""
    return _IS_LEGACY_ID.fullmatch(call_id) is not None


def decode(call: schema.ToolCall, call_id: str, kept: Extra | None = None) -> ToolCall | None:
    """The call; `None` where it is of a kind that the model does not know."""
    if call.function is not None:
        text = arguments(call.function.arguments)
        return ToolCall(call.id or call_id, call.function.name or "", text, extra=kept)
    if call.custom is not None:
        name, text = call.custom.name or "", call.custom.input or ""
        return ToolCall(call.id or call_id, name, text, custom=True, extra=kept)
    return None


def encode(part: ToolCall, name: str) -> dict[str, object]:
    """One of `tool_calls`. `name`: the tool's name as this wire knows it."""
    out: dict[str, object]
    if part.custom:
        custom = {"name": name, "input": part.arguments}
        out = {"id": part.id, "type": "custom", "custom": custom}
    else:
        function = {"name": name, "arguments": part.arguments or NO_ARGUMENTS}
        out = {"id": part.id, "type": "function", "function": function}
    return extra.merge(out, part.extra, NAME)


def encode_legacy(part: ToolCall, name: str) -> dict[str, object]:
    """A message's `function_call`."""
    return {"name": name, "arguments": part.arguments or NO_ARGUMENTS}
