"""Other spellings of the same body: names with underscores, and schemas in Google's dialect.

Google's servers take the names of fields in both of Protobuf's JSON spellings, and its
documentation shows both (protobuf.dev/programming-guides/json, read 2026-11-20).
"""

import re
from typing import TypeAlias

import msgspec
from msgspec import Raw

from modelmux.wire import extra

Json: TypeAlias = "dict[str, Json] | list[Json] | str | float | bool | None"

_SNAKE = re.compile(
    rb'"(?:system_instruction|generation_config|safety_settings|tool_config|cached_content|'
    rb"inline_data|file_data|function_call|function_response|function_declarations|"
    rb"function_calling_config|mime_type|file_uri|thought_signature|max_output_tokens|"
    rb"response_mime_type|response_schema|response_json_schema|thinking_config|stop_sequences|"
    rb"candidate_count|top_p|top_k|google_search|code_execution|generate_content_request|"
    rb'executable_code|code_execution_result|url_context)"\s*:'
)
_VERBATIM = frozenset({"args", "response", "parameters", "labels", "responseSchema"})
"""Fields whose content is the caller's own, or a schema."""

_json = msgspec.json.Decoder[Json]()


def camel(body: bytes) -> bytes:
    """`body` with its names as the structs have them: itself, as a rule."""
    if _SNAKE.search(body) is None:
        return body
    try:
        return msgspec.json.encode(_camel(_json.decode(body)))
    except extra.MALFORMED:
        return body  # whoever decodes it says what is wrong


def _camel(value: Json) -> Json:
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    out: dict[str, Json] = {}
    for name, inner in value.items():
        first, *words = name.split("_")
        said = first + "".join(word[:1].upper() + word[1:] for word in words) if first else name
        verbatim = said in _VERBATIM or said.endswith("JsonSchema")
        out[said] = inner if verbatim else _camel(inner)
    return out


def json_schema(raw: Raw) -> Raw:
    """A schema in Google's dialect as JSON Schema; verbatim where it is that already.

    The dialect writes types in capitals and has `nullable`:
    ai.google.dev/api/caching#Schema, read 2026-11-20.
    """
    return _converted(raw, to_json_schema=True)


def openapi_schema(raw: Raw) -> Raw:
    """The inverse of `json_schema`."""
    return _converted(raw, to_json_schema=False)


def _converted(raw: Raw, *, to_json_schema: bool) -> Raw:
    try:
        schema = _json.decode(raw)
        changed = _to_json_schema(schema) if to_json_schema else _to_openapi(schema)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "/schema") from None
    return raw if changed == schema else Raw(msgspec.json.encode(changed))


def _to_json_schema(node: Json) -> Json:
    if not isinstance(node, dict):
        return node
    out = _within(node, to_json_schema=True)
    kind = out.get("type")
    if isinstance(kind, str) and kind.isupper():
        out["type"] = kind.lower()
    if out.get("nullable") is True and isinstance(out.get("type"), str):
        del out["nullable"]
        out["type"] = [out["type"], "null"]
    return out


def _to_openapi(node: Json) -> Json:
    if not isinstance(node, dict):
        return node
    out = _within(node, to_json_schema=False)
    kind = out.get("type")
    if isinstance(kind, list) and len(kind) == 2 and kind[1] == "null":
        kind = out["type"] = kind[0]
        out["nullable"] = True
    if isinstance(kind, str):
        out["type"] = kind.upper()
    return out


def _within(node: dict[str, Json], *, to_json_schema: bool) -> dict[str, Json]:
    """`node` with the schemas inside of it converted."""
    convert = _to_json_schema if to_json_schema else _to_openapi
    out: dict[str, Json] = {}
    for name, value in node.items():
        if name == "properties" and isinstance(value, dict):
            out[name] = {key: convert(inner) for key, inner in value.items()}
        elif name in {"anyOf", "prefixItems"} and isinstance(value, list):
            out[name] = [convert(item) for item in value]
        elif name in {"items", "additionalProperties"}:
            out[name] = convert(value)
        else:
            out[name] = value
    return out
