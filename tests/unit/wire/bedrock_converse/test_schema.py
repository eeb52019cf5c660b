import msgspec
import pytest

from modelmux.wire.bedrock_converse import schema
from tests.support import amazon

STRUCTS = {
    "InferenceConfiguration": schema.InferenceConfiguration,
    "ToolSpecification": schema.ToolSpecification,
    "ToolUseBlock": schema.ToolUseBlock,
    "ToolResultBlock": schema.ToolResultBlock,
    "ReasoningTextBlock": schema.ReasoningTextBlock,
    "CachePointBlock": schema.CachePointBlock,
    "ConverseRequest": schema.ConverseRequest,
    "TokenUsage": schema.TokenUsage,
    "JsonSchemaDefinition": schema.JsonSchemaDefinition,
}


@pytest.mark.parametrize("name", STRUCTS)
def test_every_field_is_one_of_the_apis(name: str):
    known = amazon.operation("Converse").service_model.shape_for(name).members
    ours = {field.encode_name for field in msgspec.structs.fields(STRUCTS[name])}
    assert ours <= set(known)


def test_the_type_of_an_error_is_read_where_amazon_writes_it():
    found = msgspec.json.decode(b'{"__type":"a#B","message":"m"}', type=schema.Error)
    assert (found.type_, found.message) == ("a#B", "m")
