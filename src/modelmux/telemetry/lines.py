"""What a log line looks like: text for people, JSON for programs.

JSON fields have OpenTelemetry's names where it has one. Its GenAI conventions are in development:
names as of github.com/open-telemetry/semantic-conventions-genai, read 2026-11-20 (until mid-2026
`cache_write` was `cache_creation`).

| Field | Is |
|---|---|
| `time`, `level`, `message` | RFC 3339 in UTC; `trace` to `error`; `call` for a call |
| `gen_ai.operation.name` | `chat`, … |
| `gen_ai.provider.name` | who answered: the configuration's name for it |
| `gen_ai.request.model`, `gen_ai.response.model` | what was asked for; who answered |
| `gen_ai.request.stream` | whether the answer was asked for piece by piece |
| `gen_ai.response.finish_reasons` | one, as the neutral model has it |
| `gen_ai.response.time_to_first_chunk` | seconds, of a streamed answer |
| `gen_ai.usage.input_tokens`, `.output_tokens` | all of the prompt; all of the answer |
| `gen_ai.usage.cache_read.input_tokens`, `.cache_write.input_tokens` | of the prompt |
| `gen_ai.usage.reasoning.output_tokens` | of the answer |
| `http.request.body.size`, `http.response.status_code` | bytes; what the call came to |
| `error.type`, `exception.message`, `exception.stacktrace` | stable code; words |
| `modelmux.*` | what OpenTelemetry has no word for; times in seconds, money in US dollars |

A field that says nothing (0 cached tokens, no error) is left out.
"""

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal, NamedTuple, Protocol

import msgspec
from msgspec import Struct, field

from modelmux.ir.response import FinishReason
from modelmux.target.call import Peer
from modelmux.target.record import CallRecord, Outcome
from modelmux.telemetry.redact import Redactor, printable

Level = Literal["trace", "debug", "info", "warn", "error"]

Field = str | int | float | bool | None
"""What an event can say beside its message."""

MAX_NAMES: Final = 4096
"""Combinations of caller and model kept ready; callers choose names, so there must be an end."""


class Lines(Protocol):
    """One form of log lines. Nothing it returns holds a line end."""

    def call(self, record: CallRecord) -> str:
        """The line of a call. Its `names` are masked; the rest is the caller's to mask."""
        ...

    def event(self, level: Level, at_s: float, message: str, fields: Mapping[str, Field]) -> str:
        """The line of anything else, not masked. `at_s` is Unix time."""
        ...


def level_of(record: CallRecord) -> Level:
    """How loudly a call is told."""
    return "warn" if record.outcome == "error" else "info"


class _Names(NamedTuple):
    """The part of a call's line that many calls share, masked and fit to be printed."""

    caller: str
    model: str
    target: str
    target_model: str
    provider: str


class _NameCache:
    """Names of calls. What is configured or asked again and again is masked once."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._generation = redactor.generation
        self._kept: dict[tuple[str, str, str], _Names] = {}

    def of(self, record: CallRecord) -> _Names:
        key = (record.caller, record.model, record.target)
        names = self._kept.get(key)
        if names is None or self._generation != self._redactor.generation:
            names = self._make(record)
            if self._generation != self._redactor.generation or len(self._kept) >= MAX_NAMES:
                self._generation = self._redactor.generation
                self._kept.clear()
            self._kept[key] = names
        return names

    def _make(self, record: CallRecord) -> _Names:
        texts = (
            record.caller,
            record.model,
            record.target,
            record.target_model,
            record.provider,
        )
        return _Names(*(printable(self._redactor.text(text)) for text in texts))


_MILLISECONDS = tuple(f".{ms:03d}Z" for ms in range(1000))


class _Stamp:
    """Unix time as RFC 3339 in UTC, in milliseconds. Most lines share their second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def of(self, at_s: float) -> str:
        second, ms = divmod(int(at_s * 1000), 1000)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return self._text + _MILLISECONDS[ms]


