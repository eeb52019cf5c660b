"""`${VAR}`, `${VAR:-default}` and `$${` in strings, and `file:PATH` for secrets."""

import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from modelmux.config.marks import names_credential
from modelmux.config.origin import FILE_LAYERS, Branch, Items, KeyPath, Leaf, Node
from modelmux.config.problem import Report
from modelmux.errors import ConfigError

_OPEN = re.compile(r"\$?\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NESTED = re.compile(r"\$?\$\{|[{}]")

MAX_SECRET_BYTES = 1024 * 1024
"""A secret file larger than this is not a secret but a mistake."""

FILE_PREFIX = "file:"


class Expanded(Struct, frozen=True):
    text: str
    variables: tuple[str, ...]
    """Names that stood in the text, set or not, in their order."""


def expand(text: str, environ: Mapping[str, str]) -> Expanded:
    """`text` with its variables replaced.

    `${VAR:-default}` is the default when the variable is unset or empty; a default may hold
    variables and balanced braces. `$${` is a literal `${`. A lone `$` is a dollar sign.

    Raises:
        ConfigError: A variable without default is not set, or `${` is not followed by a name
            and `}`. Only names of variables are quoted.
    """
    if "${" not in text:
        return Expanded(text, ())
    out: list[str] = []
    names: list[str] = []
    at = 0
    while match := _OPEN.search(text, at):
        out.append(text[at : match.start()])
        at = match.end()
        if len(match.group()) == 3:  # $${
            out.append("${")
            continue
        value, at = _variable(text, at, environ, names)
        out.append(value)
    out.append(text[at:])
    return Expanded("".join(out), tuple(names))


def _variable(text: str, at: int, environ: Mapping[str, str], names: list[str]) -> tuple[str, int]:
    """The value of the variable whose name begins at `at`, and where the text goes on."""
    match = _NAME.match(text, at)
    if match is None:
        raise _malformed()
    name = match.group()
    names.append(name)
    at = match.end()
    if text.startswith("}", at):
        if name not in environ:
            hint = f"set {name}, or give a default: ${{{name}:-…}}"
            raise ConfigError(f"the variable {name} is not set", hint=hint)
        return environ[name], at + 1
    if not text.startswith(":-", at):
        raise _malformed()
    end = _closing(text, at + 2)
    if environ.get(name):
        return environ[name], end + 1
    fallback = expand(text[at + 2 : end], environ)
    names.extend(fallback.variables)
    return fallback.text, end + 1


def _closing(text: str, at: int) -> int:
    """Where the brace is closed inside which `at` stands."""
    depth = 1
    for match in _NESTED.finditer(text, at):
        depth += -1 if match.group() == "}" else 1
        if depth == 0:
            return match.start()
    raise _malformed()


def _malformed() -> ConfigError:
    # What follows `${` is not quoted: it may be a secret that somebody put in braces.
    return ConfigError(
        "expected ${NAME} or ${NAME:-default}", hint="write $${ for a dollar sign and a brace"
    )


class Expansion:
    """Expands what files say, and remembers which variables stood in it.

    What the environment and the command line say was expanded by a shell.
    """

    def __init__(self, environ: Mapping[str, str], report: Report) -> None:
        self._environ = environ
        self._report = report
        self.variables: set[str] = set()

    def tree(self, node: Node, path: KeyPath = ()) -> Node:
        """The tree with every string expanded; errors go to the report."""
        match node:
            case Branch():
                children = {
                    key: self.tree(each, (*path, key)) for key, each in node.children.items()
                }
                return Branch(children, node.origin)
            case Items():
                items = [self.tree(each, (*path, at)) for at, each in enumerate(node.items)]
                return Items(items, node.origin)
            case Leaf(value=str() as text) if node.origin.layer in FILE_LAYERS:
                return self._leaf(node, text, path)
            case Leaf():
                return node

    def _leaf(self, leaf: Leaf, text: str, path: KeyPath) -> Leaf:
        try:
            expanded = expand(text, self._environ)
        except ConfigError as exc:
            self._report.error(leaf.origin, path, exc.message, exc.hint)
            return Leaf(text, leaf.origin, is_broken=True)
        if not expanded.variables:
            return Leaf(expanded.text, leaf.origin)
        self.variables.update(expanded.variables)
        for name in expanded.variables:
            if names_credential(name):
                self._report.hide(self._environ.get(name, ""))
        return Leaf(expanded.text, leaf.origin, is_text=True, variables=expanded.variables)


def read_secret(text: str, folder: Path) -> str:
    """A secret as it is written, or the content of the file that `file:PATH` names.

    Line ends at the end of the file are not part of the secret.

    Args:
        text: The secret, or `file:PATH`; `~` is the home folder.
        folder: What a relative path is relative to.

    Raises:
        ConfigError: The file cannot be read, or holds nothing.
    """
    if not text.startswith(FILE_PREFIX):
        return text
    path = resolve(text.removeprefix(FILE_PREFIX), folder)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
        secret = content.decode().rstrip("\r\n")
    except OSError as exc:
        hint = "it must exist and be readable for the user that runs modelmux"
        raise ConfigError(
            f"the file {str(path)!r} cannot be read: {exc.strerror}", hint=hint
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"expected text in the file {str(path)!r}, got other bytes") from None
    if not secret:
        raise ConfigError(f"expected a secret in the file {str(path)!r}, which is empty")
    if len(content) > MAX_SECRET_BYTES:
        raise ConfigError(f"expected a secret in the file {str(path)!r}, got more than a megabyte")
    return secret


def resolve(text: str, folder: Path) -> Path:
    """A path of the configuration: `~` is the home folder, else relative to `folder`."""
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # no home folder
        path = Path(text)
    return folder / path
