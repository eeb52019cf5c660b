"""Neutral messages as the items of a request."""

from collections.abc import Sequence

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Blob, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from modelmux.ir.profile import Profile
from modelmux.ir.request import Loss, Message, Request, Role
from modelmux.wire import extra
from modelmux.wire.openai.names import Names
from modelmux.wire.openai_responses import content, items, notes, reasoning
from modelmux.wire.openai_responses.content import Json
from modelmux.wire.openai_responses.item_encode import NO_ARGUMENTS
from modelmux.wire.openai_responses.schema import NAME

ERROR_PREFIX = "Error: "
"""Stands before the result of a tool that failed: the API has no other place to say so."""

_EMPTY = Text("")

_ROLES: dict[Role, str] = {role: role for role in ("system", "developer", "user", "assistant")}
_SYSTEM = {**_ROLES, "developer": "system"}
_DEVELOPER = {**_ROLES, "system": "developer"}


class Writer:
    """One request's items while they are written.

    What came on this wire goes back as it came; the parts of another wire's messages each become
    the item that says them, in their order.
    """

    def __init__(self, request: Request, profile: Profile, names: Names | None) -> None:
        """Take the request; `names` is `None` where tools keep the names they have."""
        self._same = request.wire == NAME
        self._names = names
        self._takes = None if self._same else profile.input_modalities
        self._roles = _ROLES
        if not self._same:
            self._roles = _DEVELOPER if profile.developer_role else _SYSTEM
        self._calls: dict[str, tuple[int, bool]] = {}  # place and kind of each call, by its id
        self._said: list[object] | None = None  # the content of the message that is open
        self.losses: list[Loss] = []
        self.items: list[object] = []

    def write(self, messages: Sequence[Message], first: int) -> None:
        """Fill `items` and `losses`. `first`: the place of the first message in the request.

        Raises:
            InvalidRequest: A result answers no call, or a part is another provider's upload.
        """
        for index, message in enumerate(messages, first):
            path = f"/messages/{index}"
            if message.role == "assistant":
                self._assistant(message, path)
            else:
                self._caller(message, path)

    def _caller(self, m: Message, path: str) -> None:
        if not self._same:
            self._note_losses(m, path)
        results: list[tuple[int, ToolResult]] = []
        rest: list[tuple[int, Part]] = []
        for index, part in enumerate(m.parts):
            own = items.own_item(part)
            if own is not None:
                self.items.append(own)
            elif isinstance(part, ToolResult):
                results.append((index, part))
            else:
                rest.append((index, part))
        results.sort(key=lambda r: self._calls.get(r[1].id, (0, False))[0])
        for index, result in results:
            self.items.append(self._result(result, f"{path}/parts/{index}"))
        if rest or (self._same and not m.parts):
            self._speech(m, rest, path)

    def _note_losses(self, m: Message, path: str) -> None:
        self.losses.extend(extra.losses(m.extra, NAME))
        if m.name is not None:
            self.losses.append(Loss(f"{path}/name", f"{NAME} does not name speakers"))

    def _speech(self, m: Message, parts: list[tuple[int, Part]], path: str) -> None:
        out: Json = {}
        if self._same and (note := notes.read(m.extra, notes.ITEM)) is not None:
            out |= note
        out["role"] = self._roles[m.role]
        only = parts[0][1] if len(parts) == 1 else None
        if isinstance(only, Text) and only == Text(only.text) and (m.bare or not self._same):
            if not only.text and not self._same:
                return
            out["content"] = only.text
        else:
            said = [
                content.encode_input(
                    part, f"{path}/parts/{n}", self.losses, same=self._same, takes=self._takes
                )
                for n, part in parts
                if self._same or part != _EMPTY
            ]
            out["content"] = [part for part in said if part is not None]
            if not (out["content"] or self._same):
                return
        self.items.append(extra.merge(out, m.extra, NAME) if self._same else out)

    def _assistant(self, m: Message, path: str) -> None:
        if not self._same:
            self._note_losses(m, path)
        self._said = None
        for index, part in enumerate(m.parts):
            at = f"{path}/parts/{index}"
            own = items.own_item(part)
            if own is not None:
                self.items.append(own)
                self._said = None
            elif isinstance(part, Text | Refusal):
                self._say(part, at)
            else:
                self._said = None
                self._item(part, at)

    def _say(self, part: Text | Refusal, path: str) -> None:
        note = notes.read(part.extra, notes.ITEM)
        if not self._same or note is None:
            self._say_plainly(part, note, path)
            return
        if "content" in note and isinstance(part, Text):  # it is one string
            fields = {n: raw for n, raw in note.items() if n != "content"}
            out = {**fields, "role": "assistant", "content": part.text}
            self.items.append(extra.merge(out, part.extra, NAME))
            self._said = None
            return
        self._said = [] if notes.has(part.extra, "empty") else [self._spoken(part)]
        if "type" not in note and "id" in note:  # it is from an answer, and says so
            note = {"type": "message", "status": "completed", **note}
        self.items.append({**note, "role": "assistant", "content": self._said})

    def _spoken(self, part: Text | Refusal) -> Json:
        return content.encode_output(part, 0, mine=self._same)

    def _say_plainly(self, part: Text | Refusal, note: notes.Note | None, path: str) -> None:
        """A text without a note of this wire's, or one that goes on with the message before."""
        if not self._same:
            self.losses.extend(extra.losses(part.extra, NAME))
            cache = part.cache_control if isinstance(part, Text) else None
            if cache is not None:
                self.losses.append(Loss(f"{path}/cache_control", f"{NAME} takes no such marker"))
            if not part.text:
                return
        if self._said is not None and (note is None or not self._same):
            self._said.append(self._spoken(part))
            return
        if self._same and isinstance(part, Text) and part.extra is None:
            self.items.append({"role": "assistant", "content": part.text})
            return
        self._said = [self._spoken(part)]
        self.items.append({"role": "assistant", "content": self._said})

    def _item(self, part: Part, path: str) -> None:
        match part:
            case ToolCall():
                self._call(part, path)
            case Reasoning():
                self._think(part, path)
            case Blob(modality="image") if notes.has(part.extra, notes.ITEM):
                note = notes.read(part.extra, notes.ITEM) or {}
                out = {"type": "image_generation_call", **note, "result": part.content}
                self.items.append(out)
            case _:
                what = content.describe(part)
                reason = f"{NAME} has no place for {what} in an answer"
                self.losses.append(Loss(path, reason, "content"))

    def _think(self, part: Reasoning, path: str) -> None:
        if part.origin == NAME and (part.signature or self._same):
            note = notes.has(part.extra, notes.ITEM)
            said = reasoning.encode(part, "rs_0")
            if not note and not (part.signature or "").partition(":")[0]:
                del said["id"]
            self.items.append(said)
            return
        reason = f"{NAME} takes back its own reasoning only, with what is encrypted of it"
        self.losses.append(Loss(path, reason))

    def _call(self, part: ToolCall, path: str) -> None:
        self._calls[part.id] = (len(self._calls), part.custom)
        kind = "custom_tool_call" if part.custom else "function_call"
        note = notes.read(part.extra, notes.ITEM) or {}
        name = part.name if self._names is None else self._names.here(part.name)
        out: Json = {"type": kind, "call_id": part.id, "name": name, **note}
        if part.custom:
            out["input"] = part.arguments
        else:
            out["arguments"] = part.arguments or ("" if self._same else NO_ARGUMENTS)
        if not self._same:
            if part.cache_control is not None:
                self.losses.append(Loss(f"{path}/cache_control", f"{NAME} takes no such marker"))
            self.losses.extend(extra.losses(part.extra, NAME))
        self.items.append(extra.merge(out, part.extra, NAME))

    def _result(self, part: ToolResult, path: str) -> Json:
        _, custom = self._calls.get(part.id, (0, False))
        if not self._same and part.id not in self._calls:
            raise InvalidRequest(
                f"messages: the tool result for {part.id!r} answers no tool call before it",
                param="messages",
            )
        kind = "custom_tool_call_output" if custom and not self._same else "function_call_output"
        note = notes.read(part.extra, notes.ITEM) if self._same else None
        out: Json = {"type": kind, "call_id": part.id, **(note or {})}
        out["output"] = self._output(part, path)
        if not self._same:
            if part.cache_control is not None:
                self.losses.append(Loss(f"{path}/cache_control", f"{NAME} takes no such marker"))
            self.losses.extend(extra.losses(part.extra, NAME))
        return extra.merge(out, part.extra, NAME)

    def _output(self, part: ToolResult, path: str) -> object:
        prefix = ERROR_PREFIX if part.is_error else ""
        only = part.parts[0] if len(part.parts) == 1 else None
        if isinstance(only, Text) and only == Text(only.text) and (part.bare or not self._same):
            return prefix + only.text
        if not part.parts:
            return prefix if part.bare or not self._same else []
        said = [
            content.encode_input(
                item, f"{path}/parts/{n}", self.losses, same=self._same, takes=self._takes
            )
            for n, item in enumerate(part.parts)
        ]
        out = [item for item in said if item is not None]
        return [{"type": "input_text", "text": prefix}, *out] if prefix else out
