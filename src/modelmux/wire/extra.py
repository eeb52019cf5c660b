"""Fields of a JSON object that a schema does not name: kept, written back, or reported.

Schemas forbid unknown fields, so an object without any is decoded in one pass and this module
costs nothing. Only where that fails is the object taken apart: what the schema names is decoded
again, and the rest is kept as the bytes that came, by JSON Pointer.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Generic, TypeAlias, TypeVar, cast

import msgspec
from msgspec import Raw, Struct
from msgspec.inspect import AnyType, ListType, StructType, Type, UnionType, type_info

from modelmux.errors import GatewayError, InvalidRequest
from modelmux.ir.parts import Extra
from modelmux.ir.request import Loss, LossKind

S = TypeVar("S", bound=Struct)

Fields = Mapping[str, Raw]

_Json: TypeAlias = "dict[str, _Json] | list[_Json] | Raw | str | float | bool | None"

_NOTHING: Fields = {}

_object = msgspec.json.Decoder(dict[str, Raw])
_array = msgspec.json.Decoder(list[Raw])
_PATH = re.compile(r" - at `(?:key in )?\$?([^`]*)`$")
_MISSING = re.compile(r"missing required field `([^`]+)`")

MALFORMED = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"""What msgspec raises for bytes that are not the JSON that was asked for."""


class Schema(Generic[S]):
    """Decodes JSON objects into one struct type, whose config forbids unknown fields."""

    def __init__(self, struct: type[S], error: type[GatewayError] = InvalidRequest) -> None:
        """Make a decoder of `struct` that raises `error`: whose mistake a bad object is."""
        if not struct.__struct_config__.forbid_unknown_fields:
            raise TypeError(f"{struct} must forbid unknown fields")
        self._decoder = msgspec.json.Decoder(struct)
        self._type = type_info(struct)
        tag = struct.__struct_config__.tag_field
        names = {field.encode_name for field in msgspec.structs.fields(struct)}
        self._names = names if tag is None else names | {tag}
        self._error = error

    def decode(self, raw: bytes | Raw, at: str = "") -> tuple[S, Fields]:
        """The struct, and the fields it does not name, by pointer relative to the object.

        Args:
            raw: A JSON object.
            at: JSON Pointer of the object in the caller's body, for messages.

        Raises:
            GatewayError: The error given at construction: `raw` is not such an object.
        """
        try:
            return self._decoder.decode(raw), _NOTHING
        except msgspec.ValidationError as exc:
            if "unknown field" not in str(exc):
                raise invalid(exc, at, self._error) from None
        except MALFORMED as exc:
            raise invalid(exc, at, self._error) from None
        if (found := self._without_top(raw)) is not None:
            return found
        unknown: dict[str, Raw] = {}
        try:
            known = _separate(Raw(bytes(raw).lstrip()), self._type, "", unknown)
            return self._decoder.decode(known), unknown
        except MALFORMED as exc:
            raise invalid(exc, at, self._error) from None

    def _without_top(self, raw: bytes | Raw) -> tuple[S, Fields] | None:
        """The struct, where all unknown fields stand at the top, as they mostly do; else `None`."""
        try:
            fields = _object.decode(raw)
            known = {name: value for name, value in fields.items() if name in self._names}
            struct = self._decoder.decode(msgspec.json.encode(known))
        except MALFORMED:
            return None
        unknown = {f"/{escape(n)}": value for n, value in fields.items() if n not in self._names}
        return struct, unknown


def _separate(raw: Raw, type_: Type, at: str, unknown: dict[str, Raw]) -> Raw:
    """`raw` without the fields that `type_` does not name, which go to `unknown`."""
    members = type_.types if isinstance(type_, UnionType) else (type_,)
    first = first_byte(raw)
    if first == b"{":
        members = _tagged(raw, members)
    for member in members:
        if isinstance(member, StructType) and first == b"{":
            fields = {field.encode_name: field.type for field in member.fields}
            if member.tag_field is not None:
                fields[member.tag_field] = AnyType()
            known: dict[str, Raw] = {}
            for name, value in _object.decode(raw).items():
                pointer = f"{at}/{escape(name)}"
                if name in fields:
                    known[name] = _separate(value, fields[name], pointer, unknown)
                else:
                    unknown[pointer] = value
            return Raw(msgspec.json.encode(known))
        if isinstance(member, ListType) and first == b"[":
            items = [
                _separate(item, member.item_type, f"{at}/{index}", unknown)
                for index, item in enumerate(_array.decode(raw))
            ]
            return Raw(msgspec.json.encode(items))
    return raw


def _tagged(raw: Raw, members: tuple[Type, ...]) -> tuple[Type, ...]:
    """Of several structs told apart by a tag, the one that `raw` is."""
    structs = [member for member in members if isinstance(member, StructType)]
    if len(structs) < 2 or structs[0].tag_field is None:
        return members
    tag = _object.decode(raw).get(structs[0].tag_field, Raw(b"null"))
    return tuple(struct for struct in structs if msgspec.json.encode(struct.tag) == bytes(tag))


def first_byte(raw: Raw) -> bytes:
    """What kind of JSON value `raw` is, by its first byte."""
    return bytes(memoryview(raw)[:1])


def invalid(
    exc: Exception, at: str = "", error: type[GatewayError] = InvalidRequest
) -> GatewayError:
    """A decoding error of msgspec's as one of ours, with the field's JSON path."""
    text = str(exc)
    match = _PATH.search(text)
    param = pointer_to_path(at) + (match.group(1) if match else "")
    message = text[: match.start()] if match else text
    if missing := _MISSING.search(message):  # its path ends at the object
        param += f".{missing.group(1)}"
    param = param.lstrip(".")
    return error(f"{param}: {message}" if param else message, param=param or None)


def pointer_to_path(pointer: str) -> str:
    """`/messages/0/content` as callers' tools write it: `messages[0].content`."""
    out = ""
    for step in pointer.split("/")[1:]:
        out += f"[{step}]" if step.isdigit() else f".{unescape(step)}" if out else unescape(step)
    return out


