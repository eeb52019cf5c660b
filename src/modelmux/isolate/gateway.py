"""The gateway that a sandbox is handed over to: one that runs, or one that is started for it."""

import os
import socket
from collections.abc import Sequence
from typing import Final, Protocol, Self

from modelmux.isolate import wire
from modelmux.isolate.failure import Refused

ANSWER_S: Final = 10.0
"""Longest wait for the answer of a gateway on the same machine."""

_PREFIX, _SUFFIX = "sandbox-", ".sock"


def runtime_folder() -> str:
    """Where gateways of this user have their sockets: `modelmux.config.paths` says it too."""
    folder = os.environ.get("XDG_RUNTIME_DIR", "")
    try:
        if os.path.isabs(folder) and os.stat(folder).st_uid == os.geteuid():
            return os.path.join(folder, "modelmux")
    except OSError:
        pass
    state = os.environ.get("XDG_STATE_HOME", "").strip()
    state = state or os.path.expanduser("~/.local/state")
    return os.path.join(state, "modelmux", "run")


class Companion(Protocol):
    """A gateway that was started for one run."""

    def stop(self) -> None: ...


class Line:
    """A connection to a gateway over which a sandbox is handed over. Close it."""

    def __init__(self, sock: socket.socket, companion: Companion | None = None) -> None:
        self.socket = sock
        self.lines = wire.Lines(sock)
        self.companion = companion

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def hand_over(self, request: wire.Message, fd: int) -> None:
        """Have a listening socket served. Raises `Refused`."""
        try:
            socket.send_fds(self.socket, [wire.encoded(request)], [fd])
            self.socket.settimeout(ANSWER_S)
            answer = b""
            while not answer.endswith(b"\n"):
                data = self.socket.recv(wire.READ_BYTES)
                if not data:
                    raise Refused("the gateway ended before it took the sandbox")
                answer += data
            self.socket.settimeout(None)
            first, _, rest = answer.partition(b"\n")
            reply = wire.decoded(first)
            list(self.lines.feed(rest))
        except TimeoutError:
            raise Refused("the gateway does not answer", hint="is it overloaded?") from None
        except (OSError, ValueError) as exc:
            raise Refused(f"the gateway cannot be talked to: {exc}") from None
        if not reply.get("ok"):
            message = wire.text_of(reply, "error") or "no reason was told"
            raise Refused(f"the gateway refuses: {message}", hint=wire.text_of(reply, "hint"))

    def close(self) -> None:
        """Leave; a gateway of our own ends."""
        self.socket.close()
        if self.companion is not None:
            self.companion.stop()


def connect(control: str, config: str) -> Line:
    """A connection to the gateway that runs, or to one that is started.

    Args:
        control: Path of its control socket; empty: the one that runs.
        config: A configuration; if it is said, a gateway is started with it.

    Raises:
        Refused: There is none, and none can be started; or several run.
    """
    if control:
        folder, name = os.path.split(control)
        path = os.path.join(folder, name.replace("control-", _PREFIX, 1))
        sock = dial(path)
        if sock is None:
            raise Refused(f"no gateway listens on {control!r}", hint="`modelmux status` lists them")
        return Line(sock)
    if config:
        return _started(config)
    found = _running(runtime_folder())
    if not found:
        return _started(config)
    if len(found) > 1:
        for _, sock in found:
            sock.close()
        names = " or ".join(
            f"--control {os.path.join(os.path.dirname(path), name)}"
            for path, name in (
                (path, os.path.basename(path).replace(_PREFIX, "control-", 1)) for path, _ in found
            )
        )
        raise Refused(f"{len(found)} gateways are running", hint=f"choose one: {names}")
    return Line(found[0][1])


def _running(folder: str) -> list[tuple[str, socket.socket]]:
    """Every gateway of this user that takes sandboxes, connected."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    found: list[tuple[str, socket.socket]] = []
    for name in names:
        if name.startswith(_PREFIX) and name.endswith(_SUFFIX):
            path = os.path.join(folder, name)
            if (sock := dial(path)) is not None:
                found.append((path, sock))
    return found


def dial(path: str) -> socket.socket | None:
    """A connection to whoever listens on a unix socket; `None` if nobody does."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        return None
    return sock


def _started(config: str) -> Line:
    # It takes time to be imported, which most runs need not spend.
    from modelmux.isolate.companion import Started  # noqa: PLC0415

    companion = Started(runtime_folder(), config)
    try:
        return Line(companion.connect(dial), companion)
    except BaseException:
        companion.stop()
        raise


def request(name: str, key: str, models: Sequence[str], tags: wire.Message) -> dict[str, object]:
    """What a sandbox is to be, for `hand_over`."""
    return {"name": name, "key": key, "models": list(models), "tags": dict(tags)}
