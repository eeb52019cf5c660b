"""Messages of a request into neutral messages and parts."""

import re
from collections.abc import Mapping
from typing import assert_never

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import (
    Blob,
    Extra,
    File,
    Generic,
    Part,
    Refusal,
    ResultPart,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.request import Message, Role
from modelmux.wire import extra
from modelmux.wire.extra import Fields
from modelmux.wire.openai import media, values
from modelmux.wire.openai.values import NULL, present
from modelmux.wire.openai_chat import calls, citations, markers, reasoning, schema
from modelmux.wire.openai_chat.schema import NAME

_KNOWN_TYPES = frozenset({"text", "image_url", "input_audio", "file", "refusal"})

_SPEAKERS: Mapping[str | None, Role] = {
    role: role for role in ("system", "developer", "user", "assistant")
}

_OWNER = re.compile(
    r"/messages/\d+(?:/(?:content|images|tool_calls)/\d+)?(?=/)|/tools/\d+(?=/)"
    r"|/(?:tool_choice|response_format|reasoning|thinking)(?=/)|"
)
"""Which object of the neutral request keeps an unknown field: the last alternative is its own."""


_NO_FIELDS: Fields = {}
_NOTHING: Mapping[str, Fields] = {}


class _RawMessage(Struct):
    content: Raw = Raw()
    tool_calls: Raw = Raw()


class _RawBody(Struct):
    messages: list[_RawMessage] = []


_raw_body = msgspec.json.Decoder(_RawBody)


class Reading:
    """One request while it is decoded: what its pieces need to know of the whole.

    Attributes:
        bare_files: Some file came as Base64 and not as a data URL.
    """

    def __init__(self, body: bytes, unknown: Fields) -> None:
        """Take the body, and the fields of it that no struct names."""
        self._body = body
        self._owned = _by_owner(unknown) if unknown else _NOTHING
        self._raw: _RawBody | None = None
        self._called: list[str] = []  # names of the legacy calls so far
        self.bare_files = False

    def kept(self, at: str) -> Extra | None:
        """The unknown fields of the object at `at`, `""` being the request."""
        return extra.keep(self._owned.get(at, _NO_FIELDS), NAME, at) if self._owned else None

    def message(self, index: int, m: schema.Message) -> Message:
        """The message at `index`.

        Raises:
            InvalidRequest: It is no message of its role.
        """
        speaker = _SPEAKERS.get(m.role)
        if speaker and isinstance(m.content, str) and not self._owned and _is_plain(m):
            return Message(speaker, (Text(m.content),), m.name, True)
        at = f"/messages/{index}"
        match m.role:
            case "user" | "system" | "developer":
                return self._speech(m, m.role, at)
            case "assistant":
                return self._assistant(m, at)
            case "tool":
                if m.tool_call_id is None:
                    raise _bad(f"{at}/tool_call_id", "a tool message names the call it answers")
                return Message("user", (self._result(m, m.tool_call_id, at),))
            case "function":
                return Message("user", (self._result(m, calls.legacy_id(len(self._called)), at),))
            case None:
                raise _bad(f"{at}/role", "expected a role")
            case _:
                assert_never(m.role)

    def _speech(self, m: schema.Message, role: Role, at: str) -> Message:
        if m.tool_calls or m.function_call or m.refusal:
            raise _bad(at, f"a {role} message cannot call a tool or refuse")
        parts, bare = self._content(m, at)
        return Message(role, tuple(parts), m.name, bare, self._own_fields(m, at))

    def _assistant(self, m: schema.Message, at: str) -> Message:
        parts: list[Part] = []
        if m.reasoning_content is not None or m.reasoning is not None or m.reasoning_details:
            details = m.reasoning_details
            parts += reasoning.decode(m.reasoning_content, m.reasoning, details, at)
        kept = self._own_fields(m, at)
        content, bare = self._content(m, at)
        if m.annotations:
            cited = citations.attach(content, m.annotations)
            if cited is None:
                kept = with_field(kept, at, "annotations", m.annotations)
            else:
                content = cited
        parts += content
        for index, image in enumerate(m.images or ()):
            if image.type != "image_url":
                raise _bad(f"{at}/images/{index}/type", "expected image_url")
            parts.append(self._part(image, at, index, "images"))
        if m.refusal is not None:
            if bare:
                parts.append(Refusal(m.refusal))
            else:  # refusals stand in the list: this one is beside it
                kept = with_field(kept, at, "refusal", m.refusal, content=True)
        for index, call in enumerate(m.tool_calls or ()):
            parts.append(self._call(call, at, index))
        if m.function_call is not None:
            name = m.function_call.name or ""
            self._called.append(name)
            text = calls.arguments(m.function_call.arguments)
            parts.append(ToolCall(calls.legacy_id(len(self._called)), name, text))
        return Message("assistant", tuple(parts), m.name, bare, kept)

    def _own_fields(self, m: schema.Message, at: str) -> Extra | None:
        """A message's fields that the model has no word for."""
        kept = self.kept(at)
        if present(m.audio):
            kept = with_field(kept, at, "audio", m.audio, content=True)
        if m.tool_call_id:
            kept = with_field(kept, at, "tool_call_id", m.tool_call_id)
        if present(m.cache_control) and not isinstance(m.content, str):
            kept = with_field(kept, at, "cache_control", m.cache_control)
        return kept

    def _content(self, m: schema.Message, at: str) -> tuple[list[Part], bool]:
        """The parts of a message's content, and whether it was not a list."""
        if m.content is None:
            return [], True
        if isinstance(m.content, str):
            cache = markers.decode(m.cache_control, Raw(), at) if m.cache_control else None
            return [Text(m.content, cache_control=cache)], True
        return [self._part(part, at, index) for index, part in enumerate(m.content)], False

    def _part(self, p: schema.ContentPart, at: str, index: int, field: str = "content") -> Part:
        place = f"{at}/{field}/{index}"
        kept = self.kept(place)
        part: Text | Blob | Uri | File
        match p:
            case schema.ContentPart(type="text", text=str(text)):
                part = Text(text, extra=kept)
            case schema.ContentPart(type="image_url", image_url=schema.ImageURL(url, detail)):
                part = media.image(url, detail, f"{place}/image_url/url", kept)
            case schema.ContentPart(type="image_url", image_url=str(url)):
                part = media.image(url, None, f"{place}/image_url", kept)
            case schema.ContentPart(type="input_audio", input_audio=schema.InputAudio(data, form)):
                content = media.standard_base64(data, f"{place}/input_audio/data")
                part = Blob("audio", media.audio_type(form), content, extra=kept)
            case schema.ContentPart(type="file", file=media.FileFile() as file):
                part = media.file(file, f"{place}/file", NAME, kept)
                self.bare_files |= isinstance(part, Blob) and "," not in (file.file_data or "")
            case schema.ContentPart(type="refusal", refusal=str(refusal)):
                return Refusal(refusal, extra=kept)
            case _ if p.type in _KNOWN_TYPES:
                raise _bad(place, f"a part of type {p.type!r} has a `{p.type}`")
            case _:
                content_raw = self._raw_message(at).content
                return Generic(p.type, NAME, values.raws.decode(content_raw)[index])
        if p.cache_control or p.prompt_cache_breakpoint:
            cache = markers.decode(p.cache_control, p.prompt_cache_breakpoint, place)
            part = replace(part, cache_control=cache)
        return part

    def _call(self, call: schema.ToolCall, at: str, index: int) -> ToolCall | Generic:
        found = calls.decode(call, "", self.kept(f"{at}/tool_calls/{index}"))
        if found is not None:
            return found
        raw = values.raws.decode(self._raw_message(at).tool_calls)[index]
        return Generic(f"{calls.CALL_TYPE}{call.type}", NAME, raw)

    def _result(self, m: schema.Message, call_id: str, at: str) -> ToolResult:
        cache = markers.decode(m.cache_control, Raw(), at) if m.cache_control else None
        if m.content is None or isinstance(m.content, str):
            parts: tuple[ResultPart, ...] = () if m.content is None else (Text(m.content),)
        else:
            parts = tuple(self._result_parts(m.content, at))
        bare = not isinstance(m.content, list)
        kept = self.kept(at)
        if m.name is not None and (m.role == "tool" or m.name != (self._called or [""])[-1]):
            kept = with_field(kept, at, "name", m.name)
        return ToolResult(call_id, parts, bare=bare, cache_control=cache, extra=kept)

    def _result_parts(self, content: list[schema.ContentPart], at: str) -> list[ResultPart]:
        parts: list[ResultPart] = []
        for index, p in enumerate(content):
            part = self._part(p, at, index)
            if not isinstance(part, Text | Blob | Uri | File | Generic):
                raise _bad(f"{at}/content/{index}", f"a tool's result has no {p.type!r} parts")
            parts.append(part)
        return parts

    def _raw_message(self, at: str) -> _RawMessage:
        if self._raw is None:
            self._raw = _raw_body.decode(self._body)
        return self._raw.messages[int(at.removeprefix("/messages/"))]


def _is_plain(m: schema.Message) -> bool:
    """Whether a message has nothing but a role, a content and perhaps a name: most do not."""
    return not (
        m.tool_calls
        or m.tool_call_id
        or m.refusal is not None
        or m.reasoning_content is not None
        or m.reasoning is not None
        or m.cache_control
        or m.function_call
        or m.annotations
        or m.audio
        or m.images
        or m.reasoning_details
    )


def with_field(
    kept: Extra | None, at: str, name: str, value: object, *, content: bool = False
) -> Extra:
    """`kept` with one more field. `content`: to lose it is to lose what was said."""
    raw = value if isinstance(value, Raw) else Raw(msgspec.json.encode(value))
    fields = {**(kept.fields if kept else {}), f"/{name}": raw}
    meant = kept.content if kept else frozenset[str]()
    return Extra(NAME, fields, at, meant | {f"/{name}"} if content else meant)


def _by_owner(unknown: Fields) -> Mapping[str, Fields]:
    """Unknown fields by the object that keeps them; explicit nulls say nothing and are left out."""
    owned: dict[str, dict[str, Raw]] = {}
    for pointer, raw in unknown.items():
        if raw == NULL:
            continue
        match = _OWNER.match(pointer)
        owner = match.group() if match else ""
        owned.setdefault(owner, {})[pointer[len(owner) :]] = raw
    return owned


def _bad(at: str, message: str) -> InvalidRequest:
    path = extra.pointer_to_path(at)
    return InvalidRequest(f"{path}: {message}", param=path)
