"""What a sandbox must not see of its user's things: where programs keep credentials and sockets."""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

FRESH: Final = ("/tmp", "/var/tmp", "/run", "/dev/shm")  # noqa: S108 # it is these that are hidden
"""Folders that are empty inside: other programs' sockets and files are there."""

IN_HOME: Final = (
    ".aws",
    ".azure",
    ".cargo/credentials.toml",
    ".config/anthropic",
    ".config/chromium",
    ".config/containers/auth.json",
    ".config/doctl",
    ".config/gcloud",
    ".config/gh",
    ".config/github-copilot",
    ".config/glab-cli",
    ".config/google-chrome",
    ".config/hub",
    ".config/modelmux",
    ".config/op",
    ".config/rclone",
    ".config/sops",
    ".claude/.credentials.json",
    ".codex/auth.json",
    ".databrickscfg",
    ".docker",
    ".electrum",
    ".gem/credentials",
    ".gemini/oauth_creds.json",
    ".git-credentials",
    ".gnupg",
    ".kube",
    ".local/share/keyrings",
    ".local/share/opencode/auth.json",
    ".local/state/modelmux",
    ".mozilla",
    ".netrc",
    ".npmrc",
    ".oci",
    ".password-store",
    ".pgpass",
    ".pypirc",
    ".qwen/oauth_creds.json",
    ".ssh",
    ".terraform.d",
    ".terraformrc",
    ".vault-token",
)
"""Where credentials usually are, below the home folder."""

ELSEWHERE: Final = ("/etc/modelmux",)

MAX_SOCKETS: Final = 4096
"""Most sockets of other programs that are looked for: each is a mount of its own."""


def sockets(table: str, folders: Sequence[str]) -> list[str]:
    """Files of the sockets on which programs of this machine can be reached.

    Args:
        table: `/proc/net/unix`.
        folders: Working directories of the programs, for sockets that were bound by a relative
            name.
    """
    found: dict[str, None] = {}
    for name in _names(table):
        places = (name,) if name.startswith("/") else [os.path.join(each, name) for each in folders]
        for place in places:
            if _is_socket(place):
                found[os.path.realpath(place)] = None
                if len(found) >= MAX_SOCKETS:
                    return list(found)
    return list(found)


def working_directories() -> list[str]:
    """Those of every process that may be looked at."""
    found: dict[str, None] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                found[os.readlink(f"/proc/{entry}/cwd")] = None
            except OSError:
                continue  # it has ended, or is somebody else's
    return list(found)


def has_relative_names(table: str) -> bool:
    """Whether a socket was bound by a name whose folder the table does not tell."""
    return any(not name.startswith("/") for name in _names(table))


def _names(table: str) -> Iterator[str]:
    """Names of sockets that are files; abstract ones are of a network namespace anyway."""
    for line in table.splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and not fields[7].startswith("@"):
            yield fields[7]


def existing(paths: Iterable[str]) -> list[str]:
    """Those that are there, without links in them, each once."""
    return list(dict.fromkeys(os.path.realpath(path) for path in paths if os.path.exists(path)))


def is_below(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def is_reachable(path: str, uid: int) -> bool:
    """Whether a user without privileges gets through all folders down to `path`.

    A folder of a group is taken to be let through: who is in it is not asked.
    """
    names = path.split("/")
    return all(_enters("/".join(names[:at]) or "/", uid) for at in range(1, len(names)))


def _enters(folder: str, uid: int) -> bool:
    try:
        status = os.stat(folder)
    except OSError:
        return False
    return bool(status.st_mode & (0o100 if status.st_uid == uid else 0o011))


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False
