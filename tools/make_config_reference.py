"""Writes the part of docs/reference/configuration.md that the schema knows.

    python -m tools.make_config_reference [--check]

What stands between the two marks on that page is made of the schema's structs: every key with its
type, its default and the literal below it, which `modelmux config schema` shows too. With `--check`
nothing is written, and the exit code is 1 if the page is stale.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import assert_never, cast

import msgspec
from msgspec import NODEFAULT
from msgspec.structs import FieldInfo, fields

from modelmux.config import environment
from modelmux.config.jsonschema import json_schema
from modelmux.config.origin import key_text
from modelmux.config.shape import (
    EitherShape,
    ListShape,
    MapShape,
    ScalarShape,
    Shape,
    TableShape,
    config_shape,
)
from modelmux.config.table import Table
from modelmux.provider import catalog

PAGE = Path(__file__).parents[1] / "docs/reference/configuration.md"
BEGIN = "<!-- What follows is written by tools/make_config_reference.py. -->\n"
END = "<!-- End of what is written. -->\n"

_WIDE = "| {} |\n"


class Reference:
    """The generated part of the page."""

    def __init__(self) -> None:
        schema = msgspec.json.decode(msgspec.json.encode(json_schema()), type=dict[str, object])
        self._definitions = cast("Mapping[str, Mapping[str, object]]", schema["$defs"])

    def text(self) -> str:
        """All of it."""
        tables = "".join(self._tables(config_shape(), ()))
        return f"{tables}{_provider_types()}{_variables()}"

    def _tables(self, shape: TableShape, path: tuple[str, ...]) -> Iterator[str]:
        """The section of a table, and those of the tables in it."""
        later = sorted(shape.struct.LATER)
        if path:
            yield self._section(shape, path)
        elif later:
            names = ", ".join(f"`[{name}]`" for name in later)
            yield f"Reserved, and not available in this version: {names}.\n\n"
        for name, field in shape.fields.items():
            inner = _table_in(field.shape)
            if inner is not None:
                mark = "[]" if isinstance(field.shape, ListShape) else ""
                yield from self._tables(inner, (*path, name + mark))

    def _section(self, shape: TableShape, path: tuple[str, ...]) -> str:
        title = ".".join(path)
        brackets = f"[[{title[:-2]}]]" if title.endswith("[]") else f"[{title}]"
        title = brackets.replace("[].", ".")
        rows = [self._row(shape, info) for info in fields(shape.struct)]
        text = f"## `{title}`\n\n{_documented(shape.struct)}\n\n"
        text += _table(("Key", "Type", "Default", "Meaning"), rows)
        for exclusive in shape.struct.EXCLUSIVE:
            said = " and ".join(f"`{name}`" for name in exclusive)
            text += f"\n{said} stand for one another: who says one takes back the other.\n"
        if later := sorted(shape.struct.LATER):
            names = ", ".join(f"`{name}`" for name in later)
            text += f"\nReserved, and not available in this version: {names}.\n"
        return text + "\n"

    def _row(self, shape: TableShape, info: FieldInfo) -> Sequence[str]:
        key = info.name
        properties = cast(
            "Mapping[str, Mapping[str, object]]",
            self._definitions[shape.struct.__name__]["properties"],
        )
        field = shape.fields[key]
        meaning = str(properties[key]["description"])
        others = [alias for alias, name in shape.aliases.items() if name == key]
        if others:
            meaning += f" Also called `{'`, `'.join(others)}`."
        meaning += _words(field.shape)
        return (f"`{key}`", _type(field.shape), _default(info), meaning)


def _table_in(shape: Shape) -> TableShape | None:
    """The table that a key holds, or an array of it."""
    match shape:
        case TableShape():
            return shape
        case EitherShape():
            return shape.table
        case ListShape():
            return _table_in(shape.item)
        case MapShape() | ScalarShape():
            return None
        case _:
            assert_never(shape)


def _type(shape: Shape) -> str:
    match shape:
        case ScalarShape():
            words = [f"`{word}`" for word in shape.words]
            text = ", ".join(words) if words else shape.expected
            return "a secret" if shape.secret else "a file name" if shape.path else text
        case TableShape():
            return "a table"
        case EitherShape():
            return "a string, or a table"
        case MapShape():
            return "a table of strings"
        case ListShape(item=ScalarShape(secret=True)):
            return "an array of secrets"
        case ListShape(item=ScalarShape()):
            return "an array of strings"
        case ListShape(item=EitherShape()):
            return "an array of strings and tables"
        case ListShape():
            return "an array of tables"
        case _:
            assert_never(shape)


def _words(shape: Shape) -> str:
    """Other words for a value."""
    if not isinstance(shape, ScalarShape):
        return ""
    by_word: dict[str, list[str]] = {}
    for alias, word in shape.aliases.items():
        by_word.setdefault(word, []).append(f"`{alias}`")
    return "".join(f" {', '.join(names)}: the same as `{word}`." for word, names in by_word.items())


def _default(info: FieldInfo) -> str:
    if info.default is NODEFAULT and info.default_factory is NODEFAULT:
        return "required"
    value: object = info.default
    if info.default_factory is not NODEFAULT:
        value = {}
    match value:
        case None | Table() | ():
            return ""
        case bool():
            return f"`{str(value).lower()}`"
        case str():
            return f'`"{value}"`' if value else ""
        case float() if value.is_integer():
            return f"`{value:g}`"
        case int() | float() | Decimal():
            return f"`{value}`"
        case _:
            return ""


def _documented(struct: type[Table]) -> str:
    text = struct.__doc__ or ""
    return " ".join(text.split())


def _provider_types() -> str:
    """What `type` of a provider may be."""
    catalogue = catalog.load()
    rows: list[Sequence[str]] = []
    for name in catalogue.types:
        row = catalogue.provider(name)
        if not row.wires or row.part_of:
            continue
        parts = (catalogue.provider(each) for each in catalogue.types)
        rows_of_type = [row, *(part for part in parts if part.part_of == name)]
        variables = [", ".join(f"`{each}`" for each in names) for names in row.env.values()]
        found = " and ".join(variables) or ("where it listens" if row.discover else "")
        wires = ", ".join(f"`{wire.wire}`" for each in rows_of_type for wire in each.wires)
        url = f"`{row.base_url}`" if row.base_url else ""
        needs = {"google": "Google's"}.get(row.auth, "needed" if row.needs_key else "optional")
        rows.append((f"`{name}`", wires, url, needs, found))
    columns = ("Type", "API", "`base_url`", "Key", "Found without configuration by")
    return f"## Provider types\n\n{_table(columns, rows)}\n"


def _variables() -> str:
    """Every variable that sets a key."""
    rows = [
        (f"`{name}`", f"`{key_text(path)}`")
        for name, (path, _) in sorted(environment.variables().items())
    ]
    return f"## Variables\n\n{_table(('Variable', 'Sets'), rows)}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(
        _WIDE.format(" | ".join(cell.replace("|", "\\|") for cell in line)) for line in lines
    )


def renewed(page: str) -> str:
    """The text of the page with the generated part as it should be.

    Raises:
        ValueError: The page does not have the two marks.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"expected the marks {BEGIN.strip()!r} and {END.strip()!r} on the page")
    return f"{head}{BEGIN}\n{Reference().text()}\n{END}{tail}"


def main(arguments: Sequence[str]) -> int:
    """Write the page, or see whether it is right; the exit code."""
    old = PAGE.read_text()
    new = renewed(old)
    if "--check" not in arguments:
        PAGE.write_text(new)
    elif new != old:
        print(f"{PAGE} is stale: python -m tools.make_config_reference writes it")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
