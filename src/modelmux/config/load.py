"""The configuration: every layer read, merged, expanded, typed and checked.

Layers, lowest first: built-in defaults, the system's file, the user's, the project's (or, instead
of these two, the one named by `-c`), the environment (with `.env` read into it), the command
line. If none of them names a provider, what is found on the machine comes below all of them.
"""

import os
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path

from msgspec import Struct

from modelmux.config import document, environment
from modelmux.config.check import SERVER_RULES, Checked
from modelmux.config.check_listeners import LISTENER_RULES
from modelmux.config.check_names import NAME_RULES
from modelmux.config.check_routing import ROUTING_RULES
from modelmux.config.convert import convert
from modelmux.config.discover import Probe, ProviderTypes, discover
from modelmux.config.expand import Expansion
from modelmux.config.marks import names_credential
from modelmux.config.merge import canonical, merge
from modelmux.config.origin import (
    DEFAULT,
    Branch,
    Items,
    KeyPath,
    Layer,
    Leaf,
    Node,
    Origin,
    key_text,
)
from modelmux.config.paths import PROJECT_FILE, Directories, directories, user_id
from modelmux.config.problem import Place, Report, located
from modelmux.config.schema import Config
from modelmux.config.shape import config_shape
from modelmux.errors import ConfigError


class Source(Struct, frozen=True):
    """A file that may say something."""

    layer: Layer
    path: Path
    found: bool


class Override(Struct, frozen=True):
    """What an option of the command line says."""

    path: tuple[str, ...]
    """The key, such as `("server", "listen")`."""
    value: str | int | bool | Sequence[str]
    option: str
    """Its name, for messages: `--listen`."""


class Loaded(Struct, frozen=True):
    """A configuration that can be used, and where it comes from."""

    config: Config
    origins: Mapping[str, Origin]
    """Where each key was said, tables and items of arrays included; a key that is not in here
    has its default."""
    sources: tuple[Source, ...]
    """Every file that was looked for, lowest layer first."""
    warnings: tuple[str, ...]
    """One line each: what is unwise, or said and not used."""
    hidden: frozenset[str]
    """Keys whose values came from variables named like credentials, never to be shown."""

    @property
    def is_configured(self) -> bool:
        """Whether anybody said anything: a file, a variable, an option."""
        said = {origin.layer for origin in self.origins.values()}
        return any(source.found for source in self.sources) or bool(
            said & {"environment", "dotenv", "command line"}
        )

    def origin(self, key: str) -> Origin:
        """Where a key such as `providers[0].base_url` was said."""
        return self.origins.get(key, DEFAULT)

    def error(self, path: KeyPath, message: str, *, hint: str = "") -> ConfigError:
        """An error about a key that names where it was said, for checks made later.

        Args:
            path: The key, such as `("providers", 0, "base_url")`.
            message: What was expected and what came. Must hold no secret.
            hint: What to do.
        """
        origins = (self.origins.get(key_text(path[:size])) for size in range(len(path), 0, -1))
        return located(next((each for each in origins if each), DEFAULT), path, message, hint)


class Surroundings(Struct, frozen=True):
    """What a configuration is read in."""

    environ: MutableMapping[str, str]
    """Variables; `.env` is read into it."""
    folder: Path
    """The working directory: `modelmux.toml` and `.env` are here."""
    directories: Directories
    probe: Probe
    """Asked for a local Ollama when nothing names a provider."""
    is_root: bool = False


def surroundings(probe: Probe) -> Surroundings:
    """Those of this process."""
    return Surroundings(os.environ, Path.cwd(), directories(), probe, user_id() == 0)


