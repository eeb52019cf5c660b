"""Isolation by bubblewrap: where the system lets it make namespaces, and not every program.

It makes the namespaces and the view of the file system; the first process inside is ours
(`bwrapped`). What it has not, compared with our own: the home folder is not laid over but replaced
by an empty one, and where low ports cannot be had, names that are looked up are not recorded.

https://github.com/containers/bubblewrap/blob/main/bwrap.xml, read 2026-11-20.
"""

import os
import shutil
import socket
import sys
from collections.abc import Sequence
from typing import Final

from modelmux.isolate import hidden, plan, wire
from modelmux.isolate.failure import Refused
from modelmux.isolate.inside import Program
from modelmux.isolate.view import View

HOME: Final = "/run/home"

_RESOLV: Final = b"nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"


def start(line: socket.socket, program: Program, wanted: plan.Plan) -> int:
    """Start bubblewrap; its process id. Raises `Refused`."""
    found = shutil.which("bwrap")
    if found is None:
        raise Refused("bubblewrap is not installed", hint="install the package `bubblewrap`")
    environ = {**program.environ, "HOME": HOME}
    line.set_inheritable(True)
    view = wanted.view
    resolv = _file(_RESOLV)
    files = [(path, _file(text.encode())) for path, text in _moved(view).items()]
    told = wire.encoded(
        {
            "argv": list(program.argv),
            "environ": environ,
            "terminal": program.terminal,
            "held": [int(each) for each in program.held],
            "front": program.is_front,
        }
    )
    run = _file(told)
    argv = [found, *arguments(view, resolv, files)]
    argv += [sys.executable, "-m", "modelmux.isolate.bwrapped", str(line.fileno()), str(run)]
    pid = os.fork()
    if pid == 0:
        try:
            os.execve(found, argv, {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        finally:
            os._exit(1)
    for fd in (run, resolv, *(fd for _, fd in files)):
        os.close(fd)
    return pid


def arguments(view: View, resolv: int, files: Sequence[tuple[str, int]]) -> list[str]:
    """What bubblewrap is told: everything to be read, the working directory to be written."""
    told = ["--unshare-all", "--die-with-parent", "--as-pid-1", "--cap-drop", "ALL"]
    told += ["--cap-add", "CAP_NET_BIND_SERVICE", "--ro-bind", "/", "/"]
    told += ["--dev", "/dev", "--proc", "/proc", "--ro-bind", "/sys", "/sys"]
    for folder in hidden.FRESH:
        if os.path.isdir(folder) and not os.path.islink(folder):
            told += ["--tmpfs", folder]
    told += ["--dir", HOME]
    for path in dict.fromkeys((sys.base_prefix, sys.prefix, *_code())):
        told += ["--ro-bind", path, path]
    told += ["--ro-bind" if view.read_only else "--bind", view.workdir, view.workdir]
    for path in view.hide:
        told += ["--tmpfs", path] if os.path.isdir(path) else ["--ro-bind", "/dev/null", path]
    for path in view.sockets:
        is_gone = any(hidden.is_below(path, folder) for folder in (*hidden.FRESH, *view.hide))
        if not is_gone and hidden.is_reachable(path, os.geteuid()):
            told += ["--ro-bind", "/dev/null", path]
    if os.path.exists("/etc/resolv.conf"):
        told += ["--ro-bind-data", str(resolv), os.path.realpath("/etc/resolv.conf")]
    for path, fd in files:
        told += ["--dir", os.path.dirname(path), "--file", str(fd), path]
    return [*told, "--chdir", view.workdir, "--"]


def _code() -> list[str]:
    """Folders that our own modules are read from."""
    return [path for path in sys.path if path and os.path.isdir(path)]


def _moved(view: View) -> dict[str, str]:
    """Settings of programs, in the home folder that is there instead."""
    return {HOME + path.removeprefix(view.home): text for path, text in view.files.items()}


def _file(content: bytes) -> int:
    """A descriptor that gives some bytes, for a program that is executed."""
    fd = os.memfd_create("modelmux", 0)
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
