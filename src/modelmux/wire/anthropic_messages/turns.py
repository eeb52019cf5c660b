"""The conversation of another wire as the turns that this one takes.

The API wants to hear of a user first, of alternating speakers, and of the results of all tools
that a turn has called at the very beginning of the next. It takes no empty text.
platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls says how results are told.
"""

import re
from collections.abc import Sequence
from typing import Literal, assert_never

from msgspec import Raw, Struct
from msgspec.structs import replace

from modelmux.ir.parts import (
    Blob,
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
from modelmux.ir.profile import Profile
from modelmux.ir.request import Loss, Message
from modelmux.wire import extra, pairing
from modelmux.wire.anthropic_messages import block_encode
from modelmux.wire.anthropic_messages.block_encode import Block
from modelmux.wire.anthropic_messages.schema import NAME
from modelmux.wire.anthropic_messages.tools import Names

SOMEBODY = "."
"""What the user says where a conversation must begin with the user and does not."""

_THINKING = frozenset({"thinking", "redacted_thinking"})
_INVALID_ID = re.compile(r"[^a-zA-Z0-9_-]")


_Single = Text | Refusal | Blob | Uri | File | Generic | ServerToolCall | ServerToolResult


class Turn(Struct):
    """What one side says until the other one speaks."""

    role: Literal["user", "assistant"]
    first: int
    """Index of the first message in it."""
    text: str | None = None
    """The whole turn, while it is nothing but one plain text."""
    blocks: list[Block | Raw] = []
    results: list[tuple[int, Block]] = []
    """Tool results with the place of their calls."""
    calls: dict[str, tuple[int, str]] = {}
    """Ids of tool calls as the caller wrote them, with their place, and as they are said."""
    answered: set[str] = set()
    """Those that have a result."""

    def unfold(self) -> None:
        """Make room beside the one plain text."""
        if self.text is not None:
            self.blocks.append({"type": "text", "text": self.text})
            self.text = None

    @property
    def thinks_first(self) -> bool:
        first = self.blocks[0] if self.blocks else None
        return isinstance(first, dict) and first["type"] in _THINKING

    @property
    def content(self) -> Sequence[object]:
        if not self.results:
            return self.blocks
        return [block for _, block in sorted(self.results, key=lambda r: r[0])] + self.blocks


class Conversation:
    """Collects messages into turns. One for each request."""

    def __init__(self, names: Names, profile: Profile, losses: list[Loss]) -> None:
        self.system: list[Block] = []
        self.turns: list[Turn] = []
        self.plain = True
        """Nothing has come but messages that are a text each, without marks."""
        self._names = names
        self._profile = profile
        self._losses = losses
        self._ids: set[str] = set()
        self._asking: Turn | None = None  # calls tools and is the last of the assistant's turns

    def add(self, message: Message, index: int) -> None:
        """Take the next message.

        Raises:
            InvalidRequest: It answers a call that was not made, or holds arguments that are not
                JSON; `param` names it.
        """
        role = message.role
        if message.extra is not None or message.name is not None:
            message = self._without_fields(message, index)
        if role == "system" or role == "developer":  # noqa: PLR1714 - twice as fast as a set
            self._add_system(message, index)
            return
        text = _plain(message) if message.bare else None
        if text is not None and not (self.turns and self.turns[-1].role == role):
            if self._asking is not None and role == "assistant":
                self._check_answered()
            self.turns.append(Turn(role, index, text))
            return
        self.plain = False
        for place, part in enumerate(message.parts):
            self._add_part(part, role, index, f"/messages/{index}/parts/{place}")

    def close(self) -> None:
        """All messages have come.

        Raises:
            InvalidRequest: A call has no result, or the model does not go on with an answer
                that the last message begins.
        """
        if not self.turns or self.turns[0].role == "assistant":
            self.turns.insert(0, Turn("user", 0, SOMEBODY))
        last = self.turns[-1]
        self._check_answered()
        if last.role == "assistant":
            self._close_prefill(last)

    @property
    def begins_answer(self) -> bool:
        """Whether the model is to go on with what the last message says."""
        return self.turns[-1].role == "assistant"

    @property
    def hides_thinking(self) -> bool:
        """Whether the model is in the midst of using tools, and its thoughts are missing."""
        if len(self.turns) < 2 or not self.turns[-1].results:
            return False
        return not self.turns[-2].thinks_first

    def messages(self) -> list[dict[str, object]]:
        return [
            {"role": turn.role, "content": turn.text if turn.text is not None else turn.content}
            for turn in self.turns
        ]

    def _without_fields(self, message: Message, index: int) -> Message:
        """`message` without what a message cannot have here."""
        self._losses.extend(extra.losses(message.extra, NAME))
        if message.name is None:
            return message
        path = f"/messages/{index}/name"
        if message.role != "user":  # in words, the model would take it for its own way to speak
            self._losses.append(Loss(path, f"{NAME} does not name speakers"))
            return message
        self._losses.append(Loss(path, f"{NAME} does not name speakers: said in words"))
        first, *rest = message.parts or (Text(),)
        if isinstance(first, Text) and first.text:
            named = replace(first, text=f"{message.name}: {first.text}")
            return replace(message, parts=(named, *rest))
        return replace(message, parts=(Text(f"{message.name}:"), *message.parts))

    def _add_system(self, message: Message, index: int) -> None:
        if self.turns:
            reason = f"{NAME} hears the system at the beginning only, and so it is said there"
            self._losses.append(Loss(f"/messages/{index}", reason))
        text = _plain(message)
        if text is not None:
            self.system.append({"type": "text", "text": text})
            return
        self.plain = False
        for place, part in enumerate(message.parts):
            path = f"/messages/{index}/parts/{place}"
            if isinstance(part, Text):
                block = self._text(part, path)
                if block is not None:
                    self.system.append(block)
            else:
                self._lose(path, "a system message is text")

    def _turn(self, role: Literal["user", "assistant"], index: int) -> Turn:
        """The turn that `role` speaks in at message `index`."""
        if self.turns and self.turns[-1].role == role:
            self.turns[-1].unfold()
            return self.turns[-1]
        if role == "assistant":
            self._check_answered()
        turn = Turn(role, index)
        self.turns.append(turn)
        return turn

    def _add_part(
        self, part: Part, role: Literal["user", "assistant"], index: int, path: str
    ) -> None:
        match part:
            case ToolResult():
                self._add_result(part, index, path)
            case Reasoning():
                self._add_reasoning(part, role, index, path)
            case ToolCall():
                turn = self._turn(role, index)
                turn.blocks.append(self._tool_use(part, turn, index, path))
            case _:
                block = self._block(part, path)
                if block is not None:
                    self._turn(role, index).blocks.append(block)

    def _block(self, part: _Single, path: str) -> Block | Raw | None:
        """The block that says `part` by itself; `None`: nothing does."""
        match part:
            case Text():
                return self._text(part, path)
            case Refusal(text=text):
                return self._text(Text(text, extra=part.extra), path)
            case Blob() | Uri() | File():
                return self._media(part, path)
            case Generic(wire=wire, raw=raw) | ServerToolResult(wire=wire, raw=raw):
                if wire == NAME:
                    return raw
                self._lose(path, f"{NAME} has no {part.type!r} content")
            case ServerToolCall(origin=origin):
                if origin == NAME:
                    return block_encode.server_tool_use(part)
                self._lose(path, f"{NAME} does not run {part.name!r}")
            case _:
                assert_never(part)
        return None

    def _lose(self, path: str, reason: str) -> None:
        self._losses.append(Loss(path, reason, "content"))

    def _text(self, part: Text, path: str) -> Block | None:
        self._losses.extend(extra.losses(part.extra, NAME))
        if not part.text or part.text.isspace():
            if part.text:
                self._losses.append(Loss(path, "white space alone is refused here"))
            return None
        cited = block_encode.own_citations(part.citations)
        if len(cited) < len(part.citations):
            reason = f"{NAME} has no such citations"
            self._losses.append(Loss(f"{path}/citations", reason))
        return block_encode.text(part, cited)

    def _media(self, part: Blob | Uri | File, path: str) -> Block | None:
        takes = self._profile.input_modalities
        if takes is not None and part.modality not in takes:
            self._lose(path, f"the model takes no {part.modality}")
            return None
        block = block_encode.media(part)
        if isinstance(block, str):
            self._lose(path, block)
            return None
        self._losses.extend(extra.losses(part.extra, NAME))
        if part.name is not None and "title" not in block:
            self._losses.append(Loss(f"{path}/name", f"{NAME} has no names for images"))
        if not isinstance(part, File) and part.detail not in {None, "auto"}:
            self._losses.append(Loss(f"{path}/detail", f"{NAME} looks at all images alike"))
        return block

    def _add_reasoning(
        self, part: Reasoning, role: Literal["user", "assistant"], index: int, path: str
    ) -> None:
        if part.origin != NAME or not (part.signature or part.encrypted):
            reason = f"{NAME} takes back its own thinking only, with its signature"
            self._losses.append(Loss(path, reason))
            return
        turn = self._turn(role, index)
        thoughts = 0  # thinking goes first in its turn
        for block in turn.blocks:
            if not isinstance(block, dict) or block["type"] not in _THINKING:
                break
            thoughts += 1
        turn.blocks.insert(thoughts, block_encode.reasoning(part))

    def _tool_use(self, part: ToolCall, turn: Turn, index: int, path: str) -> Block:
        self._losses.extend(extra.losses(part.extra, NAME))
        arguments = block_encode.arguments(part.arguments)
        if part.custom:
            arguments = block_encode.any_arguments(part)
        if arguments is None:
            raise pairing.no_object(part.name, index)
        pairing.check_new(turn.calls, part.id, index)
        id_ = self._id(part.id)
        turn.calls[part.id] = (len(turn.calls), id_)
        self._asking = turn
        return block_encode.tool_use(replace(part, id=id_), self._names.say(part.name), arguments)

    def _id(self, id_: str) -> str:
        """`id_` in the letters that the API allows, and unlike any before it."""
        said = cleaned = _INVALID_ID.sub("_", id_) or "_"
        number = 1
        while said in self._ids:  # models of other providers count calls anew in each turn
            number += 1
            said = f"{cleaned}_{number}"
        self._ids.add(said)
        return said

    def _add_result(self, part: ToolResult, index: int, path: str) -> None:
        turn = self._turn("user", index)
        place, id_ = pairing.answer(self._asking, part.id, index)
        self._losses.extend(extra.losses(part.extra, NAME))
        block: Block = {"type": "tool_result", "tool_use_id": id_}
        content = self._result_content(part, path)
        if content:
            block["content"] = content
        if part.is_error:
            block["is_error"] = True
        if part.cache_control is not None:
            block["cache_control"] = block_encode.cache(part.cache_control)
        turn.results.append((place, block))

    def _result_content(self, part: ToolResult, path: str) -> str | list[object]:
        only = part.parts[0] if part.bare and len(part.parts) == 1 else None
        if isinstance(only, Text) and only == Text(only.text):  # without marks
            return only.text
        content: list[object] = []
        for place, piece in enumerate(part.parts):
            block = self._block(piece, f"{path}/parts/{place}")
            if block is not None:
                content.append(block)
        return content

    def _check_answered(self) -> None:
        """Raise `InvalidRequest` if a tool was called in the last turn and no result came."""
        asking, self._asking = self._asking, None
        pairing.check_answered(asking)

    def _close_prefill(self, turn: Turn) -> None:
        if not self._profile.prefill:
            raise pairing.no_prefill(turn.first)
        if turn.text is not None:  # the API refuses white space at the end of it
            turn.text = turn.text.rstrip()
            return
        last = turn.blocks[-1]
        if isinstance(last, dict) and last["type"] == "text":
            last["text"] = str(last["text"]).rstrip()


def _plain(message: Message) -> str | None:
    """The text that is all there is to a message, if it is and the API takes it."""
    parts = message.parts
    if len(parts) != 1:
        return None
    part = parts[0]
    if type(part) is not Text or part.extra or part.cache_control or part.citations:
        return None
    text = part.text
    return text if text and not text.isspace() else None
