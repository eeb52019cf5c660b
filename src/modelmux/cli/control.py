"""Running gateways, reached through their control sockets."""

import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import httpx2
import msgspec
from msgspec import Struct

from modelmux.cli.failure import CommandFailed, Misused
from modelmux.config.paths import Directories, directories

TIMEOUT_S = 5.0
"""For an answer of a gateway on the same machine."""

RELOAD_TIMEOUT_S = 60.0
"""For one that reads and builds a configuration: a second for ten thousand models."""

UPGRADE_TIMEOUT_S = 90.0
"""For a new process to serve, or not to: the gateway waits for a minute."""

_NO_GATEWAY = "`modelmux serve` starts one"


class ProviderStatus(Struct, frozen=True):
    name: str
    keys_usable: int
    keys_total: int


class WorkerStatus(Struct, frozen=True):
    pid: int
    in_flight: int
    requests_total: int
    restarts: int


class TargetStatus(Struct, frozen=True):
    name: str
    state: str
    next_try_in_s: float
    error_rate: float
    in_flight: int
    latency_ms: float


class Status(Struct, frozen=True):
    """What a gateway says of itself at `GET /control/status`."""

    pid: int
    version: str
    started_at: datetime
    loaded_at: datetime
    reload_failure: str
    listen: tuple[str, ...]
    config_sources: tuple[str, ...]
    in_flight: int
    requests_total: int
    failures_total: int
    draining: bool
    providers: tuple[ProviderStatus, ...]
    workers: tuple[WorkerStatus, ...] = ()
    targets: tuple[TargetStatus, ...] = ()


class Problem(Struct, frozen=True):
    message: str
    hint: str = ""


class Reloaded(Struct, frozen=True):
    """What a gateway says came of a reload."""

    reloaded: bool
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


class Upgraded(Struct, frozen=True):
    """What a gateway says came of an upgrade."""

    upgraded: bool
    pid: int = 0
    problems: tuple[Problem, ...] = ()


class Gone(CommandFailed):
    """Nobody listens on the socket."""


class Gateway:
    """A gateway that runs, or did: only asking it tells."""

    def __init__(self, path: Path) -> None:
        self.socket = path

    def status(self) -> Status:
        """What it is doing. Raises `Gone` if nobody is there, else `CommandFailed`."""
        with self._client() as client, _failures(self.socket):
            return msgspec.json.decode(_content(client.get("/control/status")), type=Status)

    def stop(self, *, now: bool) -> None:
        """Tell it to stop, and with `now` to drop calls under way. Raises as `status`."""
        with self._client() as client, _failures(self.socket):
            _content(client.post("/control/stop", params={"now": "1"} if now else {}))

    def reload(self) -> Reloaded:
        """Have it reload its configuration. Raises as `status`."""
        with self._client(RELOAD_TIMEOUT_S) as client, _failures(self.socket):
            answer = client.post("/control/reload")
            told = answer.content if answer.status_code == 422 else _content(answer)
            return msgspec.json.decode(told, type=Reloaded)

    def upgrade(self) -> Upgraded:
        """Have it go on as a new process. Raises as `status`."""
        with self._client(UPGRADE_TIMEOUT_S) as client, _failures(self.socket):
            answer = client.post("/control/upgrade")
            told = answer.content if answer.status_code == 422 else _content(answer)
            return msgspec.json.decode(told, type=Upgraded)

    def models(self) -> list[str]:
        """Names of the models it offers. Raises as `status`."""
        with self._client() as client, _failures(self.socket):
            listing = msgspec.json.decode(_content(client.get("/v1/models")), type=_Models)
        return [model.id for model in listing.data]

    def logs(self, lines: int, *, follow: bool) -> Iterator[bytes]:
        """The end of its log, and with `follow` what comes after it. Raises as `status`."""
        params = {"lines": str(lines), **({"follow": "1"} if follow else {})}
        return self._stream("GET", "/control/logs", params=params)

    def chat(self, model: str, prompt: str) -> Iterator[bytes]:
        """The bytes of a streamed OpenAI chat completion. Raises as `status`."""
        messages = [{"role": "user", "content": prompt}]
        body = msgspec.json.encode({"model": model, "messages": messages, "stream": True})
        return self._stream("POST", "/v1/chat/completions", content=body)

    def _stream(
        self, method: str, path: str, *, params: dict[str, str] | None = None, content: bytes = b""
    ) -> Generator[bytes]:
        """The body as it comes; nothing but its beginning is waited for in limited time."""
        headers = {"accept": "text/event-stream, text/plain"}
        if content:
            headers["content-type"] = "application/json"
        with (
            _failures(self.socket),
            self._client() as client,
            client.stream(
                method,
                path,
                params=params,
                content=content or None,
                headers=headers,
                timeout=httpx2.Timeout(TIMEOUT_S, read=None),
            ) as answer,
        ):
            if answer.is_error:
                answer.read()
                _content(answer)
            yield from answer.iter_bytes()

    def _client(self, timeout_s: float = TIMEOUT_S) -> httpx2.Client:
        _look(self.socket)
        transport = httpx2.HTTPTransport(uds=str(self.socket), trust_env=False)
        return httpx2.Client(
            transport=transport, base_url="http://modelmux", timeout=timeout_s, trust_env=False
        )