class TextLines:
    """Lines for people: time, level, id, who asked what of whom, and how it went."""

    def __init__(self, redactor: Redactor) -> None:
        self._names = _NameCache(redactor)
        self._stamp = _Stamp()

    def call(self, record: CallRecord) -> str:
        names = self._names.of(record)
        stamp = self._stamp.of(record.started_at_s + record.duration_s)
        line = (
            f"{stamp} {'warn ' if record.outcome == 'error' else 'info '} {printable(record.id)} "
            f"{names.caller or '-'} {record.wire} {names.model or '-'} -> {names.target or '-'} "
            f"{record.status} x{record.attempts}"
        )
        usage = record.usage
        if usage.input_tokens or usage.output_tokens:
            about = "~" if usage.estimated else ""
            line += f" in={about}{usage.input_tokens} out={about}{usage.output_tokens}"
            if usage.cache_read_input_tokens:
                line += f" cached={usage.cache_read_input_tokens}"
            if usage.cache_creation_input_tokens:
                line += f" cache_write={usage.cache_creation_input_tokens}"
        if record.cost_usd is not None:
            line += f" cost=${record.cost_usd:.6f}"
        if record.cache:
            line += f" cache={record.cache}"
        if record.first_s is not None:
            line += f" first={record.first_s * 1000:.0f}ms"
        line += f" took={record.duration_s:.3f}s"
        if record.outcome != "ok" or record.tags or record.parent_id or record.losses:
            line += _rare(record)
        if record.peer.uid is not None or record.peer.cid is not None:
            line += _peer(record.peer)
        return line

    def event(self, level: Level, at_s: float, message: str, fields: Mapping[str, Field]) -> str:
        told = [f" {name}={_value(value)}" for name, value in fields.items() if value is not None]
        return f"{self._stamp.of(at_s)} {level:<5} {printable(message)}{''.join(told)}"


def _rare(record: CallRecord) -> str:
    """What few lines have."""
    told: list[str] = []
    if record.parent_id:
        told.append(f"parent={printable(record.parent_id)}")
    if record.losses:
        told.append(f"losses={record.losses}")
    if record.tags:
        told.append(f"tags={_value(','.join(_tags(record.tags)))}")
    if record.upstream_id and record.outcome == "error":
        told.append(f"upstream={printable(record.upstream_id)}")
    if record.outcome == "cancelled":
        told.append("the caller left")
    if record.outcome == "error":
        told.append(f"{printable(record.error_code)}: {printable(record.error)}")
    return "".join(f" {item}" for item in told)


def _peer(peer: Peer) -> str:
    """Who came by a socket that tells."""
    told = (("uid", peer.uid), ("pid", peer.pid), ("cid", peer.cid))
    said = "".join(f" {name}={value}" for name, value in told if value is not None)
    return f"{said} at={_value(peer.listener)}" if peer.listener else said


def _tags(tags: Mapping[str, str]) -> list[str]:
    return [f"{name}:{value}" if value else name for name, value in tags.items()]


def _value(value: Field) -> str:
    """A value as one word, or in quotes."""
    text = printable(str(value))
    if text and " " not in text and '"' not in text:
        return text
    return msgspec.json.encode(text).decode()


