"""A filter of system calls: what a namespace of its own does not close.

- Sockets of families that no network namespace has, such as vsock, on which a virtual machine
  reaches its host, and of those that nobody needs: only AF_UNIX, AF_INET, AF_INET6, AF_NETLINK.
- `io_uring`, which opens sockets without the call that is filtered.
- Typing on the terminal in the user's name (`TIOCSTI`, `TIOCLINUX`).
- Keyrings, which are the user's and not the namespace's; files by handle.
- System calls of another architecture and of x32, which have other numbers.
"""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_ABOVE: Final = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K

ALLOW: Final = 0x7FFF_0000
KILL: Final = 0x8000_0000
_ERROR: Final = 0x0005_0000
EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97

_NUMBER, _ARCH, _ARGUMENT_0, _ARGUMENT_1 = 0, 4, 16, 24
"""Offsets in `struct seccomp_data`; of an argument its low half, on a little-endian machine. The
kernel reads no more of a socket's family or an ioctl's request."""

FAMILIES: Final = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK."""

_TIOCSTI: Final = 0x5412
_TIOCLINUX: Final = 0x541C

_IO_URING: Final = (425, 426, 427)
_X32: Final = 0x4000_0000


class _Machine(NamedTuple):
    arch: int
    """`AUDIT_ARCH_…`."""
    socket: int
    socketpair: int
    ioctl: int
    keyring: tuple[int, ...]
    """`add_key`, `request_key`, `keyctl`."""
    by_handle: int
    """`open_by_handle_at`."""
    has_x32: bool


MACHINES: Final = {
    "x86_64": _Machine(0xC000_003E, 41, 53, 16, (248, 249, 250), 304, has_x32=True),
    "aarch64": _Machine(0xC000_00B7, 198, 199, 29, (217, 218, 219), 265, has_x32=False),
}
"""By what `uname -m` says."""

Code = tuple[int, int, int, int]
"""Operation, how many instructions to skip if it holds and if it does not, operand."""


def program(machine: str) -> bytes:
    """The filter for a processor. Raises `KeyError` for one that we do not know."""
    here = MACHINES[machine]
    code: list[Code] = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, here.arch),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if here.has_x32:
        code += [(_ABOVE, 0, 1, _X32), (_RETURN, 0, 0, _ERROR | ENOSYS)]
    for number in (*_IO_URING, *here.keyring):
        code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERROR | ENOSYS)]
    code += [(_EQUAL, 0, 1, here.by_handle), (_RETURN, 0, 0, _ERROR | EPERM)]
    forbidden = [(_EQUAL, 0, 1, _TIOCSTI), (_RETURN, 0, 0, _ERROR | EPERM)]
    forbidden += [(_EQUAL, 0, 1, _TIOCLINUX), (_RETURN, 0, 0, _ERROR | EPERM)]
    code += _when(here.ioctl, [(_LOAD, 0, 0, _ARGUMENT_1), *forbidden, (_RETURN, 0, 0, ALLOW)])
    for number in (here.socket, here.socketpair):
        code += _when(number, _families())
    code.append((_RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("<HBBI", *each) for each in code)


def _families() -> list[Code]:
    code: list[Code] = [(_LOAD, 0, 0, _ARGUMENT_0)]
    for at, family in enumerate(FAMILIES):
        code.append((_EQUAL, len(FAMILIES) - at, 0, family))
    return [*code, (_RETURN, 0, 0, _ERROR | EAFNOSUPPORT), (_RETURN, 0, 0, ALLOW)]


def _when(number: int, then: Sequence[Code]) -> list[Code]:
    """`then`, which ends in returns, if the system call is this one."""
    return [(_EQUAL, 0, len(then), number), *then]
