"""Options that several commands have, and the configuration they lead to."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from modelmux.config.load import Loaded, Override

F = TypeVar("F", bound=Callable[..., object])


def config_option(command: F) -> F:
    """Add `-c/--config PATH`, as the parameter `config`."""
    return click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="PATH",
        help="Read PATH instead of the user's and the project's file.",
    )(command)


def json_option(command: F) -> F:
    """Add `--json`, as the parameter `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def control_option(command: F) -> F:
    """Add `--control PATH`, as the parameter `control`."""
    return click.option(
        "--control",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="The gateway's control socket, where several run.",
    )(command)


def load_config(path: Path | None = None, overrides: "Sequence[Override]" = ()) -> "Loaded":
    """The configuration that counts here.

    Raises:
        ConfigError: It cannot be used.
    """
    from modelmux.cli import parts
    from modelmux.config.load import load, surroundings

    return load(parts.provider_types(), surroundings(listens), path=path, overrides=overrides)


class Loading:
    """Reads the configuration that counts here, as often as it is asked to.

    Each time in the environment with which the process was started: what a `.env` file said
    before does not hide what it says now.
    """

    def __init__(self, path: Path | None, overrides: "Sequence[Override]") -> None:
        """Read what these options say."""
        self._path = path
        self._overrides = overrides
        self.environ = dict(os.environ)
        self._from_dotenv: set[str] = set()

    def __call__(self) -> "Loaded":
        """The configuration of this moment. Raises `ConfigError`."""
        from msgspec.structs import replace

        from modelmux.cli import parts
        from modelmux.config.load import load, surroundings

        environ = dict(self.environ)
        around = replace(surroundings(listens), environ=environ)
        loaded = load(parts.provider_types(), around, path=self._path, overrides=self._overrides)
        # Libraries look there, too.
        for name in self._from_dotenv - environ.keys():
            os.environ.pop(name, None)
        self._from_dotenv = environ.keys() - self.environ.keys()
        os.environ.update({name: environ[name] for name in self._from_dotenv})
        return loaded


def load_quietly(path: Path | None = None) -> "Loaded":
    """The configuration for a gateway in this process, whose log is not what was asked for.

    Raises:
        ConfigError: It cannot be used.
    """
    from modelmux.config.load import Override

    return load_config(path, [Override(("server", "log_level"), "warn", "of the command")])


def listens(host: str, port: int) -> bool:
    """Whether something accepts connections there, asked quickly."""
    from modelmux.config import library

    return library.listens(host, port)
