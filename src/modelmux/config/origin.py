"""Where a value was said, and values that remember it until they are typed."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct
from typing_extensions import override

Layer = Literal[
    "default",
    "system",
    "user",
    "project",
    "option",
    "dotenv",
    "environment",
    "command line",
    "discovered",
]
"""Who said it. `option` is the file named by `-c`; `discovered` is what was found without any
configuration; `dotenv` is a variable that came from `.env`."""

FILE_LAYERS: frozenset[Layer] = frozenset({"system", "user", "project", "option"})

KeyPath = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Origin(Struct, frozen=True):
    """Where a value was said."""

    layer: Layer
    file: str = ""
    """Path of the file, or name of the environment variable or option."""
    line: int = 0
    """Line of the file, from 1; 0: it has none."""

    @override
    def __str__(self) -> str:
        match self.layer:
            case "default":
                return "default"
            case "discovered":
                return f"found by {self.file}"
            case "command line":
                return f"option {self.file}"
            case "environment":
                return f"variable {self.file}"
            case "dotenv":
                return f"variable {self.file} (.env)"
            case _:
                return f"{self.file}:{self.line}" if self.line else self.file


DEFAULT = Origin("default")


class Leaf(Struct, frozen=True):
    """One value as it was said."""

    value: object
    origin: Origin
    is_text: bool = False
    """It came as text whatever its type (environment, `${VAR}`): the schema types it."""
    variables: tuple[str, ...] = ()
    """Names of the variables that stood in it."""
    is_broken: bool = False
    """What is wrong with it has been told."""


class Branch(Struct, frozen=True):
    """A table as it was said."""

    children: "Mapping[str, Node]"
    origin: Origin


class Items(Struct, frozen=True):
    """An array as it was said."""

    items: "Sequence[Node]"
    origin: Origin


Node = Leaf | Branch | Items


def node_at(root: Node, path: KeyPath) -> Node:
    """The node at a path, or the nearest one above it that was said."""
    node = root
    for step in path:
        if isinstance(node, Branch) and step in node.children:
            node = node.children[str(step)]
        elif isinstance(node, Items) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
        else:
            break
    return node


def key_text(path: KeyPath) -> str:
    """A key path as people write it: `providers[0].headers."x.y"`."""
    out = ""
    for step in path:
        if isinstance(step, int):
            out += f"[{step}]"
        else:
            out += "." if out else ""
            out += step if _BARE_KEY.fullmatch(step) else _quoted(step)
    return out


def _quoted(step: str) -> str:
    return '"' + step.replace("\\", "\\\\").replace('"', '\\"') + '"'
