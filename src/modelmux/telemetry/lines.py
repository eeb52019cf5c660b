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
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from modelmux.target.record import CallRecord
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
            line += f" cost=${float(record.cost_usd):.6f}"
        if record.first_s is not None:
            line += f" first={record.first_s * 1000:.0f}ms"
        line += f" took={record.duration_s:.3f}s"
        if record.outcome != "ok" or record.tags or record.parent_id or record.losses:
            line += _rare(record)
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


def _tags(tags: Mapping[str, str]) -> list[str]:
    return [f"{name}:{value}" if value else name for name, value in tags.items()]


def _value(value: Field) -> str:
    """A value as one word, or in quotes."""
    text = printable(str(value))
    if text and " " not in text and '"' not in text:
        return text
    return msgspec.json.encode(text).decode()


class JsonLines:
    """Lines for programs: one JSON object each, as the table above has it."""

    def __init__(self, redactor: Redactor) -> None:
        self._names = _NameCache(redactor)
        self._stamp = _Stamp()
        self._encoder = msgspec.json.Encoder(decimal_format="number")

    def call(self, record: CallRecord) -> str:
        names = self._names.of(record)
        fields: dict[str, object] = {
            "time": self._stamp.of(record.started_at_s + record.duration_s),
            "level": level_of(record),
            "message": "call",
            "modelmux.id": record.id,
            "modelmux.caller": names.caller,
            "modelmux.wire": record.wire,
            "modelmux.target": names.target,
            "modelmux.attempts": record.attempts,
            "modelmux.outcome": record.outcome,
            "modelmux.duration_s": round(record.duration_s, 6),
            "gen_ai.operation.name": record.operation,
            "gen_ai.provider.name": names.provider,
            "gen_ai.request.model": names.model,
            "gen_ai.response.model": names.target_model,
            "gen_ai.request.stream": record.stream,
            "gen_ai.usage.input_tokens": record.usage.input_tokens,
            "gen_ai.usage.output_tokens": record.usage.output_tokens,
            "http.request.body.size": record.body_bytes,
            "http.response.status_code": record.status,
        }
        _tell_more(fields, record)
        return self._encoder.encode(fields).decode()

    def event(self, level: Level, at_s: float, message: str, fields: Mapping[str, Field]) -> str:
        told: dict[str, Field] = {
            "time": self._stamp.of(at_s),
            "level": level,
            "message": message,
        }
        told |= {name: value for name, value in fields.items() if value is not None}
        return self._encoder.encode(told).decode()


def _tell_more(fields: dict[str, object], record: CallRecord) -> None:
    """Add what is left out where it says nothing."""
    usage = record.usage
    optional: tuple[tuple[str, object], ...] = (
        ("modelmux.parent_id", record.parent_id),
        ("modelmux.composite", record.composite),
        ("modelmux.upstream_id", record.upstream_id),
        ("modelmux.losses", record.losses),
        ("modelmux.tags", record.tags),
        ("modelmux.usage.estimated", usage.estimated),
        ("gen_ai.usage.cache_read.input_tokens", usage.cache_read_input_tokens),
        ("gen_ai.usage.cache_write.input_tokens", usage.cache_creation_input_tokens),
        ("modelmux.usage.cache_write_1h.input_tokens", usage.cache_creation_1h_input_tokens),
        ("gen_ai.usage.reasoning.output_tokens", usage.reasoning_output_tokens),
        ("error.type", record.error_code),
        ("exception.message", record.error),
    )
    fields |= {name: value for name, value in optional if value}
    if record.cost_usd is not None:
        fields["modelmux.cost_usd"] = record.cost_usd
    if record.first_s is not None:
        fields["gen_ai.response.time_to_first_chunk"] = round(record.first_s, 6)
    if record.overhead_s is not None:
        fields["modelmux.overhead_s"] = round(record.overhead_s, 6)
    if record.reason is not None:
        fields["gen_ai.response.finish_reasons"] = (record.reason,)
