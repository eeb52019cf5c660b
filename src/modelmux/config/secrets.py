"""Every secret that a configuration holds, for whoever has to keep them out of sight."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import cast

from msgspec import Struct
from msgspec.structs import FieldInfo, fields

from modelmux.config.marks import is_secret, names_credential


def secrets(table: Struct) -> Iterator[str]:
    """The values that the schema marks as secret, and those of headers named like credentials."""
    for info in _fields(type(table)):
        value: object = getattr(table, info.name)
        if is_secret(info.type):
            yield from _texts(value)
        elif isinstance(value, Mapping):
            named = cast("Mapping[str, object]", value)
            yield from (str(text) for name, text in named.items() if names_credential(name))
        elif isinstance(value, Struct):
            yield from secrets(value)
        elif isinstance(value, tuple):
            for item in cast("tuple[object, ...]", value):
                if isinstance(item, Struct):
                    yield from secrets(item)


@cache
def _fields(kind: type[Struct]) -> tuple[FieldInfo, ...]:
    """The fields of a struct: to find them takes longer than to look at all of them."""
    return fields(kind)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, tuple):
        for item in cast("tuple[object, ...]", value):
            yield from _texts(item)
