"""The environment as a layer: `MODELMUX_<SECTION>_<KEY>`, with `.env` read into it first."""

from collections.abc import Collection, Mapping, MutableMapping
from pathlib import Path

import dotenv

from modelmux.config.origin import Branch, Items, Leaf, Node, Origin
from modelmux.config.problem import did_you_mean
from modelmux.config.shape import ListShape, ScalarShape, TableShape, config_shape, scalars
from modelmux.errors import ConfigError

PREFIX = "MODELMUX_"

_OTHER_NAMES = {
    "MODELMUX_LOG_LEVEL": ("server", "log_level"),
    "MODELMUX_LOG_FORMAT": ("server", "log_format"),
    "MODELMUX_VERTEX_PROJECT_ID": ("vertex", "project"),
    "MODELMUX_VERTEX_MODEL_ID": ("vertex", "model"),
}
_NOT_OURS = frozenset({"MODELMUX_MODE"})
"""Read elsewhere: how a bare `modelmux` starts."""
_LATER = frozenset({"MODELMUX_A2A_TOKEN", "MODELMUX_WEBHOOK_URL"})


def read_dotenv(folder: Path, environ: MutableMapping[str, str]) -> frozenset[str]:
    """Read `.env` of a folder into the environment, which wins where both have a variable.

    Returns:
        Names of the variables whose value is that of the file.

    Raises:
        ConfigError: The file is there and cannot be read.
    """
    path = folder / ".env"
    try:
        values = dotenv.dotenv_values(path, encoding="utf-8-sig")
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: expected UTF-8, byte {exc.start} is not") from None
    said = {name: value for name, value in values.items() if value is not None}
    for name, value in said.items():
        environ.setdefault(name, value)
    return frozenset(name for name, value in said.items() if environ[name] == value)


def variables() -> Mapping[str, tuple[tuple[str, ...], ScalarShape | ListShape]]:
    """Every variable there is, with the key it sets."""
    known = {
        PREFIX + "_".join(path).upper(): (path, shape) for path, shape in scalars(config_shape())
    }
    shapes = dict(known.values())
    # First, so that the proper name wins where both are set.
    return {**{name: (path, shapes[path]) for name, path in _OTHER_NAMES.items()}, **known}


def layer(environ: Mapping[str, str], from_dotenv: Collection[str]) -> Branch:
    """What the environment says. An empty variable says nothing; lists are cut at commas."""
    root: dict[str, Node] = {}
    whole = Origin("environment")
    for name, (path, shape) in variables().items():
        text = environ.get(name, "")
        if not text.strip():
            continue
        origin = Origin("dotenv" if name in from_dotenv else "environment", name)
        node: Node = Leaf(text, origin, is_text=True)
        if isinstance(shape, ListShape):
            texts = [item.strip() for item in text.split(",")]
            node = Items([Leaf(item, origin, is_text=True) for item in texts if item], origin)
        _put(root, path, node, whole)
    return Branch(root, whole)


def _put(root: dict[str, Node], path: tuple[str, ...], node: Node, whole: Origin) -> None:
    *parents, last = path
    for step in parents:
        table = root.get(step)
        children = dict(table.children) if isinstance(table, Branch) else {}
        root[step] = Branch(children, whole)
        root = children
    root[last] = node


def warnings(environ: Mapping[str, str], used: Collection[str]) -> list[str]:
    """One line for each variable that begins like ours and sets nothing.

    Args:
        environ: The environment.
        used: Variables that the configuration reads by `${VAR}`.
    """
    known = variables()
    quiet = {*known, *_NOT_OURS, *used}
    return [
        f"variable {name}: {_why(name, known)}"
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in quiet
    ]


def _why(name: str, known: Collection[str]) -> str:
    section = name.removeprefix(PREFIX).partition("_")[0].lower()
    shape = config_shape()
    if name in _LATER or section in shape.struct.LATER:
        return "is ignored: not available in this version"
    field = shape.fields.get(section)
    if field is not None and not isinstance(field.shape, TableShape):
        return f"is ignored: write [[{section}]] in a file, with ${{VAR}} for what varies"
    return f"is ignored: no such setting{did_you_mean(name, known)}"
