"""Sockets that the system opened for us before it started us: systemd's socket activation.

https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html, read 2026-11-20.
"""

from collections.abc import Mapping

FIRST_FD = 3
"""`SD_LISTEN_FDS_START`."""

MAX_FDS = 1024
"""More than anybody passes; the number comes from the environment."""


def descriptors(environ: Mapping[str, str], pid: int) -> list[tuple[str, int]]:
    """Name and number of each descriptor that was passed to the process `pid`, in order.

    Descriptors that the environment says were passed to another process, from which it was
    inherited, are none of ours.
    """
    if environ.get("LISTEN_PID") != str(pid):
        return []
    count = environ.get("LISTEN_FDS", "")
    if not (count.isascii() and count.isdigit()) or int(count[:8]) > MAX_FDS:
        return []
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    fds = range(FIRST_FD, FIRST_FD + int(count))
    return [(names[at] if at < len(names) else "", fd) for at, fd in enumerate(fds)]
