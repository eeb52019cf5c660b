"""From a tree of what was said to the configuration, with every mistake of form told at once."""

from pathlib import Path
from typing import assert_never

from modelmux.config.expand import read_secret, resolve
from modelmux.config.marks import names_credential, presentable
from modelmux.config.origin import FILE_LAYERS, Branch, Items, KeyPath, Leaf, Node, Origin
from modelmux.config.problem import Report, did_you_mean
from modelmux.config.schema import Config
from modelmux.config.shape import (
    EitherShape,
    ListShape,
    MapShape,
    ScalarShape,
    Shape,
    TableShape,
    config_shape,
    typed,
    typed_text,
)
from modelmux.config.table import Table
from modelmux.errors import ConfigError


class _Nothing:
    """Stands for a value that could not be made; why is in the report."""


_NOTHING = _Nothing()


def convert(root: Branch, folder: Path, report: Report) -> Config | None:
    """The configuration that a tree says; `None` if the report has got errors.

    Args:
        root: The tree, expanded.
        folder: What file names are relative to that do not come from a file.
        report: Takes the errors.
    """
    table = _Conversion(folder, report).table(root, config_shape(), ())
    return table if isinstance(table, Config) and not report.errors else None


class _Conversion:
    def __init__(self, folder: Path, report: Report) -> None:
        self._folder = folder
        self._report = report

    def value(self, node: Node, shape: Shape, path: KeyPath) -> object:
        if isinstance(node, Leaf) and node.is_broken:
            return _NOTHING
        match shape:
            case ScalarShape():
                return self._scalar(node, shape, path)
            case TableShape():
                return self.table(node, shape, path)
            case EitherShape():
                inner = shape.table if isinstance(node, Branch) else shape.short
                return self.value(node, inner, path)
            case ListShape():
                return self._list(node, shape, path)
            case MapShape():
                return self._map(node, shape, path)
            case _:
                assert_never(shape)

    def table(self, node: Node, shape: TableShape, path: KeyPath) -> Table | _Nothing:
        if not isinstance(node, Branch):
            return self._unfit(node, path, "expected a table", secret=True)
        made: dict[str, object] = {}
        for key, each in node.children.items():
            if key in shape.fields:
                made[key] = self.value(each, shape.fields[key].shape, (*path, key))
            else:
                self._unknown(each, shape, (*path, key))
        for key, field in shape.fields.items():
            if field.required and key not in made:
                self._report.error(
                    node.origin, (*path, key), f"required: expected {_wanted(field.shape)}"
                )
                made[key] = _NOTHING
        if any(value is _NOTHING for value in made.values()):
            return _NOTHING
        return shape.struct(**made)

    def _unknown(self, node: Node, shape: TableShape, path: KeyPath) -> None:
        key = str(path[-1])
        if key in shape.struct.LATER:
            said = f"[{key}]" if len(path) == 1 else key
            self._report.error(node.origin, path, f"{said} is not available in this version")
        else:
            near = did_you_mean(key, [*shape.fields, *shape.aliases])
            self._report.error(node.origin, path, f"unknown key{near}")

    def _list(self, node: Node, shape: ListShape, path: KeyPath) -> object:
        if isinstance(node, Leaf) and node.is_text and isinstance(node.value, str):
            texts = [text.strip() for text in node.value.split(",")]
            leaves = [Leaf(text, node.origin, True, node.variables) for text in texts if text]
            node = Items(leaves, node.origin)
        if not isinstance(node, Items):
            secret = isinstance(shape.item, ScalarShape) and shape.item.secret
            return self._unfit(node, path, "expected an array", secret=secret)
        made = [
            self.value(each, shape.item, (*path, index)) for index, each in enumerate(node.items)
        ]
        return _NOTHING if any(each is _NOTHING for each in made) else tuple(made)

    def _map(self, node: Node, shape: MapShape, path: KeyPath) -> object:
        if not isinstance(node, Branch):
            return self._unfit(node, path, "expected a table", secret=True)
        made = {
            key: self.value(each, shape.item, (*path, key)) for key, each in node.children.items()
        }
        return _NOTHING if any(each is _NOTHING for each in made.values()) else made

    def _scalar(self, node: Node, shape: ScalarShape, path: KeyPath) -> object:
        secret = shape.secret or "headers" in path
        if not isinstance(node, Leaf):
            return self._unfit(node, path, f"expected {shape.expected}", secret=secret)
        try:
            if node.is_text and isinstance(node.value, str):
                value = typed_text(node.value, shape)
            else:
                value = typed(node.value, shape)
            if isinstance(value, str) and value:
                value = self._resolved(value, shape, node.origin)
                if any(names_credential(name) for name in node.variables):
                    self._report.hide(value)
        except ConfigError as exc:
            self._report.error(node.origin, path, exc.message, exc.hint)
            return _NOTHING
        except ValueError as exc:
            return self._unfit(node, path, str(exc), secret=secret)
        return value

    def _resolved(self, value: str, shape: ScalarShape, origin: Origin) -> str:
        folder = self._folder
        if origin.layer in FILE_LAYERS:
            folder = (folder / origin.file).parent
        if shape.secret:
            secret = read_secret(value, folder)
            self._report.hide(secret)
            return secret
        return str(resolve(value, folder)) if shape.path else value

    def _unfit(self, node: Node, path: KeyPath, expected: str, *, secret: bool) -> _Nothing:
        self._report.error(node.origin, path, f"{expected}, got {_got(node, secret=secret)}")
        return _NOTHING


def _wanted(shape: Shape) -> str:
    match shape:
        case ScalarShape():
            return shape.expected
        case ListShape():
            return "an array"
        case TableShape() | MapShape() | EitherShape():
            return "a table"
        case _:
            assert_never(shape)


def _got(node: Node, *, secret: bool) -> str:
    """What was said instead, in words; quoted only if that can reveal nothing."""
    match node:
        case Branch():
            return "a table"
        case Items():
            return "an array"
        case Leaf(value=bool() as value):
            return str(value).lower()
        case Leaf(value=int() | float() as value) if not secret:
            return str(value)
        case Leaf(variables=(name, *_)):
            return f"what ${{{name}}} holds"
        case Leaf(value=str() as text) if not secret:
            return repr(presentable(text, secret=False))
        case Leaf(value=str()):
            return "a string"
        case Leaf(value=int() | float()):
            return "a number"
        case Leaf():
            return "a date or time"
