"""System calls that Python's standard library has not, or not in every version that we support.

Linux on x86-64 and aarch64. Numbers of system calls from 424 on are the same on both:
https://docs.kernel.org/process/adding-syscalls.html, read 2026-11-20.
"""

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from typing import Final

CLONE_NEWNS: Final = 0x0002_0000
CLONE_NEWCGROUP: Final = 0x0200_0000
CLONE_NEWUTS: Final = 0x0400_0000
CLONE_NEWIPC: Final = 0x0800_0000
CLONE_NEWUSER: Final = 0x1000_0000
CLONE_NEWPID: Final = 0x2000_0000
CLONE_NEWNET: Final = 0x4000_0000

MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_REMOUNT: Final = 0x20
MS_BIND: Final = 0x1000
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 0x4_0000
MNT_DETACH: Final = 0x2

_OPEN_TREE: Final = 428
_MOVE_MOUNT: Final = 429
_MOUNT_SETATTR: Final = 442

_AT_FDCWD: Final = -100
_AT_RECURSIVE: Final = 0x8000
_OPEN_TREE_CLONE: Final = 0x1
_OPEN_TREE_CLOEXEC: Final = os.O_CLOEXEC if hasattr(os, "O_CLOEXEC") else 0
_MOVE_MOUNT_F_EMPTY_PATH: Final = 0x4
MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_NOSUID: Final = 0x2
MOUNT_ATTR_NODEV: Final = 0x4

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_SECCOMP: Final = 22
_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_SECCOMP_MODE_FILTER: Final = 2
_CAPABILITY_VERSION: Final = 0x2008_0522
_CAPSET: Final = {"x86_64": 126, "aarch64": 91}

_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 0x1

_libc = ctypes.CDLL(None, use_errno=True)


def machine() -> str:
    """The processor, as the kernel calls it."""
    return os.uname().machine


def unshare(flags: int) -> None:
    """Move this process to namespaces of its own. Raises `OSError`."""
    _checked(_c("unshare")(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Mount a file system, or change a mount. Raises `OSError`."""
    done = _c("mount")(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        os.fsencode(options) or None,
    )
    _checked(done, f"mount {target}")


def unmount(target: str) -> None:
    """Take a mount out of sight. Raises `OSError`."""
    _checked(_c("umount2")(os.fsencode(target), ctypes.c_int(MNT_DETACH)), f"umount {target}")


def clone_tree(path: str, *, recursive: bool = True) -> int:
    """A copy of the mounts at `path` that is nowhere yet; its descriptor. Raises `OSError`."""
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | (_AT_RECURSIVE if recursive else 0)
    fd = _syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(path), flags)
    return _checked(fd, f"open_tree {path}")


def attach_tree(fd: int, path: str) -> None:
    """Put what `clone_tree` gave at `path`. Raises `OSError`."""
    done = _syscall(_MOVE_MOUNT, fd, b"", _AT_FDCWD, os.fsencode(path), _MOVE_MOUNT_F_EMPTY_PATH)
    _checked(done, f"move_mount {path}")


def restrict_mounts(path: str, attributes: int, *, recursive: bool = True) -> None:
    """Give every mount at and below `path` attributes as well. Raises `OSError`."""
    wanted = struct.pack("QQQQ", attributes, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    done = _syscall(_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(path), flags, wanted, len(wanted))
    _checked(done, f"mount_setattr {path}")


def die_with_parent(number: int) -> None:
    """Have the kernel send this process a signal when its parent dies."""
    _prctl(_PR_SET_PDEATHSIG, number)


def hide_memory() -> None:
    """Keep processes of the same user from looking into this one."""
    _prctl(_PR_SET_DUMPABLE, 0)


def forgo_privileges() -> None:
    """Drop every capability for good: no program that is executed gains any."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    capability = 0
    while _c("prctl")(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1  # up to the last that this kernel knows
    header = struct.pack("Ii", _CAPABILITY_VERSION, 0)
    _checked(_syscall(_CAPSET[machine()], header, bytes(24)), "capset")


def restrict_calls(program: bytes) -> None:
    """Pass every system call from now on through a filter. Raises `OSError`.

    Args:
        program: Instructions for the kernel's filter machine, 8 bytes each.
    """
    code = ctypes.create_string_buffer(program, len(program))
    wanted = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    buffer = ctypes.create_string_buffer(wanted, len(wanted))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(buffer))


def raise_loopback() -> None:
    """Switch the loopback interface of this network namespace on. Raises `OSError`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        asked = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack("16xH14x", fcntl.ioctl(line, _SIOCGIFFLAGS, asked))
        fcntl.ioctl(line, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def _c(name: str) -> Callable[..., int]:
    function: Callable[..., int] = getattr(_libc, name)
    return function


def _prctl(option: int, *arguments: int) -> None:
    rest = [ctypes.c_ulong(each) for each in (*arguments, 0, 0, 0, 0)[:4]]
    _checked(_c("prctl")(ctypes.c_int(option), *rest), f"prctl {option}")


def _syscall(number: int, *arguments: int | bytes) -> int:
    given = [each if isinstance(each, bytes) else ctypes.c_long(each) for each in arguments]
    return _c("syscall")(ctypes.c_long(number), *given)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result
