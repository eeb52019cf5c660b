import msgspec
import pytest
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.wire.gemini.schemas import Narrowed
from tests.support.cases import case


def narrow(schema: object) -> object:
    found = Narrowed(Raw(msgspec.json.encode(schema)), "/x").schema
    return msgspec.json.decode(found) if found is not None else None


TRUTH = {"type": "boolean"}


def of(inner: object, **more: object) -> dict[str, object]:
    return {"type": "object", "properties": {"a": inner}, **more}


@case(37)
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"$ref": "#/$defs/A"}, {"type": "string", "title": "A"}),
        ({"const": "x"}, {"enum": ["x"], "type": "string"}),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        (
            {"type": "integer", "enum": [1, None]},
            {"type": "string", "enum": ["1"], "nullable": True},
        ),
        ({"type": "array"}, {"type": "array", "items": {"type": "string"}}),
        ({"type": "string", "format": "uri"}, {"type": "string"}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string", "nullable": True}),
        ({"oneOf": [{"type": "string"}, TRUTH]}, {"anyOf": [{"type": "string"}, TRUTH]}),
        (
            {"allOf": [{"properties": {"b": TRUTH}, "required": ["b"]}, {"required": ["c"]}]},
            {"properties": {"b": TRUTH}, "required": ["b", "c"]},
        ),
        ({"type": "object", "properties": {}}, {"type": "object"}),
        ({"type": "array", "prefixItems": [TRUTH]}, {"type": "array", "items": TRUTH}),
    ],
)
def test_each_keyword_is_said_in_the_subset(said: object, expected: object) -> None:
    defs = {"A": {"type": "string", "title": "A"}}
    assert narrow(of(said, **{"$defs": defs, "$schema": "x"})) == of(expected)


@case(37)
def test_what_recurses_is_cut_where_it_does() -> None:
    tree = {
        "$ref": "#/$defs/T",
        "$defs": {"T": of({"type": "array", "items": {"$ref": "#/$defs/T"}})},
    }
    found = Narrowed(Raw(msgspec.json.encode(tree)), "/x")
    assert found.lost == {"$ref"}


@case(37)
def test_what_cannot_be_said_is_named() -> None:
    schema = of({"type": "string", "contentEncoding": "base64", "not": {}})
    found = Narrowed(Raw(msgspec.json.encode(schema)), "/x")
    assert found.lost == {"contentEncoding", "not"}


@case(38)
def test_an_object_without_fields_is_no_schema() -> None:
    assert narrow({"type": "object", "properties": {}, "additionalProperties": False}) is None


@pytest.mark.parametrize("raw", [b"7", b"[]", b'{"type"'])
def test_what_is_no_schema_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequest, match="tools"):
        Narrowed(Raw(raw), "/tools/0/parameters")
