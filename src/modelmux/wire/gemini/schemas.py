"""JSON Schema in the subset that older Gemini models take.

It is a selection of OpenAPI 3.0: no references, no type arrays, no `const`, enums of strings, few
formats. ai.google.dev/api/caching#Schema and cloud.google.com/vertex-ai/generative-ai/docs/
multimodal/control-generated-output#fields, read 2026-11-20.
"""

from typing import TypeAlias

import msgspec
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.wire import extra

Json: TypeAlias = "dict[str, Json] | list[Json] | str | float | bool | None"

MAX_DEPTH = 32
"""Deepest nesting of references that is put in place: what goes deeper refers to itself."""

_KEPT = frozenset(
    {
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "enum",
        "maxItems",
        "minItems",
        "properties",
        "required",
        "minProperties",
        "maxProperties",
        "minLength",
        "maxLength",
        "pattern",
        "example",
        "anyOf",
        "propertyOrdering",
        "default",
        "items",
        "minimum",
        "maximum",
    }
)
_SILENT = frozenset({"$schema", "$id", "$defs", "definitions", "$comment", "additionalProperties"})
"""Keywords that go without a word: the subset means the same without them, or nothing."""
_FORMATS = frozenset({"float", "double", "int32", "int64", "enum", "date-time"})

_json: msgspec.json.Decoder[Json] = msgspec.json.Decoder()


