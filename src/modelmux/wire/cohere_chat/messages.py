"""The conversation of another wire as the messages that this one takes.

Results of tools are messages of their own and hold text; pictures in them move to a message of the
user's. A message of the assistant's says something or calls a tool.
"""

from collections.abc import Sequence
from typing import Final, assert_never

from modelmux.errors import InvalidRequest
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
from modelmux.wire import extra
from modelmux.wire.cohere_chat import content
from modelmux.wire.cohere_chat.content import Block
from modelmux.wire.cohere_chat.schema import NAME
from modelmux.wire.tool_names import ToolNames

FAILED: Final = "The tool failed: "
"""What stands before the result of a tool that failed: the API has no field for it."""


class Writer:
    """Writes the messages of one request."""

    def __init__(self, names: ToolNames, profile: Profile, losses: list[Loss]) -> None:
        self._names = names
        self._profile = profile
        self._losses = losses
        self._called: set[str] = set()

    def write(self, messages: Sequence[Message], instruction: str | None) -> list[Block]:
        """The messages as the API has them.

        Args:
            messages: The conversation.
            instruction: What the system is to say beside it, if anything.

        Raises:
            InvalidRequest: There are none, one answers a call that was not made, or the model
                does not go on with an answer that the last one begins.
        """
        out: list[Block] = []
        if instruction is not None:
            out.append({"role": "system", "content": instruction})
        for index, message in enumerate(messages):
            out += self._message(message, index)
        if not out:
            raise InvalidRequest("messages: expected at least one, got none", param="messages")
        if messages and messages[-1].role == "assistant" and not self._profile.prefill:
            raise InvalidRequest(
                "messages: the model does not continue an answer that was begun for it: "
                "end with a user's message",
                param="messages",
            )
        return out

    def _message(self, message: Message, index: int) -> list[Block]:
        path = f"/messages/{index}"
        self._losses.extend(extra.losses(message.extra, NAME))
        role = "system" if message.role == "developer" else message.role
        before: list[Block] = []
        pieces: list[Block] = self._speaker(message, path)
        calls: list[Block] = []
        moved: list[Block] = []
        plan = ""
        for place, part in enumerate(message.parts):
            at = f"{path}/parts/{place}"
            match part:
                case ToolResult():
                    before.append(self._result(part, index, at, moved))
                case ToolCall():
                    calls.append(self._call(part))
                case Reasoning() if content.is_plan(part):
                    plan += part.text
                case _:
                    piece = self._piece(part, at)
                    if piece is not None:
                        pieces.append(piece)
        said = _said([*moved, *pieces], plan, calls)
        return [*before, {"role": role, **said}] if said else before

    def _speaker(self, message: Message, path: str) -> list[Block]:
        if message.name is None:
            return []
        self._losses.append(Loss(f"{path}/name", f"{NAME} does not name speakers: said in words"))
        return [{"type": "text", "text": f"{message.name}:"}] if message.role == "user" else []

    def _call(self, part: ToolCall) -> Block:
        self._losses.extend(extra.losses(part.extra, NAME))
        self._called.add(part.id)
        return content.tool_call(part, part.id, self._names.say(part.name), part.arguments or "{}")

    def _result(self, part: ToolResult, index: int, path: str, moved: list[Block]) -> Block:
        if part.id not in self._called:
            where = f"messages[{index}]"
            raise InvalidRequest(
                f"{where}: no tool call with the id {part.id!r} before it", param=where
            )
        self._losses.extend(extra.losses(part.extra, NAME))
        if part.cache_control is not None:
            self._losses.append(Loss(f"{path}/cache_control", f"{NAME} has no cache markers"))
        pieces: list[Block] = []
        for place, piece in enumerate(part.parts):
            block = self._piece(piece, f"{path}/parts/{place}")
            if block is None:
                continue
            (pieces if block["type"] in {"text", "document"} else moved).append(block)
        if part.is_error:
            pieces.insert(0, {"type": "text", "text": FAILED})
        text = "".join(str(piece.get("text", "")) for piece in pieces)
        return {"role": "tool", "tool_call_id": part.id, "content": text}

    def _piece(self, part: Part, path: str) -> Block | None:
        """The piece of content that says `part`; `None`: nothing does."""
        marker = getattr(part, "cache_control", None)
        if marker is not None:
            self._losses.append(Loss(f"{path}/cache_control", f"{NAME} has no cache markers"))
        match part:
            case Text(text=text, citations=citations):
                self._losses.extend(extra.losses(part.extra, NAME))
                if citations:
                    self._losses.append(Loss(f"{path}/citations", f"{NAME} is told none"))
                return {"type": "text", "text": text} if text else None
            case Refusal(text=text):
                return {"type": "text", "text": text} if text else None
            case Reasoning(origin=origin):
                if origin == NAME:
                    return content.thinking(part)
                reason = f"{NAME} takes back its own thinking only"
                self._losses.append(Loss(path, reason))
                return None
            case Blob() | Uri():
                return self._image(part, path)
            case Generic() | File() | ServerToolCall() | ServerToolResult():
                self._lose(path, f"{NAME} has no such content")
                return None
            case ToolCall() | ToolResult():
                return None
            case _:
                assert_never(part)

    def _image(self, part: Blob | Uri, path: str) -> Block | None:
        takes = self._profile.input_modalities
        if takes is not None and part.modality not in takes:
            self._lose(path, f"the model takes no {part.modality}")
            return None
        block = content.image(part)
        if isinstance(block, str):
            self._lose(path, block)
            return None
        self._losses.extend(extra.losses(part.extra, NAME))
        if part.name is not None:
            self._losses.append(Loss(f"{path}/name", f"{NAME} has no names for images"))
        return block

    def _lose(self, path: str, reason: str) -> None:
        self._losses.append(Loss(path, reason, "content"))


def _said(pieces: list[Block], plan: str, calls: list[Block]) -> Block:
    out: Block = {}
    if pieces:
        out["content"] = _content(pieces)
    if plan:
        out["tool_plan"] = plan
    if calls:
        out["tool_calls"] = calls
    return out


def _content(pieces: list[Block]) -> object:
    """One text as it is, anything else as a list."""
    only = pieces[0] if len(pieces) == 1 else {}
    return only["text"] if only.keys() == {"type", "text"} else pieces
