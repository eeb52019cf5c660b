"""What `modelmux isolate` is told, and a parser for the usual case that costs no time.

The command itself is `modelmux.cli.isolate`, which knows help and mistakes. Its library takes
longer to be imported than all of isolation, so that a command line without either is taken apart
here.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

Backend = Literal["userns", "bwrap", "docker"]
BACKENDS: Final[tuple[Backend, ...]] = ("userns", "bwrap", "docker")

WITH_VALUE: Final[Mapping[str, str]] = {
    "--model": "model",
    "--allow-model": "allow_models",
    "--budget-calls": "budget_calls",
    "--key": "key",
    "--tags": "tags",
    "--workdir": "workdir",
    "--hide": "hide",
    "--backend": "backend",
    "--image": "image",
    "--log": "log",
    "--control": "control",
    "-c": "config",
    "--config": "config",
}
SWITCHES: Final[Mapping[str, str]] = {"--read-only": "read_only", "--quiet": "quiet"}
REPEATED: Final = frozenset({"allow_models", "hide"})


class Options(NamedTuple):
    """One run."""

    command: Sequence[str]
    model: str = ""
    allow_models: Sequence[str] = ()
    budget_calls: int | None = None
    key: str = ""
    tags: str = ""
    """`a,b` or `k=v,l=w`."""
    workdir: str = ""
    """Empty: where we are."""
    read_only: bool = False
    hide: Sequence[str] = ()
    backend: Backend = "userns"
    image: str = ""
    log: str = ""
    control: str = ""
    config: str = ""
    quiet: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        """What may be asked for; empty: everything."""
        if not self.allow_models:
            return ()
        return tuple(dict.fromkeys([*([self.model] if self.model else []), *self.allow_models]))

    @property
    def labels(self) -> dict[str, str]:
        """The tags, by name."""
        pairs = [each.strip().partition("=") for each in self.tags.split(",") if each.strip()]
        return {name.strip(): value.strip() for name, _, value in pairs}


def parse(arguments: Sequence[str]) -> Options | None:
    """The options of a command line that has `--`; `None` if there is anything else to it."""
    found: dict[str, object] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return _options(rest, found) if rest else None
        name, has_value, value = word.partition("=")
        if word in SWITCHES:
            found[SWITCHES[word]] = True
            continue
        if name not in WITH_VALUE or not (has_value or rest):
            return None
        key = WITH_VALUE[name]
        said = value if has_value else rest.pop(0)
        if key in REPEATED:
            before = found.get(key, ())
            assert isinstance(before, tuple)  # noqa: S101 # as below
            found[key] = (*before, said)
        else:
            found[key] = said
    return None


def _options(command: Sequence[str], found: Mapping[str, object]) -> Options | None:
    budget, backend = found.get("budget_calls"), found.get("backend", "userns")
    if backend not in BACKENDS:
        return None
    options = Options(tuple(command))._replace(**found)  # type: ignore[arg-type] # by its fields' names
    if budget is None:
        return options
    text = str(budget)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        return None
    return options._replace(budget_calls=int(text))