class Narrowed:
    """A schema in the subset.

    Attributes:
        schema: The schema; `None` where it allows an object without any field, which the API
            refuses: whoever needs no arguments says nothing of them.
        lost: Keywords that were left out and say something.
    """

    def __init__(self, raw: Raw, at: str) -> None:
        """Narrow `raw`, which stands at the JSON Pointer `at`. Raises `InvalidRequest`."""
        try:
            root = _json.decode(raw)
        except extra.MALFORMED as exc:
            raise extra.invalid(exc, at) from None
        if not isinstance(root, dict):
            param = extra.pointer_to_path(at)
            raise InvalidRequest(f"{param}: expected a JSON Schema object", param=param)
        self._root = root
        self.lost: set[str] = set()
        narrowed = self._node(root, 0)
        empty = narrowed.get("type") == "object" and not narrowed.get("properties")
        self.schema: Raw | None = None if empty else Raw(msgspec.json.encode(narrowed))

    def _node(self, node: dict[str, Json], depth: int) -> dict[str, Json]:
        node = self._resolved(node, depth)
        node = self._joined(node, depth)
        out: dict[str, Json] = {}
        for name, value in node.items():
            if name in _KEPT:
                out[name] = self._value(name, value, depth + 1)
            elif name in {"const", "oneOf", "prefixItems"}:
                self._said_otherwise(name, value, out, depth + 1)
            elif name not in _SILENT:
                self.lost.add(name)
        self._mend(out)
        return out

    def _value(self, name: str, value: Json, depth: int) -> Json:
        if name == "properties" and isinstance(value, dict):
            return {key: self._child(inner, depth) for key, inner in value.items()}
        if name == "anyOf" and isinstance(value, list):
            return [self._child(item, depth) for item in value]
        if name == "items":
            return self._child(value, depth)
        return value

    def _child(self, value: Json, depth: int) -> Json:
        if value is True:
            return {}
        return self._node(value, depth) if isinstance(value, dict) else value

    def _resolved(self, node: dict[str, Json], depth: int) -> dict[str, Json]:
        """`node` with what it refers to in its place; an object of any form where it recurses."""
        reference = node.get("$ref")
        if not isinstance(reference, str):
            return node
        rest = {name: value for name, value in node.items() if name != "$ref"}
        if depth > MAX_DEPTH:
            self.lost.add("$ref")
            return {"type": "object", "description": "as above", **rest}
        place: Json = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            place = place.get(extra.unescape(step)) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            self.lost.add("$ref")
            return rest
        if self._recurses(reference, place):
            self.lost.add("$ref")
            return {"type": "object", **rest}
        return self._resolved({**place, **rest}, depth + 1)

    def _recurses(self, reference: str, place: dict[str, Json]) -> bool:
        """Whether what is referred to holds a reference to itself."""
        seen: set[str] = set()
        waiting: list[Json] = [place]
        while waiting:
            value = waiting.pop()
            if isinstance(value, list):
                waiting += value
            elif isinstance(value, dict):
                inner = value.get("$ref")
                if inner == reference:
                    return True
                if isinstance(inner, str) and inner not in seen:
                    seen.add(inner)
                    waiting.append(self._target(inner))
                waiting += [v for name, v in value.items() if name != "$ref"]
        return False

    def _target(self, reference: str) -> Json:
        place: Json = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            place = place.get(extra.unescape(step)) if isinstance(place, dict) else None
        return place

    def _joined(self, node: dict[str, Json], depth: int) -> dict[str, Json]:
        """`node` with all schemas of its `allOf` merged into it."""
        parts = node.get("allOf")
        if not isinstance(parts, list):
            return node
        out = {name: value for name, value in node.items() if name != "allOf"}
        for part in parts:
            if not isinstance(part, dict):
                continue
            merged = self._joined(self._resolved(part, depth + 1), depth + 1)
            for name, value in merged.items():
                mine = out.get(name)
                if isinstance(mine, dict) and isinstance(value, dict):
                    out[name] = {**value, **mine}
                elif name == "required" and isinstance(mine, list) and isinstance(value, list):
                    out[name] = [*mine, *(item for item in value if item not in mine)]
                else:
                    out.setdefault(name, value)
        return out

    def _said_otherwise(self, name: str, value: Json, out: dict[str, Json], depth: int) -> None:
        if name == "const":
            out["enum"] = [value]
        elif name == "oneOf" and isinstance(value, list):
            out["anyOf"] = [self._child(item, depth) for item in value]
        elif isinstance(value, list) and value:  # a tuple: an array of what its first item is
            self.lost.add(name)
            out.setdefault("items", self._child(value[0], depth))

    def _mend(self, node: dict[str, Json]) -> None:
        kind = node.get("type")
        if isinstance(kind, list):
            self._mend_types(node, [each for each in kind if isinstance(each, str)])
        self._mend_choice(node)
        enum = node.get("enum")
        if isinstance(enum, list):
            if None in enum:
                node["nullable"] = True
                enum = [value for value in enum if value is not None]
            node["enum"] = [v if isinstance(v, str) else _text(v) for v in enum]
            node["type"] = "string"
            node.pop("format", None)
        if node.get("type") == "array" and "items" not in node:
            node["items"] = {"type": "string"}
        if node.get("type") == "object" and node.get("properties") == {}:
            del node["properties"]
        form = node.get("format")
        if form is not None and form not in _FORMATS:
            del node["format"]
            self.lost.add("format")

    @staticmethod
    def _mend_types(node: dict[str, Json], kinds: list[str]) -> None:
        if "null" in kinds:
            node["nullable"] = True
        kinds = [kind for kind in kinds if kind != "null"]
        if len(kinds) == 1:
            node["type"] = kinds[0]
            return
        del node["type"]
        if kinds:
            node["anyOf"] = [{"type": kind} for kind in kinds]

    @staticmethod
    def _mend_choice(node: dict[str, Json]) -> None:
        """`anyOf` with `null` is `nullable`; with one schema left, it is that schema."""
        choice = node.get("anyOf")
        if not isinstance(choice, list):
            return
        kept = [item for item in choice if item != {"type": "null"}]
        if len(kept) < len(choice):
            node["nullable"] = True
        if len(kept) == 1 and isinstance(kept[0], dict):
            del node["anyOf"]
            for name, value in kept[0].items():
                node.setdefault(name, value)
        else:
            node["anyOf"] = kept


def _text(value: Json) -> str:
    return msgspec.json.encode(value).decode()
