"""The control socket: how the commands of the same user ask a running gateway to do things."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct

from modelmux.errors import InvalidRequest
from modelmux.ingress.http import JSON, Answer, HttpRequest, text

DEFAULT_LINES = 50
MAX_LINES = 1000
"""What is kept of the log in memory."""

PLAIN = b"text/plain; charset=utf-8"

_DIGITS = re.compile(r"[0-9]{1,9}")


class ProviderStatus(Struct, frozen=True):
    name: str
    keys_usable: int
    keys_total: int


class WorkerStatus(Struct, frozen=True):
    pid: int
    in_flight: int
    requests_total: int
    restarts: int
    """How often another process has taken its place."""


class TargetStatus(Struct, frozen=True):
    """How one target fares."""

    name: str
    state: str
    """Of its breaker: closed, open, half_open."""
    next_try_in_s: float
    """How long it is left alone; 0: it is not."""
    error_rate: float
    in_flight: int
    latency_ms: float
    """Until a stream's first event, else until a whole answer; 0: not known."""


class Status(Struct, frozen=True):
    """What `modelmux status` shows."""

    pid: int
    version: str
    started_at: str
    """RFC 3339, UTC."""
    loaded_at: str
    """When the configuration in force was put in force."""
    reload_failure: str
    """Why the last reload changed nothing; empty if it did."""
    listen: Sequence[str]
    config_sources: Sequence[str]
    in_flight: int
    requests_total: int
    failures_total: int
    draining: bool
    providers: Sequence[ProviderStatus]
    workers: Sequence[WorkerStatus] = ()
    """Where there are several; the process itself then serves nobody."""
    targets: Sequence[TargetStatus] = ()
    """Those that were asked, whoever is in trouble first."""


class Problem(Struct, frozen=True):
    """A mistake in a configuration."""

    message: str
    hint: str = ""


class Reloaded(Struct, frozen=True):
    """What came of a reload."""

    reloaded: bool
    changes: Sequence[str] = ()
    """What is not as it was, in names."""
    notes: Sequence[str] = ()
    """What counts only later, or is unwise."""
    problems: Sequence[Problem] = ()
    """Why nothing has changed."""


class Upgraded(Struct, frozen=True):
    """What came of an upgrade."""

    upgraded: bool
    pid: int = 0
    """Of the process that has taken over."""
    problems: Sequence[Problem] = ()
    """Why none has."""


class Actions(Struct, frozen=True):
    """What can be done with a gateway."""

    stop: Callable[[bool], None]
    """Ends it; at once if told so."""
    reload: Callable[[str], Awaitable[Reloaded]]
    """Reloads the configuration; is told who asked."""
    upgrade: Callable[[], Awaitable[Upgraded]]
    """Goes on as a new process."""


class Log(Struct, frozen=True):
    """The log's end, and what comes after it."""

    recent: Callable[[int], Sequence[str]]
    follow: Callable[[], AsyncIterator[str]]


class Control:
    """The endpoints below `/control`. Who may open the socket may do all of it."""

    def __init__(self, status: Callable[[], Status], log: Log, actions: Actions) -> None:
        """Open them.

        Args:
            status: The gateway's state of this moment.
            log: Its log.
            actions: What can be done with it.
        """
        self._status = status
        self._log = log
        self._actions = actions

    async def status(self, _request: HttpRequest) -> Answer:
        """`GET /control/status`."""
        return Answer(200, [(b"content-type", JSON)], msgspec.json.encode(self._status()))

    async def stop(self, request: HttpRequest) -> Answer:
        """`POST /control/stop`, with `now=1` to drop answers under way."""
        self._actions.stop(_argument(request, "now") == "1")
        return Answer(202, [(b"content-type", JSON)], b'{"stopping":true}')

    async def reload(self, _request: HttpRequest) -> Answer:
        """`POST /control/reload`: 422 if nothing has changed, because something is wrong."""
        reloaded = await self._actions.reload("modelmux reload")
        status = 200 if reloaded.reloaded else 422
        return Answer(status, [(b"content-type", JSON)], msgspec.json.encode(reloaded))

    async def upgrade(self, _request: HttpRequest) -> Answer:
        """`POST /control/upgrade`: 422 if this process goes on."""
        upgraded = await self._actions.upgrade()
        status = 200 if upgraded.upgraded else 422
        return Answer(status, [(b"content-type", JSON)], msgspec.json.encode(upgraded))

    async def logs(self, request: HttpRequest) -> Answer:
        """`GET /control/logs`, with `lines=N`, and `follow=1` for what is still to come."""
        recent = "".join(f"{line}\n" for line in self._log.recent(lines_asked(request)))
        if not wants_to_follow(request):
            return text(recent)
        return Answer(200, [(b"content-type", PLAIN)], _followed(recent, self._log.follow()))


def lines_asked(request: HttpRequest) -> int:
    """How many lines of the log are asked for. Raises `InvalidRequest`."""
    lines = _argument(request, "lines") or str(DEFAULT_LINES)
    if not _DIGITS.fullmatch(lines) or int(lines) > MAX_LINES:
        raise InvalidRequest(
            f"expected a number of at most {MAX_LINES}, got {lines!r}", param="lines"
        )
    return int(lines)


def wants_to_follow(request: HttpRequest) -> bool:
    """Whether what comes after them is, too."""
    return _argument(request, "follow") == "1"


async def _followed(recent: str, lines: AsyncIterator[str]) -> AsyncGenerator[bytes]:
    if recent:
        yield recent.encode()
    async for line in lines:
        yield f"{line}\n".encode()


def _argument(request: HttpRequest, name: str) -> str:
    values = parse_qs(request.query.decode("latin-1")).get(name, [""])
    return values[0]
