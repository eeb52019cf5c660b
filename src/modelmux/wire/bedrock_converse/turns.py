"""The conversation of another wire as the turns that this one takes.

A user speaks first, speakers alternate, and the results of all tools that a turn has called come
in the next one. No text is empty or white space alone. What is said as a document is named, each
name once, and some text stands beside it.
"""

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, Literal, assert_never

from msgspec import Raw, Struct

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
from modelmux.wire.bedrock_converse import content_encode
from modelmux.wire.bedrock_converse.content_encode import Block
from modelmux.wire.bedrock_converse.media import DocumentNames
from modelmux.wire.bedrock_converse.schema import NAME
from modelmux.wire.tool_names import ToolNames

SOMEBODY: Final = "."
"""What is said where somebody must say something: white space is refused."""

MAX_DOCUMENTS: Final = 5
"""Most documents in a request; more are refused.

docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html, read 2026-11-20"""

_ID: Final = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_DIGEST_BYTES: Final = 12

_Side = Literal["user", "assistant"]
_Single = Text | Refusal | Blob | Uri | File | Generic | ServerToolCall | ServerToolResult


class Turn(Struct):
    """What one side says until the other one speaks."""

    role: _Side
    first: int
    """Index of the first message in it."""
    blocks: list[Block | Raw] = []
    results: list[tuple[int, list[Block]]] = []
    """Tool results, each with the place of its call."""
    calls: dict[str, int] = {}
    """Ids of tool calls as the caller wrote them, with their place."""
    answered: set[str] = set()
    """Those that have a result."""

    @property
    def told(self) -> list[Block]:
        """The results in the order of the calls."""
        return [block for _, blocks in sorted(self.results, key=lambda r: r[0]) for block in blocks]


