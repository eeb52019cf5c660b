"""Neutral messages as messages of a request."""

from collections.abc import Iterable, Mapping, Sequence

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import (
    Blob,
    Generic,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.profile import Profile
from modelmux.ir.request import Loss, Message, Request, Role
from modelmux.wire import extra
from modelmux.wire.openai.names import Names
from modelmux.wire.openai_chat import calls, content, reasoning
from modelmux.wire.openai_chat.content import Json, Target
from modelmux.wire.openai_chat.request_decode import BARE_FILES
from modelmux.wire.openai_chat.schema import NAME

ERROR_PREFIX = "Error: "
"""Stands before the result of a tool that failed: the API has no other place to say so."""

MOVED = "The result is attached to the message after the results."
"""Stands for a tool's result that is no text: a tool's message can hold nothing else."""

_EMPTY = Text("")

_ROLES: Mapping[Role, str] = {role: role for role in ("system", "developer", "user", "assistant")}
_SYSTEM = {**_ROLES, "developer": "system"}
_DEVELOPER = {**_ROLES, "system": "developer"}

Numbered = tuple[int, Part]
"""A part and its place in its message."""


class Writer:
    """One request's messages while they are written.

    Messages of this wire go back as they came. Those of another are put in the order and the
    form that this one asks for: each tool result in a message of its own, right after the calls,
    and the media of results in a user's message after those.
    """

    def __init__(self, request: Request, profile: Profile, names: Names | None) -> None:
        """Take the request; `names` is `None` where tools keep the names they have."""
        self._request = request
        self._profile = profile
        self._names = names
        self._same = request.wire == NAME
        self._target = Target(
            self._same,
            BARE_FILES in request.spelling,
            None if self._same else profile.input_modalities,
        )
        self._roles = _ROLES
        if not self._same:
            self._roles = _DEVELOPER if profile.developer_role else _SYSTEM
        self._calls: dict[str, int] = {}  # place of each call among all, by id
        self._legacy_name = ""  # of the last function called
        self._moved: list[object] = []  # media of results, for the next user's message
        self.losses: list[Loss] = []
        self.messages: list[object] = []

    def write(self) -> None:
        """Fill `messages` and `losses`.

        Raises:
            InvalidRequest: A result answers no call, or a part is another provider's upload.
        """
        for index, m in enumerate(self._request.messages):
            if len(m.parts) == 1 and (text := self._plain(m, m.parts[0])) is not None:
                self.messages.append({"role": self._roles[m.role], "content": text})
                continue
            path = f"/messages/{index}"
            match m.role:
                case "user":
                    self._user(m, path)
                case "assistant":
                    self._flush()
                    self._assistant(m, path)
                case "system" | "developer":
                    self._flush()
                    self._say(m, self._roles[m.role], enumerate(m.parts), path)
        self._flush()

    def _plain(self, m: Message, part: Part) -> str | None:
        """The text of a message that is one string and nothing else, as most are."""
        if (
            isinstance(part, Text)
            and m.extra is None
            and m.name is None
            and part.extra is None
            and part.cache_control is None
            and not part.citations
            and not self._moved
            and (m.bare if self._same else part.text)
        ):
            return part.text
        return None

    def _user(self, m: Message, path: str) -> None:
        results: list[tuple[int, ToolResult]] = []
        rest: list[Numbered] = []
        for index, part in enumerate(m.parts):
            if isinstance(part, ToolResult):
                results.append((index, part))
            else:
                rest.append((index, part))
        if not self._same:  # xAI takes results in the order of the calls only
            results.sort(key=lambda result: self._calls.get(result[1].id, 0))
        for index, result in results:
            self._result(result, f"{path}/parts/{index}")
        if rest or not results:
            self._say(m, "user", rest, path)

    def _flush(self) -> None:
        """Media of results that no user's message takes along."""
        if self._moved:
            self.messages.append({"role": "user", "content": self._moved})
            self._moved = []

    def _say(self, m: Message, role: str, parts: Iterable[Numbered], path: str) -> None:
        """Write a message of a role that only speaks."""
        out: Json = {"role": role}
        said = self._content(m, parts, path, out)
        if self._moved and role == "user":
            if isinstance(said, str):
                said = [{"type": "text", "text": said}]
            said = [*self._moved, *(said or ())]
            self._moved = []
        if said is not None:
            out["content"] = said
        elif not self._same:
            return  # nothing is left of it
        self._finish(m, out)

    def _finish(self, m: Message, out: Json) -> None:
        if m.name is not None:
            out["name"] = m.name
        if m.extra is not None:
            self.losses.extend(extra.losses(m.extra, NAME))
            extra.merge(out, m.extra, NAME)
        self.messages.append(out)

    def _content(
        self, m: Message, parts: Iterable[Numbered], path: str, out: Json
    ) -> str | list[object] | None:
        """A message's `content`; `None`: it has none. Marks of a bare text go to `out`."""
        parts = list(parts)
        if len(parts) == 1 and isinstance(text := parts[0][1], Text) and (m.bare or not self._same):
            content.mark(text, out, self._same, f"{path}/parts/{parts[0][0]}", self.losses)
            return text.text if text.text or self._same else None
        if self._same:
            items = self._items(parts, path)
            return items if items or not m.bare else None
        items = self._items([p for p in parts if p[1] != _EMPTY], path)
        return items or None

    def _items(self, parts: Iterable[Numbered], path: str) -> list[object]:
        encoded = [
            content.encode(part, self._target, f"{path}/parts/{index}", self.losses)
            for index, part in parts
        ]
        return [item for item in encoded if item is not None]

    def _assistant(self, m: Message, path: str) -> None:
        out: Json = {"role": "assistant"}
        turn = _Turn()
        for index, part in enumerate(m.parts):
            self._sort(part, index, m, turn, path)
        if self._same:
            said = self._content(m, turn.said, path, out) if turn.said or not m.bare else None
        else:
            said = self._answer(turn.said, path)
        if said is not None:
            out["content"] = said
        if turn.refusal is not None:
            out["refusal"] = turn.refusal
        self._reasoning(turn, out, path)
        for name, value in turn.fields.items():
            if value:
                out[name] = value
        if self._same or len(out) > 1:
            self._finish(m, out)

    def _answer(self, said: list[Numbered], path: str) -> str | list[object] | None:
        """The texts of an answer as one: it was citations that cut them, not the model."""
        texts = [part.text for _, part in said if isinstance(part, Text)]
        if len(texts) < len(said):
            return self._items(said, path)
        for index, part in said:
            content.mark(part, {}, self._same, f"{path}/parts/{index}", self.losses)
        return "".join(texts) or None

    def _sort(self, part: Part, index: int, m: Message, turn: "_Turn", path: str) -> None:
        """Put one part of the assistant's where it belongs in its message."""
        match part:
            case Text():
                turn.said.append((index, part))
                if self._same:
                    turn.annotations += [c.raw for c in part.citations if c.raw is not None]
            case Refusal() if m.bare or not self._same:
                turn.refusal = (turn.refusal or "") + part.text
            case Refusal():
                turn.said.append((index, part))
            case Reasoning():
                turn.thoughts.append((index, part))
            case ToolCall():
                self._call(part, turn, f"{path}/parts/{index}")
            case Generic(type=type_, wire=wire, raw=raw) if wire == NAME:
                if type_.startswith(calls.CALL_TYPE):
                    turn.calls.append(raw)
                else:
                    turn.said.append((index, part))
            case Blob(modality="image") | Uri(modality="image") if self._same:
                turn.images += self._items([(index, part)], path)
            case _:
                what = content.describe(part)
                reason = f"{NAME} has no place for {what} in an answer"
                self.losses.append(Loss(f"{path}/parts/{index}", reason, "content"))

    def _call(self, part: ToolCall, turn: "_Turn", path: str) -> None:
        self._calls[part.id] = len(self._calls)
        if self._same and calls.is_legacy_id(part.id):
            turn.function_call = calls.encode_legacy(part, part.name)
            self._legacy_name = part.name
            return
        name = part.name if self._names is None else self._names.here(part.name)
        out = calls.encode(part, name)
        content.mark(part, out, self._same, path, self.losses)
        turn.calls.append(out)

    def _reasoning(self, turn: "_Turn", out: Json, path: str) -> None:
        """Thinking goes back to the wire it is from, and as bare text to models that ask for it.

        DeepSeek and Kimi refuse a turn with tool calls that has none:
        https://api-docs.deepseek.com/guides/thinking_mode#tool-calls, read 2026-11-20.
        """
        own = [part for _, part in turn.thoughts if part.origin == NAME]
        if own:
            reasoning.encode(own, out)
        asked = self._profile.reasoning_replay and bool(turn.calls)
        if asked and "reasoning_content" not in out:
            out["reasoning_content"] = "".join([part.text for _, part in turn.thoughts])
        for index, part in turn.thoughts:
            if part.origin != NAME and not (asked and part.encrypted is None):
                reason = f"reasoning of {part.origin or 'an unknown wire'} is for that wire only"
                self.losses.append(Loss(f"{path}/parts/{index}", reason))

    def _result(self, part: ToolResult, path: str) -> None:
        if not self._same and part.id not in self._calls:
            raise InvalidRequest(
                f"messages: the tool result for {part.id!r} answers no tool call before it",
                param="messages",
            )
        if self._same and calls.is_legacy_id(part.id):
            out: Json = {"role": "function", "name": self._legacy_name}
        else:
            out = {"role": "tool", "tool_call_id": part.id}
        texts: list[str] = []
        items: list[object] = []
        for index, item in enumerate(part.parts):
            if isinstance(item, Text) and (part.bare or not self._same):
                content.mark(item, {}, self._same, f"{path}/parts/{index}", self.losses)
                texts.append(item.text)
            else:
                items += self._items([(index, item)], path)
        if self._same and not part.bare:
            out["content"] = items
        else:
            out["content"] = self._result_text(part, texts, items)
        content.mark(part, out, self._same, path, self.losses)
        self.messages.append(out)

    def _result_text(self, part: ToolResult, texts: Sequence[str], items: list[object]) -> object:
        """The content of a tool's message, which cannot hold `items`: they go to the next one."""
        if items:
            self._moved.append({"type": "text", "text": f"Attached to the result of {part.id}:"})
            self._moved += items
        prefix = ERROR_PREFIX if part.is_error else ""
        if len(texts) > 1:
            first, *others = texts
            return [{"type": "text", "text": text} for text in (prefix + first, *others)]
        text = texts[0] if texts else MOVED if items else ""
        return f"{prefix}{text}"


class _Turn:
    """What one message of the assistant holds, by its place in the message."""

    def __init__(self) -> None:
        self.said: list[Numbered] = []
        self.thoughts: list[tuple[int, Reasoning]] = []
        self.refusal: str | None = None
        self.calls: list[object] = []
        self.function_call: Json = {}
        self.annotations: list[object] = []
        self.images: list[object] = []

    @property
    def fields(self) -> Json:
        """Fields of the message that are left out when they are empty."""
        return {
            "tool_calls": self.calls,
            "function_call": self.function_call,
            "annotations": self.annotations,
            "images": self.images,
        }
