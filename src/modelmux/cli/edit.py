"""`modelmux config edit`: the configuration in an editor, checked afterwards."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import click

from modelmux.cli.failure import CommandFailed
from modelmux.cli.init import write_private
from modelmux.cli.options import config_option
from modelmux.cli.validate import validate
from modelmux.config.paths import directories
from modelmux.config.template import Answers, render

EDITORS = ("nano", "vim", "vi")
"""What is tried when no variable names an editor."""


@click.command("edit")
@config_option
def edit(config: Path | None) -> int:
    """Open the user's file (or that of -c) in $EDITOR or $VISUAL, and check it afterwards."""
    path = config or directories().user_file
    if not path.exists():
        write_private(path, render(Answers()))
        click.echo(f"wrote {path}", err=True)
    arguments = [*editor(os.environ), str(path)]
    try:
        code = subprocess.run(arguments, check=False).returncode  # noqa: S603  # the user's own
    except OSError as exc:
        raise CommandFailed(f"cannot run {arguments[0]!r}: {exc.strerror}") from None
    if code:
        raise CommandFailed(f"{arguments[0]!r} ended with exit code {code}")
    return validate(config, as_json=False)


def editor(environ: Mapping[str, str]) -> list[str]:
    """The command of the user's editor.

    Raises:
        CommandFailed: There is none.
    """
    for name in ("EDITOR", "VISUAL"):
        if words := shlex.split(environ.get(name, "")):
            return words
    for program in EDITORS:
        if found := shutil.which(program, path=environ.get("PATH")):
            return [found]
    raise CommandFailed("there is no editor", hint="set EDITOR to one, such as EDITOR=vim")
