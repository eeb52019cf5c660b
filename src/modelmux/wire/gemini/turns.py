"""Messages of another wire as the contents that this API takes.

Turns of one role are one. Results of calls have a turn to themselves, in the order of the calls:
Gemini 3 refuses anything beside them (ai.google.dev/gemini-api/docs/function-calling, read
2026-11-20).
"""

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
from modelmux.wire.gemini import calls, part_encode
from modelmux.wire.gemini.part_encode import Piece
from modelmux.wire.gemini.schema import NAME
from modelmux.wire.gemini.tools import Names

SOMEBODY = "."
"""What the user says where a conversation must begin with the user and does not."""

_Single = Text | Refusal | Blob | Uri | File | Generic | ServerToolCall | ServerToolResult


class Turn(Struct):
    """What one side says until the other one speaks."""

    role: Literal["user", "model"]
    first: int
    """Index of the first message in it."""
    pieces: list[Piece | Raw] = []
    results: list[tuple[int, Piece]] = []
    """Results of calls with the place of these; where there are any, there is nothing else."""
    calls: dict[str, tuple[int, str]] = {}
    """Ids of calls as the caller wrote them, with their place, and the function's name."""
    answered: set[str] = set()
    """Those that have a result."""
    signatures: list[str] = []
    """Such as stood on a text that the caller's wire has moved them away from."""

    @property
    def parts(self) -> "list[Piece | Raw]":
        return [piece for _, piece in sorted(self.results, key=lambda r: r[0])] or self.pieces


