"""The recorded bodies below `tests/goldens/<wire>/<case>/`."""

from functools import cache
from pathlib import Path

import msgspec

from modelmux.ir.request import Envelope
from modelmux.wire.base import Wire
from modelmux.wire.framing import eventstream
from modelmux.wire.registry import BY_NAME

ROOT = Path(__file__).parents[1] / "goldens"


class Golden(msgspec.Struct, frozen=True):
    wire_name: str
    case: str
    path: Path

    @property
    def wire(self) -> Wire:
        return BY_NAME[self.wire_name]

    @property
    def is_binary(self) -> bool:
        """The stream is of frames, which are kept as lines of a name and a payload each."""
        return self.wire.stream_type(Envelope("")) is eventstream.MEDIA_TYPE

    def read(self) -> bytes:
        data = self.path.read_bytes()
        if self.path.name == "stream.txt" and self.is_binary:
            return b"".join(map(_frame, data.decode().splitlines()))
        return data

    def envelope(self) -> Envelope:
        """What the case's request asked for; a plain stream where the case has no request."""
        request = self.path.with_name("request.json")
        if request.exists():
            return self.wire.envelope(request.read_bytes())
        return Envelope("", stream=True)

    def __str__(self) -> str:
        return f"{self.wire_name}/{self.case}"


def _frame(line: str) -> bytes:
    name, _, payload = line.partition(" ")
    if name.startswith("!"):
        return eventstream.exception(name[1:], payload.encode())
    return eventstream.event(name, payload.encode())


@cache
def goldens(file: str) -> list[Golden]:
    """Every golden of one kind: `request.json`, `response.json` or `stream.txt`."""
    found = sorted(ROOT.glob(f"*/*/{file}"))
    return [Golden(path.parts[-3], path.parts[-2], path) for path in found]


def normal(body: bytes) -> object:
    """The JSON value of a body, without explicit nulls."""
    return _without_nulls(msgspec.json.decode(body))


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value
