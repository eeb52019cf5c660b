from typing import cast

from modelmux.config.jsonschema import Json, json_schema
from modelmux.config.schema import Config
from modelmux.config.shape import EitherShape, ListShape, TableShape, config_shape


def properties(table: str) -> dict[str, Json]:
    definitions = cast("dict[str, Json]", json_schema()["$defs"])
    return cast("dict[str, Json]", definitions[table]["properties"])


def tables(shape: object = None) -> dict[str, TableShape]:
    """Every table of the schema by its struct's name."""
    match shape or config_shape():
        case TableShape() as table:
            found = {table.struct.__name__: table}
            for field in table.fields.values():
                found |= tables(field.shape)
            return found
        case ListShape(item=item):
            return tables(item)
        case EitherShape(table=table):
            return tables(table)
        case _:
            return {}


def test_every_key_is_described():
    missing = [
        (name, key)
        for name in tables()
        for key, prop in properties(name).items()
        if not prop.get("description")
    ]
    assert missing == []


def test_the_schema_has_every_key_and_every_other_name_of_one():
    for name, table in tables().items():
        assert set(properties(name)) == {*table.fields, *table.aliases}


def test_unknown_keys_are_refused_as_by_the_loader():
    definitions = cast("dict[str, Json]", json_schema()["$defs"])
    for name in tables():
        assert definitions[name]["additionalProperties"] is False


def test_a_number_may_come_from_a_variable():
    port = properties("Server")["port"]
    assert {"type": "string", "pattern": r"\$\{"} in cast("list[Json]", port["anyOf"])


def test_a_price_may_be_text_or_a_number():
    options = cast("list[Json]", properties("Price")["input"]["anyOf"])
    assert [option["type"] for option in options] == ["string", "number"]


def test_words_of_older_systems_are_accepted():
    options = cast("list[Json]", properties("Streaming")["mode"]["anyOf"])
    assert "non-streaming" in cast("list[object]", options[0]["enum"])
    assert properties("Vertex")["project_id"]["deprecated"] is True


def test_the_root_is_the_configuration():
    assert json_schema()["$ref"] == f"#/$defs/{Config.__name__}"
