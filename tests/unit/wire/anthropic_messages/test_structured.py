import msgspec
import pytest
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Loss, ResponseFormat
from modelmux.wire.anthropic_messages import structured
from modelmux.wire.anthropic_messages.structured import FREE, Plan
from tests.support.cases import case

BY_TOOL = Profile(structured_output="tool")
CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def raw(schema: object) -> Raw:
    return Raw(msgspec.json.encode(schema))


def plan(schema: object, profile: Profile = UNKNOWN, **fields: str):
    losses: list[Loss] = []
    form = ResponseFormat("json_schema", schema=raw(schema), **fields)
    return structured.plan(form, profile, losses), losses


@pytest.mark.parametrize("form", [None, ResponseFormat("text")])
def test_an_answer_without_a_form_is_free(form):
    assert structured.plan(form, UNKNOWN, []) == FREE


@case(40)
@pytest.mark.parametrize("form", [ResponseFormat("json_object"), ResponseFormat("json_schema")])
def test_json_of_any_kind_is_asked_for_in_words(form):
    assert structured.plan(form, UNKNOWN, []) == Plan(instruction=structured.JSON_ONLY)


@case(39)
def test_a_schema_is_enforced_where_the_model_can():
    assert plan(CLOSED) == (Plan(native=raw(CLOSED)), [])


@case(39, 64)
def test_a_schema_that_can_be_enforced_keeps_every_byte():
    schema = Raw(b'{ "additionalProperties" : false, "type":"object" }')
    assert structured.native(schema) == structured.Native(schema, None)


@case(39)
def test_a_schema_is_a_tools_where_the_model_cannot_enforce_it():
    made, losses = plan(CLOSED, BY_TOOL, name="person", description="d")
    assert made == Plan(tool=raw(CLOSED), name="person", description="d")
    assert losses == []
    assert plan(CLOSED, BY_TOOL)[0].name == "answer"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {**CLOSED, "properties": {"a": {"type": "object", "additionalProperties": {}}}},
    ],
)
def test_a_schema_with_open_names_is_a_tools(schema):
    assert plan(schema) == (Plan(tool=raw(schema), name="answer"), [])


def test_a_schema_of_something_else_than_an_object_is_asked_for_in_words():
    made, _ = plan({"type": "array"}, BY_TOOL)
    assert made == Plan(instruction=structured.SCHEMA_ONLY + '{"type":"array"}')


def test_a_model_that_cannot_be_made_to_call_a_tool_is_asked_in_words():
    made, _ = plan({"type": "object"}, Profile(forced_tools=False))
    assert made == Plan(instruction=structured.SCHEMA_ONLY + '{"type":"object"}')


@pytest.mark.parametrize(
    ("schema", "narrowed"),
    [
        (
            {"type": "object", "properties": {"a": {}}},
            {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
        ),
        (
            {"properties": {"a": {}}, "additionalProperties": True},
            {"properties": {"a": {}}, "additionalProperties": False},
        ),
        (
            {"oneOf": [{"type": "object", "properties": {"a": {}}}, {"type": "null"}]},
            {
                "anyOf": [
                    {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
                    {"type": "null"},
                ]
            },
        ),
        (
            {"$defs": {"minimum": {"type": "object", "properties": {"maximum": {}}}}},
            {
                "$defs": {
                    "minimum": {
                        "type": "object",
                        "properties": {"maximum": {}},
                        "additionalProperties": False,
                    }
                }
            },
        ),
    ],
)
def test_objects_are_closed_without_loss(schema, narrowed):
    found = structured.native(raw(schema))
    assert found.schema is not None
    assert (msgspec.json.decode(found.schema), found.changes) == (narrowed, None)


@pytest.mark.parametrize(
    ("schema", "narrowed"),
    [
        (
            {"type": "integer", "minimum": 1, "maximum": 5},
            {"type": "integer", "description": "(minimum: 1, maximum: 5)"},
        ),
        (
            {"type": "string", "description": "A date", "format": "roman", "maxLength": 9},
            {"type": "string", "description": 'A date (format: "roman", maxLength: 9)'},
        ),
        (
            {"type": "array", "minItems": 3, "items": {"type": "number", "multipleOf": 0.5}},
            {
                "type": "array",
                "description": "(minItems: 3)",
                "items": {"type": "number", "description": "(multipleOf: 0.5)"},
            },
        ),
        (
            {"type": "string", "format": ["x"], "minItems": [1]},
            {"type": "string", "description": '(format: ["x"], minItems: [1])'},
        ),
    ],
)
def test_constraints_are_said_in_words_and_declared(schema, narrowed):
    found = structured.native(raw(schema))
    assert found.schema is not None
    assert msgspec.json.decode(found.schema) == narrowed
    assert found.changes is not None
    assert "not enforced" in found.changes


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "format": "date-time"},
        {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/x"}},
        {"enum": ["a", 1, None]},
        {"const": "x"},
        {"anyOf": [{"type": "null"}, True]},
        {"properties": 7, "additionalProperties": False},
    ],
)
def test_what_can_be_enforced_is_left_alone(schema):
    assert structured.native(raw(schema)) == structured.Native(raw(schema), None)


def test_what_the_wire_cannot_say_of_a_form_is_declared():
    schema = {**CLOSED, "properties": {"a": {"type": "string", "minLength": 1}}}
    _, losses = plan(schema, description="d")
    assert [loss.path for loss in losses] == [
        "/response_format/schema",
        "/response_format/description",
    ]


@pytest.mark.parametrize(
    "schema", [b"[]", b"7", b'{"a":"\xff"}', b'{"items":' * 400 + b"{}" + b"}" * 400]
)
@pytest.mark.parametrize("profile", [UNKNOWN, BY_TOOL])
def test_a_schema_that_cannot_be_read_is_refused(schema, profile):
    form = ResponseFormat("json_schema", schema=Raw(schema))
    deep = schema.startswith(b'{"items"')
    if deep and profile is BY_TOOL:
        assert structured.plan(form, profile, []).instruction is not None
        return
    with pytest.raises(InvalidRequest) as caught:
        structured.plan(form, profile, [])
    assert (caught.value.param or "").startswith("response_format.schema")
