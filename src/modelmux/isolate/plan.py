"""From options and the machine to what a sandbox is to be. Looks, and changes nothing."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from modelmux.isolate import agents, environment, hidden, kernel, seccomp
from modelmux.isolate.failure import Refused
from modelmux.isolate.inside import PORT
from modelmux.isolate.options import Options
from modelmux.isolate.view import View

BASE_URL = f"http://127.0.0.1:{PORT}"

_NO_WORKDIR = ("/", "/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp")  # noqa: S108 # no file is made


class Plan(NamedTuple):
    """What is run, and what it sees."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    view: View


def check_system() -> None:
    """See that this is a system on which programs can be isolated. Raises `Refused`."""
    if sys.platform != "linux":
        raise Refused(
            f"isolation needs Linux, this is {sys.platform}",
            hint="run it in a Linux virtual machine or container, with `modelmux bridge`",
        )
    if kernel.machine() not in seccomp.MACHINES:
        known = " and ".join(seccomp.MACHINES)
        raise Refused(f"isolation knows the processors {known}, this is {kernel.machine()}")


def make(options: Options, environ: Mapping[str, str]) -> Plan:
    """The plan for one run.

    Raises:
        Refused: It is not possible, or makes no sense.
    """
    home = _home(environ)
    workdir = _workdir(options.workdir)
    told = environment.gateway(BASE_URL, options.model)
    told["OPENCODE_CONFIG_CONTENT"] = agents.opencode(BASE_URL, options.model)
    left = environment.scrubbed(environ)
    inside = {**left, **told, "PWD": workdir}
    is_overlaid = bool(home) and not hidden.is_below(home, workdir)
    files: Mapping[str, str] = {}
    if home and (is_overlaid or options.backend == "bwrap"):
        files = agents.files(home, BASE_URL, options.model, _read)
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    view = View(
        workdir=workdir,
        home=home if is_overlaid or options.backend == "bwrap" else "",
        runtime=os.path.realpath(runtime) if os.path.isabs(runtime) else "",
        hide=_hide(options, home, environ),
        sockets=_sockets(),
        files=files,
        read_only=options.read_only,
        is_root=os.geteuid() == 0,
    )
    return Plan(options.command, inside, view)


def _home(environ: Mapping[str, str]) -> str:
    home = os.path.realpath(environ.get("HOME") or os.path.expanduser("~"))
    return home if os.path.isdir(home) and home != "/" else ""


def _workdir(said: str) -> str:
    try:
        workdir = os.path.realpath(said or os.getcwd())
    except FileNotFoundError:
        raise Refused("the folder we are in is gone", hint="choose one with --workdir") from None
    if not os.path.isdir(workdir):
        raise Refused(f"expected a folder to work in, got {workdir!r}")
    if workdir in _NO_WORKDIR:
        raise Refused(
            f"{workdir!r} cannot be the working directory: all of it would be the program's",
            hint="choose a folder of the project's with --workdir",
        )
    return workdir


def _hide(options: Options, home: str, environ: Mapping[str, str]) -> list[str]:
    for path in options.hide:
        if not os.path.lexists(path):
            raise Refused(f"--hide: there is no {path!r}")
    usual = [os.path.join(home, name) for name in hidden.IN_HOME] if home else []
    usual += hidden.ELSEWHERE
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        if folder := environ.get(name):
            usual.append(os.path.join(folder, "modelmux"))
    return hidden.existing([*usual, *options.hide])


def _sockets() -> list[str]:
    with open("/proc/net/unix", encoding="utf-8", errors="surrogateescape") as file:
        table = file.read()
    folders = hidden.working_directories() if hidden.has_relative_names(table) else []
    return hidden.sockets(table, folders)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(1024 * 1024)
    except (OSError, UnicodeDecodeError):
        return ""
