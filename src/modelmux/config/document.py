"""One TOML file as a tree of values that know their lines."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from modelmux.config.locate import key_lines
from modelmux.config.origin import Branch, Items, KeyPath, Layer, Leaf, Node, Origin
from modelmux.errors import ConfigError

_AT_LINE = re.compile(r"\s*\(at line (\d+), column (\d+)\)$")
_AT_END = "(at end of document)"


def read(path: Path, layer: Layer, shown: str) -> Branch | None:
    """The file's content; `None` if there is no such file.

    Args:
        path: Where it is.
        layer: As what it counts.
        shown: What messages call it.

    Raises:
        ConfigError: It cannot be read, or is not TOML in UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except OSError as exc:
        hint = "make it readable for the user that runs modelmux"
        raise ConfigError(f"{shown}: cannot be read: {exc.strerror}", hint=hint) from None
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{shown}: expected UTF-8, byte {exc.start} is not") from None
    return parse(text, layer, shown)


def parse(text: str, layer: Layer, shown: str) -> Branch:
    """A document's content.

    Raises:
        ConfigError: It is not TOML; the message has the line.
    """
    try:
        content: Mapping[str, object] = tomllib.loads(text)
        return _tree(content, key_lines(text), Origin(layer, shown))
    except tomllib.TOMLDecodeError as exc:
        raise _syntax(str(exc), text, shown) from None
    except RecursionError:
        raise ConfigError(f"{shown}: expected TOML, got arrays nested too deep") from None


def _syntax(message: str, text: str, shown: str) -> ConfigError:
    match = _AT_LINE.search(message)
    line = int(match.group(1)) if match else text.count("\n") + 1
    said = message[: match.start()] if match else message.removesuffix(_AT_END).rstrip()
    return ConfigError(
        f"{shown}:{line}: expected TOML: {said}", hint='strings need quotes: key = "value"'
    )


def _tree(content: Mapping[str, object], lines: Mapping[KeyPath, int], whole: Origin) -> Branch:
    def node(value: object, path: KeyPath, line: int) -> Node:
        line = lines.get(path, line)
        origin = Origin(whole.layer, whole.file, line)
        if isinstance(value, dict):
            table = cast("Mapping[str, object]", value)
            children = {key: node(each, (*path, key), line) for key, each in table.items()}
            return Branch(children, origin)
        if isinstance(value, list):
            array = cast("list[object]", value)
            return Items(
                [node(each, (*path, index), line) for index, each in enumerate(array)], origin
            )
        return Leaf(value, origin)

    return Branch({key: node(value, (key,), 0) for key, value in content.items()}, whole)