class _Model(Struct, frozen=True):
    id: str


class _Models(Struct, frozen=True):
    data: tuple[_Model, ...]


class _Detail(Struct, frozen=True):
    message: str = ""


class _Error(Struct, frozen=True):
    error: _Detail


def _look(path: Path) -> None:
    """See that somebody listens, so that the client's own failure to connect is an exception."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(TIMEOUT_S)
            line.connect(str(path))
    except (ConnectionRefusedError, FileNotFoundError):
        raise Gone(f"no gateway listens on {str(path)!r}", hint=_NO_GATEWAY) from None
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise CommandFailed(f"the socket {str(path)!r} cannot be opened: {reason}") from None


def _content(answer: httpx2.Response) -> bytes:
    if answer.is_success:
        return answer.content
    try:
        message = msgspec.json.decode(answer.content, type=_Error).error.message
    except msgspec.DecodeError:
        message = answer.text[:200]
    raise CommandFailed(f"the gateway answered {answer.status_code}: {message}")


@contextmanager
def _failures(path: Path) -> Generator[None]:
    """Failures to talk to a gateway as what commands raise."""
    try:
        yield
    except httpx2.ConnectError:
        raise Gone(f"no gateway listens on {str(path)!r}", hint=_NO_GATEWAY) from None
    except httpx2.TimeoutException:
        hint = "it may be overloaded; `modelmux stop --now` asks it once more"
        raise CommandFailed(f"the gateway at {str(path)!r} does not answer", hint=hint) from None
    except httpx2.HTTPError as exc:
        raise CommandFailed(f"the gateway at {str(path)!r} broke off: {exc}") from None
    except msgspec.DecodeError as exc:
        message = f"the gateway at {str(path)!r} gave an answer that was not expected: {exc}"
        raise CommandFailed(message, hint="is it another version of modelmux?") from None


def running(where: Directories | None = None) -> list[tuple[Gateway, Status]]:
    """Every gateway of this user that answers. Sockets nobody listens on are removed."""
    found: list[tuple[Gateway, Status]] = []
    for path in (where or directories()).control_sockets():
        gateway = Gateway(path)
        try:
            found.append((gateway, gateway.status()))
        except Gone:
            path.unlink(missing_ok=True)
    return found


def find(chosen: Path | None = None, where: Directories | None = None) -> Gateway:
    """The gateway at `chosen`, or the one that runs.

    Raises:
        CommandFailed: None runs.
        Misused: Several run, and none was chosen.
    """
    if chosen is not None:
        return Gateway(chosen)
    found = running(where)
    # One that others have taken over from, or that stops, is meant only if there is no other.
    found = [each for each in found if not each[1].draining] or found
    if not found:
        raise CommandFailed("no gateway is running", hint=_NO_GATEWAY)
    if len(found) > 1:
        some = "; ".join(
            f"--control {gateway.socket} (pid {status.pid})" for gateway, status in found
        )
        raise Misused(f"{len(found)} gateways are running", hint=f"choose one: {some}")
    return found[0][0]