def load(
    types: ProviderTypes,
    around: Surroundings,
    *,
    path: Path | None = None,
    overrides: Sequence[Override] = (),
) -> Loaded:
    """The configuration that counts here.

    Args:
        types: Provider types of the catalogue.
        around: Where to look.
        path: The file of `-c`, read instead of the user's and the project's.
        overrides: What the command line says.

    Raises:
        ConfigError: Something said cannot be read, understood or used; `problems` has one
            error for each mistake, so far as they do not hide one another.
    """
    report = Report()
    from_dotenv = environment.read_dotenv(around.folder, around.environ)
    sources, layers = _files(around, path, report)
    report.raise_errors()
    layers.append(environment.layer(around.environ, from_dotenv))
    layers.append(_command_line(overrides))
    root: Node = Branch({}, DEFAULT)
    for each in layers:
        root = merge(root, canonical(each, config_shape(), report), config_shape())
    if isinstance(root, Branch) and not _names_providers(root):
        root = merge(discover(around.environ, types, around.probe), root, config_shape())
    expansion = Expansion(around.environ, report)
    root = expansion.tree(root)
    if not isinstance(root, Branch):
        raise TypeError("a configuration is a table")
    config = convert(root, around.folder, report)
    report.raise_errors()
    if config is None:
        raise TypeError("a configuration without errors can be converted")
    checked = Checked(config, Place(root, report), types, around.folder, around.is_root)
    for rule in (*SERVER_RULES, *NAME_RULES, *LISTENER_RULES, *ROUTING_RULES):
        rule(checked)
    report.raise_errors()
    unused = environment.warnings(around.environ, expansion.variables)
    leaves = list(_nodes(root, ()))
    return Loaded(
        config=config,
        origins={key_text(at): node.origin for at, node in leaves},
        sources=tuple(sources),
        warnings=(*report.warnings, *unused),
        hidden=frozenset(key_text(at) for at, node in leaves if _is_hidden(node)),
    )


def _files(
    around: Surroundings, path: Path | None, report: Report
) -> tuple[list[Source], list[Branch]]:
    """Every file there may be and the content of those there are. Errors go to the report."""
    places: list[tuple[Layer, Path]] = [("system", around.directories.system_file)]
    if path is not None:
        places.append(("option", path))
    else:
        places.append(("user", around.directories.user_file))
        places.append(("project", around.folder / PROJECT_FILE))
    sources: list[Source] = []
    layers: list[Branch] = []
    for layer, place in places:
        try:
            content = document.read(around.folder / place, layer, _shown(place, around.folder))
        except ConfigError as exc:
            report.errors.append(exc)
            continue
        sources.append(Source(layer, place, found=content is not None))
        if content is not None:
            layers.append(content)
        elif layer == "option":
            hint = "`modelmux config init --output PATH` writes one"
            report.errors.append(ConfigError(f"there is no file {str(place)!r}", hint=hint))
    return sources, layers


def _shown(path: Path, folder: Path) -> str:
    """A path as messages name it: short where it is below the working directory."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _command_line(overrides: Sequence[Override]) -> Branch:
    whole = Origin("command line")
    root: Node = Branch({}, whole)
    for override in overrides:
        origin = Origin("command line", override.option)
        value = override.value
        if isinstance(value, str | int):
            node: Node = Leaf(value, origin)
        else:
            node = Items([Leaf(item, origin) for item in value], origin)
        for step in reversed(override.path):
            node = Branch({step: node}, whole)
        root = merge(root, node, config_shape())
    return root if isinstance(root, Branch) else Branch({}, whole)


def _names_providers(root: Branch) -> bool:
    return "providers" in root.children or "vertex" in root.children


def _is_hidden(node: Node) -> bool:
    return isinstance(node, Leaf) and any(names_credential(name) for name in node.variables)


def _nodes(node: Node, path: KeyPath) -> Iterator[tuple[KeyPath, Node]]:
    """Every node below the root with its path."""
    if path:
        yield path, node
    if isinstance(node, Branch):
        for key, each in node.children.items():
            yield from _nodes(each, (*path, key))
    elif isinstance(node, Items):
        for index, item in enumerate(node.items):
            yield from _nodes(item, (*path, index))
