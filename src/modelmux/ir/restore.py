"""Undo in an answer what encoding did to the request.

A wire that cannot say a thing directly may say it another way: a structured answer as a forced
tool, a tool's name in the letters it allows. The answer then has to be put right, or the caller
would see a tool that it never defined. Whole answers and streams go through the same machine.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, assert_never

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from modelmux.ir import events as ev
from modelmux.ir.parts import Part, Text, ToolCall
from modelmux.ir.response import Response

_FENCE = "```"


class Restore(Struct, frozen=True):
    format_tool: str | None = None
    """The tool whose arguments are the answer's text."""
    tool_names: Mapping[str, str] = {}
    """The caller's tool names by the names the target knows."""
    fenced_json: bool = False
    """The target was asked in words for JSON and may wrap it in a Markdown fence."""
    custom_tools: frozenset[str] = frozenset()
    """The caller's tools of free text, which the target knows as functions of one `input`."""


class Restorer:
    """Events in, restored events out. One for each stream."""

    def __init__(self, restore: Restore) -> None:
        self._restore = restore
        self._called = False  # a tool of the caller's own was called
        self._fence: _Fence | None = None
        self._input: list[str] | None = None  # of a custom tool, while its call is open

    def feed(self, event: ev.Event) -> list[ev.Event]:
        """The events to pass on for `event`, in order."""
        match event:
            case ev.PartStart(index=index, part=part):
                self._fence = self._input = None
                return [ev.PartStart(index, self._start(part))]
            case ev.PartDelta(text=text) if self._input is not None:
                self._input.append(text)
                return []
            case ev.PartEnd(index=index) if self._input is not None:
                text = _free_text("".join(self._input))
                return [ev.PartDelta(index, text), event] if text else [event]
            case ev.PartDelta(text=text) if self._fence is not None and text:
                kept = self._fence.feed(text)
                return [replace(event, text=kept)] if kept or event.citation else []
            case ev.PartEnd(index=index) if self._fence is not None:
                rest = self._fence.finish()
                return [ev.PartDelta(index, rest), event] if rest else [event]
            case ev.Finish(reason="tool_call") if self._restore.format_tool and not self._called:
                return [replace(event, reason="stop")]
            case _:
                return [event]

    def _start(self, part: Part) -> Part:
        match part:
            case ToolCall(name=name) if name == self._restore.format_tool:
                return Text(part.arguments)
            case ToolCall(name=name):
                self._called = True
                name = self._restore.tool_names.get(name, name)
                if name in self._restore.custom_tools:
                    self._input = [part.arguments]
                    return replace(part, name=name, arguments="", custom=True)
                return replace(part, name=name)
            case Text() if self._restore.fenced_json:
                self._fence = _Fence()
                head = self._fence.feed(part.text)
                return replace(part, text=head)
            case _:
                return part


class _Arguments(Struct):
    input: str


_arguments = msgspec.json.Decoder(_Arguments)


def _free_text(arguments: str) -> str:
    """What the model wrote for a tool of free text; what is none of it, as it is."""
    try:
        return _arguments.decode(arguments).input
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return arguments


class _Fence:
    """Removes a Markdown code fence round the whole of a text that comes in pieces.

    A line of JSON cannot begin with a fence, because a string holds no line end: what follows
    such a line is the model's comment and goes too.
    """

    def __init__(self) -> None:
        self._held = ""
        self._state: Literal["before", "fenced", "plain", "closed"] = "before"
        self._begun = False

    def feed(self, text: str) -> str:
        """What of the text so far is certain to be inside."""
        self._held += text
        if self._state == "before":
            self._decide()
        match self._state:
            case "before":
                return ""
            case "closed":
                self._held = ""
                return ""
            case "plain":
                return self._take(len(self._held))
            case "fenced":
                inside, closing, _ = self._held.partition("\n" + _FENCE)
                if closing:
                    self._state = "closed"
                    return self._take(len(inside.rstrip()))
                # A fence may be about to close, on a line of its own or on the last one.
                return self._take(len(self._held.rstrip().rstrip("`").rstrip()))
            case _:
                assert_never(self._state)

    def finish(self) -> str:
        """The rest of what is inside, when no more text comes."""
        match self._state:
            case "before" if self._held.lstrip().startswith(_FENCE):  # all on one line
                inside = self._held.strip().removeprefix(_FENCE).removesuffix(_FENCE)
                return inside.removeprefix("json").strip()
            case "before" | "plain":
                return self._take(len(self._held))
            case "fenced":
                return self._take(len(self._held)).rstrip().removesuffix(_FENCE).rstrip()
            case "closed":
                return ""
            case _:
                assert_never(self._state)

    def _decide(self) -> None:
        start = self._held.lstrip()
        if start.startswith(_FENCE):
            _, newline, rest = start.partition("\n")  # the first line may name the language
            if newline:
                self._state, self._held = "fenced", "\n" + rest
        elif not _FENCE.startswith(start):
            self._state = "plain"

    def _take(self, length: int) -> str:
        taken, self._held = self._held[:length], self._held[length:]
        if self._state != "plain" and not self._begun:
            taken = taken.lstrip()
            self._begun = bool(taken)
        return taken


def restore_response(response: Response, restore: Restore) -> Response:
    """`response` as if the request had been said directly."""
    return ev.fold(restore_events(ev.unfold(response), restore))


def restore_events(events: Iterable[ev.Event], restore: Restore) -> Iterable[ev.Event]:
    """Each event of a stream, restored."""
    restorer = Restorer(restore)
    for event in events:
        yield from restorer.feed(event)
