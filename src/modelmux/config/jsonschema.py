"""The configuration as a JSON Schema, for editors that complete and check TOML."""

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import msgspec
from msgspec.structs import fields

from modelmux.config.marks import marks
from modelmux.config.schema import Config
from modelmux.config.table import Table

Json = dict[str, object]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE: Json = {"type": "string", "pattern": r"\$\{"}
"""What may stand for anything: its text comes from a variable."""


def json_schema() -> Json:
    """The JSON Schema (2020-12) of `Config`, each key with its description.

    It knows form only: rules between values are `modelmux validate`'s.
    """
    references, definitions = msgspec.json.schema_components(
        [Config], ref_template="#/$defs/{name}"
    )
    described = _descriptions()
    tables = {each.__name__: each for each in _tables(Table)}
    for name, definition in cast("dict[str, Json]", definitions).items():
        definition.pop("title", None)
        properties = cast("dict[str, Json]", definition.get("properties", {}))
        more = dict(_other_names(tables[name], properties)) if name in tables else {}
        for key, each in properties.items():
            _accept_text(each)
            if description := described.get((name, key)):
                each["description"] = description
        definition["properties"] = {**properties, **more}
    return {"$schema": _DIALECT, "title": "modelmux", **references[0], "$defs": definitions}


def _tables(of: type[Table]) -> Iterator[type[Table]]:
    for each in of.__subclasses__():
        yield each
        yield from _tables(each)


def _accept_text(prop: Json) -> None:
    """Let a number, boolean, word or price be text too: `${VAR}`, or an exact decimal."""
    default = prop.pop("default", None)
    if "anyOf" in prop:
        options = [each for each in cast("list[Json]", prop["anyOf"]) if each != {"type": "null"}]
    else:
        options = [dict(prop)]
    if any(each.get("format") == "decimal" for each in options):
        options.append({"type": "number", "minimum": 0})
    elif any(each.get("type") in {"integer", "number", "boolean"} for each in options) or any(
        "enum" in each for each in options
    ):
        options.append(_VARIABLE)
    prop.clear()
    prop.update(options[0] if len(options) == 1 else {"anyOf": options})
    if default is not None and "$ref" not in prop:
        prop["default"] = default


def _other_names(table: type[Table], properties: dict[str, Json]) -> Iterator[tuple[str, Json]]:
    """Properties for other names of keys; other words for values are added to theirs."""
    for info in fields(table):
        said = marks(info.type)
        if isinstance(alias := said.get("alias"), str):
            description = f"Another name of `{info.name}`."
            yield alias, {**properties[info.name], "description": description, "deprecated": True}
        if isinstance(words := said.get("aliases"), Mapping):
            known = cast("list[object]", properties[info.name]["enum"])
            known.extend(cast("Mapping[str, str]", words))
            if "true" in words:
                known.extend([True, False])


def _class_definitions() -> Iterator[ast.ClassDef]:
    for module in sorted({each.__module__ for each in _tables(Table)}):
        file = sys.modules[module].__file__ or ""
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
        yield from (node for node in tree.body if isinstance(node, ast.ClassDef))


def _descriptions() -> dict[tuple[str, str], str]:
    """The literal under each field of the schema, by struct and field."""
    found: dict[tuple[str, str], str] = {}
    for struct in _class_definitions():
        for field, literal in zip(struct.body, struct.body[1:], strict=False):
            match field, literal:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str() as text)),
                ):
                    found[struct.name, name] = " ".join(text.split())
                case _:
                    pass
    return found