class _CallLine(Struct, frozen=True, omit_defaults=True, gc=False):
    """A call as JSON: fields with a default are left out where they have it."""

    time: str
    level: Level
    message: str
    id: str = field(name="modelmux.id")
    caller: str = field(name="modelmux.caller")
    wire: str = field(name="modelmux.wire")
    target: str = field(name="modelmux.target")
    attempts: int = field(name="modelmux.attempts")
    outcome: Outcome = field(name="modelmux.outcome")
    duration_s: float = field(name="modelmux.duration_s")
    operation: str = field(name="gen_ai.operation.name")
    provider: str = field(name="gen_ai.provider.name")
    model: str = field(name="gen_ai.request.model")
    target_model: str = field(name="gen_ai.response.model")
    stream: bool = field(name="gen_ai.request.stream")
    input_tokens: int = field(name="gen_ai.usage.input_tokens")
    output_tokens: int = field(name="gen_ai.usage.output_tokens")
    body_bytes: int = field(name="http.request.body.size")
    status: int = field(name="http.response.status_code")
    cache_read: int = field(name="gen_ai.usage.cache_read.input_tokens", default=0)
    cache_write: int = field(name="gen_ai.usage.cache_write.input_tokens", default=0)
    cache_write_1h: int = field(name="modelmux.usage.cache_write_1h.input_tokens", default=0)
    reasoning: int = field(name="gen_ai.usage.reasoning.output_tokens", default=0)
    estimated: bool = field(name="modelmux.usage.estimated", default=False)
    cost_usd: Decimal | None = field(name="modelmux.cost_usd", default=None)
    first_s: float | None = field(name="gen_ai.response.time_to_first_chunk", default=None)
    overhead_s: float | None = field(name="modelmux.overhead_s", default=None)
    reasons: tuple[FinishReason, ...] = field(name="gen_ai.response.finish_reasons", default=())
    upstream_id: str = field(name="modelmux.upstream_id", default="")
    parent_id: str = field(name="modelmux.parent_id", default="")
    composite: bool = field(name="modelmux.composite", default=False)
    losses: int = field(name="modelmux.losses", default=0)
    tags: Mapping[str, str] | None = field(name="modelmux.tags", default=None)
    listener: str = field(name="modelmux.listener", default="")
    uid: int | None = field(name="modelmux.peer.uid", default=None)
    gid: int | None = field(name="modelmux.peer.gid", default=None)
    pid: int | None = field(name="modelmux.peer.pid", default=None)
    cid: int | None = field(name="modelmux.peer.cid", default=None)
    cache: str = field(name="modelmux.cache", default="")
    saved_usd: Decimal | None = field(name="modelmux.saved_usd", default=None)
    error_code: str = field(name="error.type", default="")
    error: str = field(name="exception.message", default="")


class JsonLines:
    """Lines for programs: one JSON object each, as the table above has it."""

    def __init__(self, redactor: Redactor) -> None:
        self._names = _NameCache(redactor)
        self._stamp = _Stamp()
        self._encoder = msgspec.json.Encoder(decimal_format="number")

    def call(self, record: CallRecord) -> str:
        names = self._names.of(record)
        usage, peer = record.usage, record.peer
        # By position, in the order of the fields: so many names cost 1 µs more.
        line = _CallLine(
            self._stamp.of(record.started_at_s + record.duration_s),
            level_of(record),
            "call",
            record.id,
            names.caller,
            record.wire,
            names.target,
            record.attempts,
            record.outcome,
            _microseconds(record.duration_s),
            record.operation,
            names.provider,
            names.model,
            names.target_model,
            record.stream,
            usage.input_tokens,
            usage.output_tokens,
            record.body_bytes,
            record.status,
            usage.cache_read_input_tokens,
            usage.cache_creation_input_tokens,
            usage.cache_creation_1h_input_tokens,
            usage.reasoning_output_tokens,
            usage.estimated,
            record.cost_usd,
            _microseconds(record.first_s) if record.first_s is not None else None,
            _microseconds(record.overhead_s) if record.overhead_s is not None else None,
            (record.reason,) if record.reason is not None else (),
            record.upstream_id,
            record.parent_id,
            record.composite,
            record.losses,
            record.tags or None,
            peer.listener,
            peer.uid,
            peer.gid,
            peer.pid,
            peer.cid,
            record.cache,
            record.saved_usd,
            record.error_code,
            record.error,
        )
        return self._encoder.encode(line).decode()

    def event(self, level: Level, at_s: float, message: str, fields: Mapping[str, Field]) -> str:
        told: dict[str, Field] = {
            "time": self._stamp.of(at_s),
            "level": level,
            "message": message,
        }
        told |= {name: value for name, value in fields.items() if value is not None}
        return self._encoder.encode(told).decode()


def _microseconds(seconds: float) -> float:
    """`seconds` without the digits that no clock of ours has."""
    return int(seconds * 1e6 + 0.5) / 1e6
