"""What a sandbox sees of the file system.

Everything is there to be read, but for what `hidden` names; nothing is there to be written but the
working directory. The home folder can be written too, and what is written there is gone at the end:
it is laid over the real one. `/tmp`, `/run` and the like are empty.

Programs inside have no capability, so they can undo none of this; in a user namespace of their own
they get copies of these mounts that cannot be taken apart.
"""

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from modelmux.isolate import hidden, kernel
from modelmux.isolate.failure import Refused

_SCRATCH = "/run/.modelmux"
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_OF_ROOT = ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi")
"""Below `/proc`: what root may write there is the whole machine's."""
_UNREADABLE_OF_ROOT = ("kcore", "keys", "timer_list", "sched_debug")


class View(NamedTuple):
    """What is to be seen."""

    workdir: str
    """Without links."""
    home: str
    """Without links; empty: none that could be laid over."""
    runtime: str
    """`$XDG_RUNTIME_DIR`; empty: none."""
    hide: Sequence[str]
    """Files and folders, without links."""
    sockets: Sequence[str]
    """Files of other programs' sockets."""
    files: Mapping[str, str]
    """What is written below the home folder, by path: settings of programs."""
    read_only: bool
    is_root: bool


def build(view: View) -> None:
    """Make this process see `view`, in a mount namespace of its own.

    Raises:
        Refused: The system does not let us.
    """
    try:
        _build(view)
    except OSError as exc:
        raise Refused(
            f"the view of the file system cannot be made: {exc.strerror or exc}",
            hint="Linux 5.12 or newer is needed, with /proc as the system mounts it; "
            "in a container, `--backend bwrap` or more privileges may help",
        ) from None


def _build(view: View) -> None:
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    workdir = kernel.clone_tree(view.workdir)
    home = kernel.clone_tree(view.home, recursive=False) if view.home else -1
    devices = [(name, kernel.clone_tree(f"/dev/{name}", recursive=False)) for name in _DEVICES]
    null = [kernel.clone_tree("/dev/null", recursive=False) for _ in range(_nulls(view))]
    take_null = null.pop
    kernel.restrict_mounts("/", kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NODEV)
    for folder in hidden.FRESH:
        if os.path.isdir(folder) and not os.path.islink(folder) and folder != "/dev/shm":  # noqa: S108
            _tmpfs(folder, "1777")
    _dev(devices)
    _proc(is_root=view.is_root, take_null=take_null)
    _sys()
    if view.home:
        _home(view.home, home)
    _runtime(view.runtime)
    _attach(workdir, view)
    for path in view.hide:
        _hide(path, take_null)
    for path in view.sockets:
        _mask(path, take_null)
    _write(view)
    _resolver()
    for fd in null:
        os.close(fd)


def _nulls(view: View) -> int:
    """How many times `/dev/null` may be put in front of something."""
    return len(view.hide) + len(view.sockets) + len(_UNREADABLE_OF_ROOT)


def _tmpfs(path: str, mode: str, *, read_only: bool = False) -> None:
    kernel.mount("tmpfs", path, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"mode={mode}")
    if read_only:
        kernel.restrict_mounts(path, kernel.MOUNT_ATTR_RDONLY, recursive=False)


