"""The schema taken apart: what may stand where, as one small tree that every step of loading walks.

`msgspec` could convert a whole file in one call, but it stops at the first mistake and knows no
lines. So loading walks this tree itself and leaves only single values to `msgspec`.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Literal, Union, cast, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from modelmux.config.marks import bare, is_secret, limits, marks
from modelmux.config.schema import Config
from modelmux.config.table import Table

_NOUNS: Mapping[object, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    Decimal: "a number of at least 0",
    str: "a string",
}
_YES = frozenset({"true", "yes", "1", "on", "enabled"})
_NO = frozenset({"false", "no", "0", "off", "disabled"})


class ScalarShape(Struct, frozen=True):
    """One value."""

    annotation: object
    """What `msgspec` converts it to, constraints included."""
    type: object
    """`bool`, `int`, `float`, `Decimal` or `str`."""
    expected: str
    """The same in words, to follow \"expected\"."""
    words: tuple[str, ...] = ()
    """The only values there are; empty: any."""
    aliases: Mapping[str, str] = {}
    secret: bool = False
    path: bool = False


class TableShape(Struct, frozen=True):
    struct: type[Table]
    fields: "Mapping[str, FieldShape]"
    aliases: Mapping[str, str]
    """Other names of keys."""


class MapShape(Struct, frozen=True):
    """A table whose keys are the operator's own (headers, tags)."""

    item: ScalarShape


class EitherShape(Struct, frozen=True):
    """A string for short, or a table."""

    short: ScalarShape
    table: TableShape


class ListShape(Struct, frozen=True):
    item: "Shape"
    by_name: bool
    """Entries are merged across layers by their `name`."""


Shape = ScalarShape | TableShape | MapShape | EitherShape | ListShape


class FieldShape(Struct, frozen=True):
    shape: Shape
    required: bool


def _table(struct: type[Table]) -> TableShape:
    shapes: dict[str, FieldShape] = {}
    aliases: dict[str, str] = {}
    for info in fields(struct):
        required = info.default is NODEFAULT and info.default_factory is NODEFAULT
        shapes[info.name] = FieldShape(_shape(info.type), required)
        for inner in (info.type, *get_args(info.type)):
            alias = marks(inner).get("alias")
            if isinstance(alias, str):
                aliases[alias] = info.name
    return TableShape(struct, shapes, aliases)


def _shape(annotation: object) -> Shape:
    inner = bare(annotation)
    origin = get_origin(inner)
    if origin in {Union, UnionType}:
        members = [member for member in get_args(inner) if member is not NoneType]
        if len(members) == 1:
            return _shape(members[0])
        short, table = (_shape(member) for member in members)
        if isinstance(short, ScalarShape) and isinstance(table, TableShape):
            return EitherShape(short, table)
        raise TypeError(f"a union is a scalar or a table, in this order: {annotation}")
    if origin is tuple:
        return ListShape(_shape(get_args(inner)[0]), bool(marks(annotation).get("by_name")))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        item = _shape(get_args(inner)[1])
        if isinstance(item, ScalarShape):
            return MapShape(item)
        raise TypeError(f"a mapping holds scalars: {annotation}")
    if isinstance(inner, type) and issubclass(inner, Table):
        return _table(inner)
    return _scalar(annotation)


def _scalar(annotation: object) -> ScalarShape:
    inner = bare(annotation)
    mark = marks(annotation)
    words = cast("tuple[str, ...]", get_args(inner) if get_origin(inner) is Literal else ())
    kind = str if words else inner
    if words:
        expected = "one of " * (len(words) > 1) + ", ".join(words)
    else:
        expected = _NOUNS[kind] + limits(annotation)
    return ScalarShape(
        annotation=annotation,
        type=kind,
        expected=expected,
        words=words,
        aliases=cast("Mapping[str, str]", mark.get("aliases", {})),
        secret=is_secret(annotation),
        path=bool(mark.get("path")),
    )


@cache
def config_shape() -> TableShape:
    """The shape of the whole configuration."""
    return _table(Config)


def scalars(shape: TableShape) -> Iterator[tuple[tuple[str, ...], ScalarShape | ListShape]]:
    """Every key of a table, and of tables in it, that holds one value or an array of values.

    Tables that repeat, and those whose keys are the operator's own, have no key of a fixed name.
    """
    for name, field in shape.fields.items():
        match field.shape:
            case TableShape():
                yield from (((name, *path), each) for path, each in scalars(field.shape))
            case ScalarShape() | ListShape(item=ScalarShape()):
                yield (name,), field.shape
            case _:
                pass


def typed(value: object, shape: ScalarShape) -> object:
    """One value as the schema has it.

    Raises:
        ValueError: It is not that; the message begins with "expected" and does not quote it.
    """
    if isinstance(value, bool) and str(value).lower() in shape.aliases:
        value = str(value).lower()
    if shape.words:
        return _word(value, shape)
    try:
        converted: object = msgspec.convert(value, shape.annotation)
    except msgspec.ValidationError:
        raise ValueError(f"expected {shape.expected}") from None
    if isinstance(converted, Decimal) and not (converted.is_finite() and converted >= 0):
        raise ValueError(f"expected {shape.expected}")
    return converted


def _word(value: object, shape: ScalarShape) -> str:
    text = value.strip().lower() if isinstance(value, str) else ""
    text = shape.aliases.get(text, text)
    if text in shape.words:
        return text
    raise ValueError(f"expected {shape.expected}")


def typed_text(text: str, shape: ScalarShape) -> object:
    """One value that came as text (from the environment, or from `${VAR}`) as the schema has it.

    Raises:
        ValueError: As `typed`.
    """
    text = text if shape.type is str else text.strip()
    value: object = text
    try:
        if shape.type is bool and text.lower() in _YES | _NO:
            value = text.lower() in _YES
        elif shape.type is int:
            value = int(text)
        elif shape.type is float:
            value = float(text)
    except ValueError:
        raise ValueError(f"expected {shape.expected}") from None
    return typed(value, shape)