def escape(name: str) -> str:
    """A field's name as one step of a JSON Pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def unescape(step: str) -> str:
    """The inverse of `escape`."""
    return step.replace("~1", "/").replace("~0", "~")


def keep(fields: Fields, wire: str, at: str = "") -> Extra | None:
    """`fields` as a part's or message's `extra`; `None` when there are none."""
    return Extra(wire, fields, at) if fields else None


def merge(value: dict[str, object], extra: Extra | None, wire: str) -> dict[str, object]:
    """Write fields back where they came from, if `wire` is theirs. Changes and returns `value`."""
    if extra is None or extra.wire != wire:
        return value
    for pointer, raw in extra.fields.items():
        if pointer[:1] != "/":
            continue  # a note of the wire's own
        name = pointer[1:]
        if "/" not in name and "~" not in name:
            value[name] = raw
            continue
        *parents, last = [unescape(step) for step in name.split("/")]
        place: _Json = cast("dict[str, _Json]", value)  # built by a codec: JSON and nothing else
        for step in parents:
            place = _child(place, step)
        if isinstance(place, dict):  # else what held the field is gone, and the field with it
            place[last] = raw
    return value


def _child(place: "_Json", step: str) -> "_Json":
    if isinstance(place, dict):
        return place.get(step)
    if isinstance(place, list) and step.isdigit() and int(step) < len(place):
        return place[int(step)]
    return None


def losses(extra: Extra | None, wire: str) -> Iterator[Loss]:
    """What of `extra` cannot be said on `wire`: all of it, unless the wire is its own."""
    if extra is None or extra.wire == wire:
        return
    for pointer in extra.fields:
        if pointer[:1] != "/":
            continue
        kind: LossKind = "content" if pointer in extra.content else "tuning"
        yield Loss(extra.at + pointer, f"{wire} has no such field", kind)


def splice(raw: bytes, fields: Mapping[str, object], drop: tuple[str, ...] = ()) -> bytes:
    """Replace top-level fields of a JSON object; every other value is copied verbatim.

    Args:
        raw: A JSON object in UTF-8.
        fields: New values by name; a name not in `raw` is appended.
        drop: Names to leave out.

    Raises:
        InvalidRequest: `raw` is not a JSON object.
    """
    try:
        obj = _object.decode(raw)
    except MALFORMED as exc:
        raise invalid(exc) from None
    for name in drop:
        obj.pop(name, None)
    for name, value in fields.items():
        obj[name] = value if isinstance(value, Raw) else Raw(msgspec.json.encode(value))
    return msgspec.json.encode(obj)


def replace_string(raw: bytes, name: str, old: str, new: str) -> bytes:
    """Make a top-level string of a JSON object read `new`, leaving every other byte as it is.

    The result has the field exactly once, so that no two readers can disagree about it. The
    common case is one search: where the key stands once in the text it is the one at the top,
    because inside a string its quotes would be escaped. Else `splice` decides.

    Args:
        raw: A JSON object whose top level has `name` with the value `old`.
        name: A field name of the letters `d` to `o`, such as `model`.
        old: Its value.
        new: The value to put in its place, which may be `old`.
    """
    key = b'"' + name.encode() + b'"'
    at = _only(raw, key)
    # No serialiser escapes an ASCII letter: whoever does wants two readers to disagree.
    if at < 0 or b"\\u006" in raw:
        return splice(raw, {name: new})
    value = msgspec.json.encode(old)
    start = at + len(key)
    while raw[start] in b" \t\r\n:":
        start += 1
    if not raw.startswith(value, start):
        return splice(raw, {name: new})
    if old == new:
        return raw
    return raw[:start] + msgspec.json.encode(new) + raw[start + len(value) :]


def _only(raw: bytes, key: bytes) -> int:
    """Where `key`, which ends in a quote, stands in `raw`; -1 if it stands there twice, or not."""
    # Few strings end like it, and three bytes are found in a third of the time that all take.
    end = key[-3:]
    at = raw.find(end) + len(end) - len(key)
    if at >= 0 and raw.startswith(key, at) and raw.find(end, at + len(key)) < 0:
        return at
    at = raw.find(key)
    return at if raw.find(key, at + 1) < 0 else -1
