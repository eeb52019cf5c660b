"""Stream events: what every wire's stream decodes to and encodes from.

```
Start (PartStart PartDelta* PartEnd)* (Finish | Fail)
```

Parts do not overlap, and exactly one terminal event closes a stream. `Ping` may stand
anywhere before it and changes nothing. `check` is that grammar as a table.
"""

from collections.abc import Iterable, Iterator
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from modelmux.errors import Interrupted
from modelmux.ir.parts import (
    Blob,
    Citation,
    Extra,
    File,
    Generic,
    Part,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.response import NO_USAGE, Failure, FinishReason, Response, Usage


class Start(Struct, frozen=True):
    id: str
    model: str
    created_at_s: int = 0
    usage: Usage = NO_USAGE
    """What is known at the start, which is the prompt at most."""
    extra: Extra | None = None


class PartStart(Struct, frozen=True):
    """A part begins. What `part` holds already counts; deltas add to it."""

    index: int
    part: Part


class PartDelta(Struct, frozen=True):
    """More of the part that is open."""

    index: int
    text: str = ""
    """Appended to the text of a text, refusal or reasoning, or to a tool call's arguments."""
    signature: str = ""
    """Appended to `Reasoning.signature`."""
    citation: Citation | None = None
    """Appended to `Text.citations`."""


class PartEnd(Struct, frozen=True):
    index: int


class Ping(Struct, frozen=True):
    """The target is alive and has nothing to say yet."""


class Finish(Struct, frozen=True):
    reason: FinishReason
    usage: Usage = NO_USAGE
    stop_sequence: str | None = None
    extra: Extra | None = None


class Fail(Struct, frozen=True):
    """The stream ended in an error: the target's own, or because it broke off."""

    failure: Failure


Event = Start | PartStart | PartDelta | PartEnd | Ping | Finish | Fail

_NEXT: dict[str, dict[type[Event], str]] = {
    "idle": {Start: "open", Ping: "idle", Fail: "done"},
    "open": {PartStart: "part", Ping: "open", Finish: "done", Fail: "done"},
    "part": {PartDelta: "part", PartEnd: "open", Ping: "part", Fail: "done"},
    "done": {},
}


def check(events: Iterable[Event]) -> None:
    """Raise `AssertionError` at the first event the grammar does not allow."""
    state = "idle"
    index = -1
    for event in events:
        following = _NEXT[state].get(type(event))
        if following is None:
            raise AssertionError(f"{type(event).__name__} while {state}")
        if isinstance(event, PartStart):
            index += 1
        if isinstance(event, PartStart | PartDelta | PartEnd) and event.index != index:
            raise AssertionError(f"{event!r}: expected index {index}")
        state = following
    if state != "done":
        raise AssertionError(f"the stream ended while {state}")


class Folder:
    """Collects the events of a stream into the whole response."""

    def __init__(self) -> None:
        self._start = Start("", "")
        self._parts: list[Part] = []
        self._deltas: list[PartDelta] = []
        self._finish: Finish | None = None

    def add(self, event: Event) -> None:
        """Take the next event.

        Raises:
            Interrupted: The event is a `Fail`.
        """
        match event:
            case PartDelta():
                self._deltas.append(event)
            case PartStart(part=part):
                self._parts.append(part)
                self._deltas = []
            case PartEnd():
                self._parts[-1] = grow(self._parts[-1], self._deltas)
                self._deltas = []
            case Start():
                self._start = event
            case Finish():
                self._finish = event
            case Fail(failure=failure):
                raise Interrupted(failure.message, upstream_code=failure.code)
            case Ping():
                pass
            case _:
                assert_never(event)

    def response(self) -> Response:
        """The whole response.

        Raises:
            Interrupted: No `Finish` came.
        """
        if self._finish is None:
            raise Interrupted("the stream ended before it was finished")
        start, finish = self._start, self._finish
        extra = start.extra
        if extra is None or finish.extra is None or extra.wire != finish.extra.wire:
            extra = finish.extra or extra
        else:
            extra = Extra(extra.wire, {**extra.fields, **finish.extra.fields})
        return Response(
            start.id,
            start.model,
            tuple(self._parts),
            finish.reason,
            finish.usage,
            finish.stop_sequence,
            start.created_at_s,
            extra,
        )


def fold(events: Iterable[Event]) -> Response:
    """Collect a finished stream into the whole response. Raises `Interrupted` on `Fail`."""
    folder = Folder()
    for event in events:
        folder.add(event)
    return folder.response()


def unfold(response: Response) -> Iterator[Event]:
    """Play a whole response as a stream: the inverse of `fold`."""
    yield Start(response.id, response.model, response.created_at_s)
    for index, part in enumerate(response.parts):
        head, deltas = _split(part, index)
        yield PartStart(index, head)
        yield from deltas
        yield PartEnd(index)
    yield Finish(response.reason, response.usage, response.stop_sequence, response.extra)


def grow(part: Part, deltas: Iterable[PartDelta]) -> Part:
    """`part` with `deltas` appended."""
    deltas = list(deltas)
    if not deltas:
        return part
    text = "".join([delta.text for delta in deltas])
    match part:
        case Text():
            citations = tuple(d.citation for d in deltas if d.citation is not None)
            return replace(part, text=part.text + text, citations=part.citations + citations)
        case Refusal():
            return replace(part, text=part.text + text)
        case Reasoning():
            signed = "".join([d.signature for d in deltas])
            signature = (part.signature or "") + signed if signed else part.signature
            return replace(part, text=part.text + text, signature=signature)
        case ToolCall() | ServerToolCall():
            return replace(part, arguments=part.arguments + text)
        case Blob():  # audio comes in pieces
            return replace(part, content=part.content + text)
        case ToolResult() | Uri() | File() | Generic() | ServerToolResult():
            return part  # these come whole: no wire streams them
        case _:
            assert_never(part)


def _split(part: Part, index: int) -> tuple[Part, list[PartDelta]]:
    """An empty part of the same kind, and the deltas that fill it."""
    match part:
        case Text(text=text, citations=citations):
            deltas = [PartDelta(index, text)] if text else []
            deltas += [PartDelta(index, citation=citation) for citation in citations]
            return replace(part, text="", citations=()), deltas
        case Refusal(text=text):
            return replace(part, text=""), [PartDelta(index, text)] if text else []
        case Reasoning(text=text, signature=signature):
            deltas = [PartDelta(index, text)] if text else []
            if signature:
                deltas.append(PartDelta(index, signature=signature))
                signature = None
            return replace(part, text="", signature=signature), deltas
        case ToolCall(arguments=arguments) | ServerToolCall(arguments=arguments):
            return replace(part, arguments=""), [PartDelta(index, arguments)] if arguments else []
        case Blob() | ToolResult() | Uri() | File() | Generic() | ServerToolResult():
            return part, []
        case _:
            assert_never(part)
