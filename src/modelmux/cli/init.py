"""`modelmux config init`: asks a few questions and writes a configuration that works."""

import os
from collections.abc import Mapping
from pathlib import Path

import click
from msgspec.structs import replace

from modelmux.cli import output as out
from modelmux.cli import parts
from modelmux.cli.failure import FAILURE, OK, CommandFailed, complain
from modelmux.cli.options import json_option, load_config
from modelmux.config.discover import ProviderType
from modelmux.config.paths import directories
from modelmux.config.schema import DEFAULT_PORT
from modelmux.config.template import Answers, ProviderChoice, render
from modelmux.errors import ConfigError

LOG_LEVELS = ("trace", "debug", "info", "warn", "error")
STREAMING_MODES = ("auto", "never", "standard", "buffered", "always")
_PRIVATE = 0o600


@click.command("init")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing: the default for every question.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="Where to write; by default the user's file.",
)
@json_option
def init(*, yes: bool, force: bool, output: Path | None, as_json: bool) -> int:
    """Write a first configuration. A file that is there is kept unless you say otherwise."""
    path = output or directories().user_file
    types = parts.provider_types()
    if path.exists() and not force:
        if yes:
            raise CommandFailed(f"{str(path)!r} is there already", hint="--force writes over it")
        click.confirm(f"{path} is there already. Write over it?", default=False, abort=True)
    found = suggested(types, os.environ)
    answers = Answers(providers=found) if yes else _ask(types, found, path.parent)
    write_private(path, render(answers))
    return _told(path, as_json=as_json)


def suggested(
    types: Mapping[str, ProviderType], environ: Mapping[str, str]
) -> tuple[ProviderChoice, ...]:
    """Providers that would work as they are: their key is in the environment."""
    found: list[ProviderChoice] = []
    for name, row in types.items():
        variables = row.env.get("api_key", ())
        variable = next((each for each in variables if environ.get(each)), "")
        if variable and set(row.env) == {"api_key"}:
            found.append(ProviderChoice(name, f"${{{variable}}}"))
    return tuple(found)


def _ask(
    types: Mapping[str, ProviderType], found: tuple[ProviderChoice, ...], folder: Path
) -> Answers:
    port = click.prompt("Port on 127.0.0.1", default=DEFAULT_PORT, type=click.IntRange(1, 65535))
    level = click.prompt("Log level", default="info", type=click.Choice(LOG_LEVELS))
    answers = Answers(port=port, log_level=level)
    if click.confirm("Try failed calls again?", default=True):
        attempts = click.prompt("How often in all", default=3, type=click.IntRange(1, 10))
        answers = replace(answers, max_retry_attempts=attempts)
    else:
        answers = replace(answers, enable_retries=False)
    answers = replace(answers, providers=_ask_providers(types, found, folder))
    mode = click.prompt("Streaming", default="auto", type=click.Choice(STREAMING_MODES))
    answers = replace(answers, streaming_mode=mode)
    if mode == "buffered":
        size = click.prompt("Bytes held", default=65_536, type=click.IntRange(1024, 10_485_760))
        wait = click.prompt("Longest wait, ms", default=5_000, type=click.IntRange(100, 60_000))
        answers = replace(answers, buffer_size=size, chunk_timeout_ms=wait)
    return answers


def _ask_providers(
    types: Mapping[str, ProviderType], found: tuple[ProviderChoice, ...], folder: Path
) -> tuple[ProviderChoice, ...]:
    """Those found, each if it is wanted, and others by name."""
    chosen = [
        each for each in found if click.confirm(f"Use {each.type} ({each.api_key})?", default=True)
    ]
    offered = sorted(name for name, row in types.items() if _can_ask(row))
    left = [name for name in offered if name not in {each.type for each in found}]
    while left:
        click.echo(f"Providers: {', '.join(left)}")
        name = click.prompt(
            "Another one (Enter: none)",
            default="",
            show_default=False,
            type=click.Choice(["", *left]),
            show_choices=False,
        )
        if not name:
            break
        chosen.append(_ask_provider(name, types[name], folder))
        left.remove(name)
    return tuple(chosen)


def _can_ask(row: ProviderType) -> bool:
    return set(row.env) == {"api_key"} or (row.discover and bool(row.base_url))


def _ask_provider(name: str, row: ProviderType, folder: Path) -> ProviderChoice:
    if not row.needs_key:
        url = click.prompt("Where is it", default=row.base_url)
        return ProviderChoice(name, base_url="" if url == row.base_url else url)
    variable = row.env["api_key"][0]
    key = click.prompt(
        f"Its key (hidden; Enter: later, in {variable})",
        default="",
        hide_input=True,
        show_default=False,
    )
    if not key:
        click.echo(f"  written as a comment: set {variable}, then remove the #")
        return ProviderChoice(name, f"${{{variable}}}", is_comment=True)
    path = folder / f"{name}.key"
    write_private(path, key.strip() + "\n")
    click.echo(f"  the key is in {path}, which only you can read")
    return ProviderChoice(name, f"file:{path.resolve()}")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step.

    Raises:
        CommandFailed: It cannot be written.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        new.replace(path)
    except OSError as exc:
        raise CommandFailed(f"cannot write {str(path)!r}: {exc.strerror}") from None


def _told(path: Path, *, as_json: bool) -> int:
    """Say what was written, and whether it is valid; the exit code."""
    problems: list[str] = []
    try:
        load_config(path)
    except ConfigError as exc:
        problems = [each.message for each in exc.problems]
    if as_json:
        out.echo_json({"path": str(path), "valid": not problems, "problems": problems})
    else:
        click.echo(f"wrote {path}")
        click.echo("`modelmux serve` starts the gateway, `modelmux config edit` changes this file")
        for each in problems:
            complain(each)
    return FAILURE if problems else OK