class Conversation:
    """Collects messages into turns. One for each request."""

    def __init__(self, names: ToolNames, profile: Profile, losses: list[Loss]) -> None:
        self.system: list[Block] = []
        self.turns: list[Turn] = []
        self.called: dict[str, None] = {}
        """Names of the tools that the history has calls of, as they are said."""
        self._names = names
        self._profile = profile
        self._losses = losses
        self._documents = DocumentNames()
        self._asking: Turn | None = None  # calls tools and is the last of the assistant's turns

    def add(self, message: Message, index: int) -> None:
        """Take the next message.

        Raises:
            InvalidRequest: It answers a call that was not made, or holds arguments that are not
                JSON; `param` names it.
        """
        self._losses.extend(extra.losses(message.extra, NAME))
        role = message.role
        if role == "system" or role == "developer":  # noqa: PLR1714 - narrows the type
            self._add_system(message, index)
            return
        parts: Sequence[Part] = message.parts
        if message.name is not None:
            self._losses.append(
                Loss(f"/messages/{index}/name", f"{NAME} does not name speakers: said in words")
            )
            if role == "user":
                parts = (Text(f"{message.name}:"), *parts)
        for place, part in enumerate(parts):
            self._add_part(part, role, index, f"/messages/{index}/parts/{place}")

    def close(self) -> None:
        """All messages have come.

        Raises:
            InvalidRequest: A call has no result, or the model does not go on with an answer
                that the last message begins.
        """
        self._check_answered()
        if not self.turns or self.turns[0].role == "assistant":
            self.turns.insert(0, Turn("user", 0, [{"text": SOMEBODY}]))
        last = self.turns[-1]
        if last.role == "assistant":
            self._close_prefill(last)

    def messages(self) -> list[Block]:
        """The turns as the API has them."""
        out: list[Block] = []
        for turn in self.turns:
            results, blocks = turn.told, turn.blocks
            if not results or not self._is_split(blocks):
                out.append({"role": turn.role, "content": _beside_text([*results, *blocks])})
                continue
            # Two turns of one side would be put together again.
            out.append({"role": "user", "content": results})
            out.append({"role": "assistant", "content": [{"text": SOMEBODY}]})
            out.append({"role": "user", "content": _beside_text(blocks)})
        return out

    def _is_split(self, blocks: Sequence[Block | Raw]) -> bool:
        """Whether `blocks` must not stand beside results of tools."""
        match self._profile.beside_tool_results:
            case "anything":
                return False
            case "nothing":
                return bool(blocks)
            case "text_and_images":
                return any(
                    isinstance(block, dict) and block.keys() & {"document", "video", "audio"}
                    for block in blocks
                )
            case _:
                assert_never(self._profile.beside_tool_results)

    def _add_system(self, message: Message, index: int) -> None:
        if self.turns:
            reason = f"{NAME} hears the system at the beginning, and so it is said there"
            self._losses.append(Loss(f"/messages/{index}", reason))
        for place, part in enumerate(message.parts):
            path = f"/messages/{index}/parts/{place}"
            if not isinstance(part, Text):
                self._lose(path, "a system message is text")
                continue
            block = self._text(part, path)
            if block is not None:
                self.system.append(block)
                if part.cache_control is not None:
                    self.system.append(content_encode.cache_point(part.cache_control))

    def _turn(self, role: _Side, index: int) -> Turn:
        """The turn that `role` speaks in at message `index`."""
        if self.turns and self.turns[-1].role == role:
            return self.turns[-1]
        if role == "assistant":
            self._check_answered()
        turn = Turn(role, index)
        self.turns.append(turn)
        return turn

    def _add_part(self, part: Part, role: _Side, index: int, path: str) -> None:
        block: Block | Raw | None
        match part:
            case ToolResult():
                self._add_result(part, index, path)
                return
            case Reasoning():
                block = self._reasoning(part, path)
            case ToolCall():
                turn = self._turn(role, index)
                block = self._tool_use(part, turn, index)
            case _:
                block = self._block(part, path)
        if block is None:
            return
        blocks = self._turn(role, index).blocks
        blocks.append(block)
        marker = getattr(part, "cache_control", None)
        if marker is not None:
            blocks.append(content_encode.cache_point(marker))

    def _block(self, part: _Single, path: str) -> Block | Raw | None:
        """The block that says `part` by itself; `None`: nothing does."""
        match part:
            case Text():
                return self._text(part, path)
            case Refusal(text=text):
                return self._text(Text(text, extra=part.extra), path)
            case Blob() | Uri():
                return self._media(part, path)
            case File():
                self._lose(path, "the id of an upload means nothing to another provider")
            case Generic(wire=wire, raw=raw) | ServerToolResult(wire=wire, raw=raw):
                if wire == NAME:
                    return raw
                self._lose(path, f"{NAME} has no {part.type!r} content")
            case ServerToolCall():
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
        if any(citation.wire != NAME for citation in part.citations):
            self._losses.append(Loss(f"{path}/citations", f"{NAME} has no such citations"))
        return content_encode.text(part)

    def _media(self, part: Blob | Uri, path: str) -> Block | None:
        takes = self._profile.input_modalities
        if takes is not None and part.modality not in takes:
            self._lose(path, f"the model takes no {part.modality}")
            return None
        name = self._documents.say(part.name) if part.modality == "document" else None
        block = content_encode.blob(part, name)
        if isinstance(block, str):
            self._lose(path, block)
            return None
        self._losses.extend(extra.losses(part.extra, NAME))
        if part.name is not None and part.modality != "document":
            self._losses.append(Loss(f"{path}/name", f"{NAME} names documents only"))
        if part.detail not in {None, "auto"}:
            self._losses.append(Loss(f"{path}/detail", f"{NAME} looks at all images alike"))
        return block

    def _reasoning(self, part: Reasoning, path: str) -> Block | None:
        if part.origin == NAME and (part.signature or part.encrypted):
            return content_encode.reasoning(part)
        reason = f"{NAME} takes back its own thinking only, with its signature"
        self._losses.append(Loss(path, reason))
        return None

    def _tool_use(self, part: ToolCall, turn: Turn, index: int) -> Block:
        self._losses.extend(extra.losses(part.extra, NAME))
        arguments = content_encode.arguments(part.arguments)
        if part.custom:
            arguments = content_encode.any_arguments(part)
        if arguments is None:
            raise pairing.no_object(part.name, index)
        pairing.check_new(turn.calls, part.id, index)
        turn.calls[part.id] = len(turn.calls)
        self._asking = turn
        name = self._names.say(part.name)
        self.called[name] = None
        return content_encode.tool_use(part, _id(part.id), name, arguments)

    def _add_result(self, part: ToolResult, index: int, path: str) -> None:
        place = pairing.answer(self._asking, part.id, index)
        self._losses.extend(extra.losses(part.extra, NAME))
        content: list[object] = []
        for number, piece in enumerate(part.parts):
            block = self._block(piece, f"{path}/parts/{number}")
            if block is not None:
                content.append(block)
        result: Block = {"toolUseId": _id(part.id), "content": content or [{"text": SOMEBODY}]}
        if part.is_error:
            result["status"] = "error"
        blocks: list[Block] = [{"toolResult": result}]
        if part.cache_control is not None:
            blocks.append(content_encode.cache_point(part.cache_control))
        self._turn("user", index).results.append((place, blocks))

    def _check_answered(self) -> None:
        """Raise `InvalidRequest` if a tool was called in the last turn and no result came."""
        asking, self._asking = self._asking, None
        pairing.check_answered(asking)

    def _close_prefill(self, turn: Turn) -> None:
        if not self._profile.prefill:
            raise pairing.no_prefill(turn.first)
        last = turn.blocks[-1] if turn.blocks else None
        if isinstance(last, dict) and isinstance(last.get("text"), str):
            last["text"] = str(last["text"]).rstrip()


def _beside_text(blocks: list[Block | Raw] | list[Block]) -> list[Block | Raw]:
    """`blocks` with some text among them, if there is a document, which never stands alone."""
    out: list[Block | Raw] = [*blocks]
    kinds = {key for block in out if isinstance(block, dict) for key in block}
    if "document" in kinds and "text" not in kinds:
        out.append({"text": SOMEBODY})
    return out


def _id(id_: str) -> str:
    """`id_` in the letters that the API allows, the same on every turn."""
    if _ID.fullmatch(id_):
        return id_
    return f"id_{blake2b(id_.encode(), digest_size=_DIGEST_BYTES).hexdigest()}"
