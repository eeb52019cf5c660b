"""Mistakes found in a configuration, gathered so that all of them are told at once."""

from collections.abc import Iterable
from difflib import get_close_matches

from modelmux.config.marks import MASK
from modelmux.config.origin import KeyPath, Node, Origin, key_text, node_at
from modelmux.errors import ConfigError

_SHORTEST_SECRET = 8
"""Masking shorter texts would garble messages: `short` is in `shorter`."""


class Report:
    """Gathers errors and warnings about one configuration, each with its place."""

    def __init__(self) -> None:
        self.errors: list[ConfigError] = []
        self.warnings: list[str] = []
        self._secrets: set[str] = set()

    def hide(self, secret: str) -> None:
        """Mask a secret in every message that is added from now on."""
        if len(secret) >= _SHORTEST_SECRET:
            self._secrets.update((secret, repr(secret)[1:-1]))

    def error(self, origin: Origin, path: KeyPath, message: str, hint: str = "") -> None:
        """Add an error."""
        message, hint = self._masked(message), self._masked(hint)
        self.errors.append(located(origin, path, message, hint))

    def warn(self, origin: Origin, path: KeyPath, message: str) -> None:
        """Add a warning."""
        self.warnings.append(located(origin, path, self._masked(message)).message)

    def _masked(self, text: str) -> str:
        # The longest first: one secret may hold another.
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text

    def raise_errors(self) -> None:
        """Raise what was gathered as one error, if there is any.

        Raises:
            ConfigError: Its `problems` are the errors, in the order found, each told once.
        """
        problems = tuple({each.message: each for each in self.errors}.values())
        if len(problems) == 1:
            raise problems[0]
        if problems:
            message = "\n".join(each.message for each in problems)
            raise ConfigError(message, hint=problems[0].hint, problems=problems)


class Place:
    """A report that finds the origin of a key path in a tree by itself."""

    def __init__(self, root: Node, report: Report) -> None:
        self.root = root
        self.report = report

    def error(self, path: KeyPath, message: str, hint: str = "") -> None:
        """Add an error."""
        self.report.error(node_at(self.root, path).origin, path, message, hint)

    def warn(self, path: KeyPath, message: str) -> None:
        """Add a warning."""
        self.report.warn(node_at(self.root, path).origin, path, message)


def located(origin: Origin, path: KeyPath, message: str, hint: str = "") -> ConfigError:
    """An error that names its place: `modelmux.toml:12: providers[0].type: …`."""
    steps = [] if origin.layer == "default" else [str(origin)]
    steps += [key_text(path)] if path else []
    return ConfigError(": ".join([*steps, message]), hint=hint, param=key_text(path) or None)


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that looks most like `word`; empty if none does."""
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=0.6)), "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the nearest known word; empty if none is near."""
    found = nearest(word, known)
    return f"; did you mean {found!r}?" if found else ""