class Conversation:
    """Collects messages into turns. One for each request."""

    def __init__(self, names: Names, profile: Profile, losses: list[Loss]) -> None:
        self.system: list[str] = []
        self.turns: list[Turn] = []
        self.details: set[str] = set()
        """How closely images are to be looked at."""
        self._names = names
        self._profile = profile
        self._losses = losses
        self._asking: Turn | None = None  # calls functions and is the last of the model's turns

    def add(self, message: Message, index: int) -> None:
        """Take the next message.

        Raises:
            InvalidRequest: It answers a call that was not made, or holds arguments that are not
                JSON; `param` names it.
        """
        if message.extra is not None:
            self._losses.extend(extra.losses(message.extra, NAME))
        if message.role in {"system", "developer"}:
            self._add_system(message, index)
            return
        role: Literal["user", "model"] = "model" if message.role == "assistant" else "user"
        parts = self._named(message, index) if message.name is not None else message.parts
        for place, part in enumerate(parts):
            self._add_part(part, role, index, f"/messages/{index}/parts/{place}")

    def close(self) -> None:
        """All messages have come. Raises `InvalidRequest` if a call has no result."""
        self._check_answered()
        for turn in self.turns:
            _place_signatures(turn)
        self.turns = [turn for turn in self.turns if turn.parts]
        if not self.turns or self.turns[0].role == "model":
            self.turns.insert(0, Turn("user", 0, [{"text": SOMEBODY}]))
        if self._profile.signed_calls:
            for turn in self.turns:
                _sign_first_call(turn)

    def contents(self) -> list[Piece]:
        return [{"role": turn.role, "parts": turn.parts} for turn in self.turns]

    def _named(self, message: Message, index: int) -> tuple[Part, ...]:
        path = f"/messages/{index}/name"
        if message.role != "user":  # in words, the model would take it for its own way to speak
            self._losses.append(Loss(path, f"{NAME} does not name speakers"))
            return message.parts
        self._losses.append(Loss(path, f"{NAME} does not name speakers: said in words"))
        first, *rest = message.parts or (Text(),)
        if isinstance(first, Text) and first.text:
            return (replace(first, text=f"{message.name}: {first.text}"), *rest)
        return (Text(f"{message.name}:"), *message.parts)

    def _add_system(self, message: Message, index: int) -> None:
        if self.turns:
            reason = f"{NAME} hears the system at the beginning only, and so it is said there"
            self._losses.append(Loss(f"/messages/{index}", reason))
        for place, part in enumerate(message.parts):
            path = f"/messages/{index}/parts/{place}"
            if not isinstance(part, Text):
                self._lose(path, "a system message is text")
                continue
            if part.extra is not None or part.cache_control is not None:
                self._losses.extend(extra.losses(part.extra, NAME))
                self._unmarked(part, path)
            if part.text:
                self.system.append(part.text)

    def _turn(self, role: Literal["user", "model"], index: int, *, results: bool = False) -> Turn:
        """The turn that `role` speaks in at message `index`."""
        last = self.turns[-1] if self.turns else None
        if last is not None and last.role == role and (role == "model" or _holds(last, results)):
            return last
        if role == "model":
            self._check_answered()
        turn = Turn(role, index)
        self.turns.append(turn)
        return turn

    def _add_part(self, part: Part, role: Literal["user", "model"], index: int, path: str) -> None:
        match part:
            case ToolResult():
                self._add_result(part, index, path)
            case Reasoning():
                self._add_reasoning(part, role, index, path)
            case ToolCall():
                turn = self._turn(role, index)
                turn.pieces.append(self._function_call(part, turn, index, path))
            case _:
                piece = self._piece(part, path)
                if piece is not None:
                    self._turn(role, index).pieces.append(piece)

    def _piece(self, part: _Single, path: str) -> Piece | Raw | None:
        """The API's part that says `part` by itself; `None`: nothing does."""
        match part:
            case Text(text=text):
                if part.extra is not None or part.cache_control is not None:
                    self._losses.extend(extra.losses(part.extra, NAME))
                    self._unmarked(part, path)
                if part.citations:
                    self._losses.append(Loss(f"{path}/citations", f"{NAME} takes none back"))
                return {"text": text} if text else None
            case Refusal(text=text):
                return {"text": text} if text else None
            case Blob() | Uri() | File():
                return self._media(part, path)
            case Generic(wire=wire, raw=raw) | ServerToolResult(wire=wire, raw=raw):
                if wire == NAME:
                    return raw
                self._lose(path, f"{NAME} has no {part.type!r} content")
            case ServerToolCall(origin=origin):
                if origin == NAME:
                    return part_encode.server_tool_call(part)
                self._lose(path, f"{NAME} does not run {part.name!r}")
            case _:
                assert_never(part)
        return None

    def _lose(self, path: str, reason: str) -> None:
        self._losses.append(Loss(path, reason, "content"))

    def _unmarked(self, part: Text | Blob | Uri | File | ToolCall | ToolResult, path: str) -> None:
        if part.cache_control is not None:
            self._losses.append(Loss(f"{path}/cache_control", f"{NAME} caches by itself"))

    def _media(self, part: Blob | Uri | File, path: str) -> Piece | None:
        takes = self._profile.input_modalities
        if takes is not None and part.modality not in takes:
            self._lose(path, f"the model takes no {part.modality}")
            return None
        piece = part_encode.media(part)
        if isinstance(piece, str):
            self._lose(path, piece)
            return None
        self._losses.extend(extra.losses(part.extra, NAME))
        self._unmarked(part, path)
        if isinstance(part, Blob) and part.name is not None:
            self._losses.append(Loss(f"{path}/name", f"{NAME} has no names for what is sent along"))
        if not isinstance(part, File) and part.detail is not None:
            self.details.add(part.detail)
        return piece

    def _add_reasoning(
        self, part: Reasoning, role: Literal["user", "model"], index: int, path: str
    ) -> None:
        if part.origin != NAME or part.encrypted is not None:
            reason = f"{NAME} takes back its own thinking only"
            self._losses.append(Loss(path, reason))
            return
        turn = self._turn(role, index)
        if not part.text and part.signature:
            turn.signatures.append(part.signature)
        else:
            turn.pieces.append(part_encode.thought(replace(part, extra=None)))

    def _function_call(self, part: ToolCall, turn: Turn, index: int, path: str) -> Piece:
        self._losses.extend(extra.losses(part.extra, NAME))
        self._unmarked(part, path)
        arguments = part_encode.arguments(part.arguments)
        if part.custom:
            arguments = part_encode.any_arguments(part)
        if arguments is None:
            raise pairing.no_object(part.name, index)
        pairing.check_new(turn.calls, part.id, index)
        name = self._names.say(part.name)
        turn.calls[part.id] = (len(turn.calls), name)
        self._asking = turn
        with_id = self._profile.tool_ids
        return part_encode.function_call(part, name, arguments, with_id=with_id)

    def _add_result(self, part: ToolResult, index: int, path: str) -> None:
        asking = self._asking
        place, name = pairing.answer(asking, part.id, index)
        assert asking is not None  # noqa: S101  # or it had no call to answer
        self._losses.extend(extra.losses(part.extra, NAME))
        self._unmarked(part, path)
        media: list[object] = []
        for inner_place, inner in enumerate(part.parts):
            piece = part_encode.of_result(inner)
            if isinstance(piece, str):
                self._lose(f"{path}/parts/{inner_place}", piece)
            elif piece is not None:
                media.append(piece)
        id_ = calls.split(part.id).id if self._profile.tool_ids else None
        turn = self._result_turn(asking, index)
        turn.results.append((place, part_encode.function_response(part, id_, name, media)))

    def _result_turn(self, asking: Turn, index: int) -> Turn:
        """The turn of the results, right behind that of the calls, whatever the caller said."""
        place = self.turns.index(asking) + 1
        if place < len(self.turns) and self.turns[place].results:
            return self.turns[place]
        turn = Turn("user", index)
        self.turns.insert(place, turn)
        return turn

    def _check_answered(self) -> None:
        """Raise `InvalidRequest` if a function was called in the last turn and no result came."""
        asking, self._asking = self._asking, None
        pairing.check_answered(asking)


def _holds(turn: Turn, results: bool) -> bool:
    return bool(turn.results) == results


def _place_signatures(turn: Turn) -> None:
    """Put signatures back on the texts that they stood on: the last ones without any."""
    for signature in reversed(turn.signatures):
        for piece in reversed(turn.pieces):
            if isinstance(piece, dict) and _is_unsigned_text(piece):
                piece["thoughtSignature"] = signature
                break
        else:
            turn.pieces.append({"text": "", "thoughtSignature": signature})


def _is_unsigned_text(piece: Piece) -> bool:
    return "text" in piece and "thought" not in piece and "thoughtSignature" not in piece


def _sign_first_call(turn: Turn) -> None:
    """Give the first call of a turn what stands for a signature, if it has none.

    The API checks the first of the calls that were made at once, and refuses it unsigned.
    """
    for piece in turn.pieces:
        if isinstance(piece, dict) and "functionCall" in piece:
            piece.setdefault("thoughtSignature", calls.SKIP_VALIDATION)
            return
