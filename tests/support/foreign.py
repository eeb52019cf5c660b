"""Requests that came from a wire which is none of ours: what every wire must be able to encode."""

from modelmux.ir.parts import Part, Text, ToolCall, ToolResult
from modelmux.ir.request import Message, Request, Role

WIRE = "some.other"


def request(*messages: Message) -> Request:
    """A request for `m` that holds `messages`; change the rest with `msgspec.structs.replace`."""
    return Request("m", messages, wire=WIRE)


def said(role: Role, *parts: Part) -> Message:
    """A message of a list of parts."""
    return Message(role, parts)


def plain(role: Role, text: str) -> Message:
    """A message that is one string."""
    return Message(role, (Text(text),), bare=True)


def user(text: str = "hi") -> Message:
    """A user's plain text."""
    return plain("user", text)


def assistant(text: str = "hello") -> Message:
    """An assistant's plain text."""
    return plain("assistant", text)


def called(*ids: str, name: str = "f", arguments: str = "{}") -> Message:
    """An assistant's message that calls a tool once for each of `ids`."""
    return said("assistant", *(ToolCall(id_, name, arguments) for id_ in ids))


def answered(id_: str, text: str = "ok") -> Message:
    """The result of a call, as the one part of a message."""
    return said("user", ToolResult(id_, (Text(text),), bare=True))
