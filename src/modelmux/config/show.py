"""The configuration that counts, value by value, with its origins and without its secrets."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import cast

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from modelmux.config.load import Loaded
from modelmux.config.marks import MASK, is_secret, names_credential, presentable
from modelmux.config.origin import KeyPath, Origin, key_text
from modelmux.config.table import Table


class Row(Struct, frozen=True):
    """One value."""

    key: str
    value: object
    """As JSON has it; a secret is the mask, prices are text."""
    origin: Origin


def rows(loaded: Loaded) -> list[Row]:
    """Every value of the configuration in the order of the schema, defaults included."""
    return [
        Row(key_text(path), _visible(loaded, path, value), _origin(loaded, path))
        for path, value in _table(loaded.config, ())
    ]


def _visible(loaded: Loaded, path: KeyPath, value: object) -> object:
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [_visible(loaded, (*path, index), item) for index, item in enumerate(items)]
    return MASK if key_text(path) in loaded.hidden else value


def _origin(loaded: Loaded, path: KeyPath) -> Origin:
    return loaded.origin(key_text(path))


def _table(table: Table, path: KeyPath) -> Iterator[tuple[KeyPath, object]]:
    for info in fields(table):
        value: object = getattr(table, info.name)
        if value is not None:
            yield from _value(value, (*path, info.name), secret=is_secret(info.type))


def _value(value: object, path: KeyPath, *, secret: bool) -> Iterator[tuple[KeyPath, object]]:
    match value:
        case Table():
            yield from _table(value, path)
        case tuple():
            items = cast("tuple[object, ...]", value)
            if any(isinstance(item, Table) for item in items):
                for index, item in enumerate(items):
                    yield from _value(item, (*path, index), secret=secret)
            else:
                yield path, presentable(items, secret=secret)
        case Mapping():
            texts = cast("Mapping[str, object]", value)
            for name, text in texts.items():
                hide = secret or names_credential(name)
                yield (*path, name), presentable(text, secret=hide)
        case Decimal():
            yield path, format(value, "f")
        case _:
            yield path, presentable(value, secret=secret)


def text(row: Row) -> str:
    """A row as a line of TOML, without its origin."""
    return f"{row.key} = {msgspec.json.encode(row.value).decode()}"