def _dev(devices: Sequence[tuple[str, int]]) -> None:
    """Devices that belong to nobody, a terminal's folder of our own, and memory to share."""
    _tmpfs("/dev", "755")
    for name, fd in devices:
        path = f"/dev/{name}"
        with open(path, "w", encoding="ascii"):
            pass
        kernel.attach_tree(fd, path)
        os.close(fd)
    for name in ("pts", "shm"):
        os.mkdir(f"/dev/{name}", 0o755)
    options = "newinstance,ptmxmode=0666,mode=0620"
    kernel.mount("devpts", "/dev/pts", "devpts", kernel.MS_NOSUID | kernel.MS_NOEXEC, options)
    _tmpfs("/dev/shm", "1777")  # noqa: S108 # our own
    links = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0"}
    links |= {"stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
    for name, target in links.items():
        os.symlink(target, f"/dev/{name}")


def _proc(*, is_root: bool, take_null: Callable[[], int]) -> None:
    """The processes of our own namespace. What root could change there for all is held."""
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("proc", "/proc", "proc", flags)
    if not is_root:
        return
    for name in _OF_ROOT:
        path = f"/proc/{name}"
        if os.path.exists(path):
            kernel.mount(path, path, "", kernel.MS_BIND | kernel.MS_REC)
            kernel.restrict_mounts(path, kernel.MOUNT_ATTR_RDONLY)
    for name in _UNREADABLE_OF_ROOT:
        _mask(f"/proc/{name}", take_null)


def _sys() -> None:
    """The network's part of it is our namespace's; where that cannot be had, nothing."""
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC | kernel.MS_RDONLY
    try:
        kernel.mount("sysfs", "/sys", "sysfs", flags)
    except OSError:
        _tmpfs("/sys", "555", read_only=True)


def _home(home: str, tree: int) -> None:
    """Lay a folder that is gone at the end over the home folder."""
    mode = stat.S_IMODE(os.fstat(tree).st_mode)
    os.makedirs(home, 0o755, exist_ok=True)  # it may have been in a folder that is empty now
    os.makedirs(_SCRATCH, 0o700)
    _tmpfs(_SCRATCH, "700")
    lower, upper, work = (f"{_SCRATCH}/{name}" for name in ("lower", "upper", "work"))
    for folder in (lower, upper, work):
        os.mkdir(folder, mode)
        os.chmod(folder, mode)
    kernel.attach_tree(tree, lower)
    os.close(tree)
    options = f"lowerdir={lower},upperdir={upper},workdir={work},userxattr"
    kernel.mount("overlay", home, "overlay", kernel.MS_NOSUID | kernel.MS_NODEV, options)
    kernel.unmount(_SCRATCH)
    os.rmdir(_SCRATCH)


def _runtime(path: str) -> None:
    """An empty `$XDG_RUNTIME_DIR`: in one of the folders that are empty, or in front of what is."""
    if not path:
        return
    if any(hidden.is_below(path, folder) for folder in hidden.FRESH):
        os.makedirs(path, 0o700, exist_ok=True)
    elif os.path.isdir(path):
        _tmpfs(path, "700")


def _attach(tree: int, view: View) -> None:
    """Put the working directory where it was, as it is to be."""
    with suppress(FileExistsError):
        os.makedirs(view.workdir)
    kernel.attach_tree(tree, view.workdir)
    os.close(tree)
    attributes = kernel.MOUNT_ATTR_NODEV
    if view.read_only:
        attributes |= kernel.MOUNT_ATTR_RDONLY
    kernel.restrict_mounts(view.workdir, attributes)


def _hide(path: str, take_null: Callable[[], int]) -> None:
    """Leave nothing of a file, or in a folder."""
    try:
        is_folder = stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return  # hidden already
    if is_folder:
        _tmpfs(path, "700", read_only=True)
        return
    _mask(path, take_null)


def _mask(path: str, take_null: Callable[[], int]) -> None:
    """Put a device that holds nothing in front of a file."""
    if not os.path.lexists(path):
        return
    fd = take_null()
    try:
        kernel.attach_tree(fd, path)
    finally:
        os.close(fd)


def _write(view: View) -> None:
    for path, text in view.files.items():
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def _resolver() -> None:
    """Have names looked up where nobody knows any."""
    where = os.path.realpath("/etc/resolv.conf")
    text = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
    if not os.path.exists(where):
        with suppress(OSError):  # no such file: the resolver asks 127.0.0.1 by itself
            os.makedirs(os.path.dirname(where), exist_ok=True)
            with open(where, "w", encoding="ascii") as file:
                file.write(text)
        return
    source = "/run/.resolv.conf"
    with open(source, "w", encoding="ascii") as file:
        file.write(text)
    kernel.mount(source, where, "", kernel.MS_BIND)
    os.unlink(source)
