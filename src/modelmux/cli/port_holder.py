"""Which process listens on a TCP port, as far as this user may know (Linux)."""

from collections.abc import Iterator
from pathlib import Path

_LISTEN = "0A"
"""State of a listening socket in `/proc/net/tcp`. proc_net_tcp.txt of the Linux kernel."""


def holder(port: int, proc: Path = Path("/proc")) -> str:
    """The process that listens on a port, as `NAME (pid N)`; empty if that cannot be told."""
    inodes = {
        inode for table in ("tcp", "tcp6") for inode in _listening(proc / "net" / table, port)
    }
    for process in sorted(proc.glob("[0-9]*")):
        if any(f"socket:[{inode}]" in set(_links(process / "fd")) for inode in inodes):
            return f"{_name(process)} (pid {process.name})"
    return ""


def _listening(table: Path, port: int) -> Iterator[str]:
    """Inodes of the sockets that listen on a port."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == _LISTEN:
            yield fields[9]


def _links(folder: Path) -> Iterator[str]:
    """What the open files of a process are; nothing of another user's."""
    try:
        for link in folder.iterdir():
            yield str(link.readlink())
    except OSError:
        return


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a process"
