"""Where modelmux keeps its files: the XDG folders, on Linux and macOS alike."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import platformdirs
from msgspec import Struct
from platformdirs.unix import Unix

from modelmux.errors import ConfigError

APP = "modelmux"
PROJECT_FILE = "modelmux.toml"
_FILE = "config.toml"
_CONTROL = "control-{pid}.sock"
_SANDBOX = "sandbox-{pid}.sock"


class Directories(Struct, frozen=True):
    """Folders of one user. None of them need exist."""

    system_config: Path
    config: Path
    state: Path
    """Logs, keys and databases."""
    runtime: Path
    """Sockets of running gateways."""

    @property
    def system_file(self) -> Path:
        """Configuration of everybody on this machine."""
        return self.system_config / _FILE

    @property
    def user_file(self) -> Path:
        """Configuration of this user."""
        return self.config / _FILE

    def control_socket(self, pid: int) -> Path:
        """Where the gateway of a process is controlled."""
        return self.runtime / _CONTROL.format(pid=pid)

    def sandbox_socket(self, pid: int) -> Path:
        """Where the gateway of a process takes the sockets of sandboxes."""
        return self.runtime / _SANDBOX.format(pid=pid)

    def control_sockets(self) -> list[Path]:
        """Every control socket there is, those of gateways that died included."""
        return sorted(self.runtime.glob(_CONTROL.format(pid="*")))


def user_id() -> int:
    """Who runs this, as files' owners are numbered."""
    return 0 if sys.platform == "win32" else os.geteuid()


def directories(environ: Mapping[str, str] = os.environ) -> Directories:
    """The folders of whoever runs this.

    Runtime is `$XDG_RUNTIME_DIR/modelmux`, or `run` in the state folder where that variable is
    not set or names a folder that is not ours (a root shell that kept a user's environment).
    """
    if sys.platform == "win32":
        native = platformdirs.PlatformDirs(APP, appauthor=False)
        state = native.user_state_path
        return Directories(native.site_config_path, native.user_config_path, state, state / "run")
    xdg = Unix(APP)
    return Directories(
        system_config=Path("/etc") / APP,
        config=xdg.user_config_path,
        state=xdg.user_state_path,
        runtime=_runtime(environ.get("XDG_RUNTIME_DIR", ""), xdg.user_state_path),
    )


def _runtime(folder: str, state: Path) -> Path:
    try:
        is_ours = Path(folder).is_absolute() and Path(folder).stat().st_uid == user_id()
    except OSError:
        is_ours = False
    return Path(folder) / APP if is_ours else state / "run"


def private_directory(path: Path) -> None:
    """Make a folder that nobody else can enter, or see that the one there is so.

    Raises:
        ConfigError: It cannot be made, or another user owns it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = path.stat()
        if status.st_uid != user_id():
            hint = "set XDG_RUNTIME_DIR to a folder of your own"
            raise ConfigError(f"the folder {str(path)!r} belongs to another user", hint=hint)
        if status.st_mode & 0o077:
            path.chmod(0o700)
    except OSError as exc:
        message = f"the folder {str(path)!r} cannot be made: {exc.strerror}"
        raise ConfigError(message) from None
