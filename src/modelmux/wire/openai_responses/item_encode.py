"""Neutral parts of the assistant's as items: what requests and answers have in common."""

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Raw, Struct

from modelmux.ir.parts import Blob, Part, Reasoning, Refusal, Text, ToolCall
from modelmux.wire import extra
from modelmux.wire.openai import values
from modelmux.wire.openai_responses import content, items, notes, reasoning, schema
from modelmux.wire.openai_responses.schema import NAME

Json = dict[str, object]

NO_ARGUMENTS = "{}"

_STATED = frozenset({"message", "function_call"})
"""Items of an answer that say their state."""


class Ids:
    """Names for the items of one answer that have none."""

    def __init__(self, answer_id: str) -> None:
        self._suffix = answer_id.removeprefix("resp_")
        self._number = -1

    def new(self, kind: Literal["msg", "rs", "fc", "ctc", "ig"]) -> str:
        """Another one."""
        self._number += 1
        return f"{kind}_{self._suffix}{self._number:02x}"


class Space(Struct, frozen=True):
    """Where a tool stands that the caller put into a namespace."""

    namespace: str
    name: str


def spaces(tools: Raw | None) -> Mapping[str, Space]:
    """The tools of a request that stand in namespaces, by the one name that others know."""
    if tools is None or b'"namespace"' not in bytes(tools):
        return {}
    found: dict[str, Space] = {}
    for raw in values.items_of(tools):
        fields = values.fields_of(raw)
        if bytes(fields.get("type", b"")) != b'"namespace"':
            continue
        space = schema.kind.decode(raw).name or ""
        for tool in values.items_of(fields.get("tools", Raw(b"[]"))):
            name = schema.kind.decode(tool).name or ""
            found[items.flat_name(space, name)] = Space(space, name)
    return found


class Writer:
    """The parts of one answer as items, in order."""

    def __init__(self, ids: Ids, named: Mapping[str, Space]) -> None:
        """Take names for items, and the caller's namespaces."""
        self._ids = ids
        self._spaces = named
        self._message: list[object] | None = None  # the content of the message that is open
        self._length = 0  # characters of text so far
        self.items: list[object] = []

    def add(self, part: Part) -> None:
        """Write the next part."""
        match part:
            case Text() | Refusal():
                self._say(part)
                return
            case Reasoning():
                self.items.append(reasoning.encode(part, self._ids.new("rs")))
            case ToolCall():
                self.items.append(call(part, self._ids, self._spaces))
            case Blob(modality="image"):
                self.items.append(drawn(part, self._ids))
            case _:
                own = items.own_item(part)
                if own is None:
                    return  # what another provider ran for itself, and media: no place for them
                self.items.append(own)
        self._message = None

    def _say(self, part: Text | Refusal) -> None:
        mine = part.extra is not None and part.extra.wire == NAME
        said = content.encode_output(part, self._length, mine=mine)
        if isinstance(part, Text):
            self._length += len(part.text)
        if self._message is not None and not notes.has(part.extra, notes.ITEM):
            self._message.append(said)
            return
        self._message = [] if notes.has(part.extra, "empty") else [said]
        self.items.append(message(part, self._message, self._ids))


def message(part: Text | Refusal, said: list[object], ids: Ids) -> Json:
    """The message that begins with a part."""
    out = opening(part, "message", lambda: ids.new("msg"))
    return {**out, "role": "assistant", "content": said}


def call(part: ToolCall, ids: Ids, named: Mapping[str, Space]) -> Json:
    """A call of the caller's tool."""
    out = call_head(part, ids, named)
    out["input" if part.custom else "arguments"] = part.arguments or (
        "" if part.custom else NO_ARGUMENTS
    )
    return extra.merge(out, part.extra, NAME)


def call_head(part: ToolCall, ids: Ids, named: Mapping[str, Space]) -> Json:
    """A call without what it is called with."""
    kind = "custom_tool_call" if part.custom else "function_call"
    out = opening(part, kind, lambda: ids.new("ctc" if part.custom else "fc"))
    out["call_id"] = part.id
    space = named.get(part.name)
    if space is not None:
        out |= {"name": space.name, "namespace": space.namespace}
    else:
        out.setdefault("name", part.name)
    return out


def drawn(part: Blob, ids: Ids) -> Json:
    """An image that the answer holds."""
    out = opening(part, "image_generation_call", lambda: ids.new("ig"))
    out.setdefault("status", "completed")
    return {**out, "result": part.content}


def opening(part: Part, kind: str, new_id: Callable[[], str]) -> Json:
    """The fields of an item beside what it says, by its note or made up."""
    kept = getattr(part, "extra", None)
    note = notes.read(kept, notes.ITEM)
    out: Json = {"type": kind}
    if note is None:
        out["id"] = new_id()
    else:
        out |= {name: value for name, value in note.items() if name != "content"}
    if kind in _STATED and "status" not in out:
        out["status"] = "completed"
    elif out.get("status") == values.NULL:
        del out["status"]
    return out
