"""Streams that a provider wraps in frames of its own, taken out of them.

Amazon sends the events of another API's stream in frames of its event stream, each as
`{"bytes": …}` in Base64. What comes out is that API's stream of server-sent events, so that
whoever speaks it is passed the same as from its own provider.
"""

import binascii
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from msgspec import Struct

from modelmux.errors import Interrupted, ProtocolViolation, TargetError
from modelmux.target.failures import error_of
from modelmux.wire.base import Wire
from modelmux.wire.bedrock_converse import errors
from modelmux.wire.framing import eventstream, sse

_EVENT: Final = "chunk"


class _Chunk(Struct):
    bytes: str = ""


class _Typed(Struct):
    type: str = ""


_chunk = msgspec.json.Decoder(_Chunk)
_typed = msgspec.json.Decoder(_Typed)
_MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, binascii.Error)


class Machine:
    """Frames in, server-sent events out. No I/O."""

    def __init__(self) -> None:
        self._frames = eventstream.Decoder()
        self._failure: TargetError | None = None

    def feed(self, data: bytes) -> bytes:
        """What `data` completes. A failure in it is raised by the next call of any method."""
        self._raise()
        out: list[bytes] = []
        try:
            for frame in self._frames.feed(data):
                out.append(_event(frame))  # noqa: PERF401 - what came before a failure counts
        except TargetError as exc:
            self._failure = exc
        else:
            self._failure = self._frames.failure
        return b"".join(out)

    def finish(self) -> None:
        """The stream has ended.

        Raises:
            TargetError: A frame said that the answer failed.
            ProtocolViolation: A frame was damaged, or held something else.
            Interrupted: It ended inside a frame.
        """
        self._raise()
        if self._frames.is_inside:
            raise Interrupted("the stream ended inside a frame")

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure


def _event(frame: eventstream.Frame) -> bytes:
    if frame.kind != "event":
        raise error_of(errors.of_frame(frame))
    if frame.name != _EVENT:  # `initial-response` and what may come later says nothing
        return b""
    try:
        data = b64decode(_chunk.decode(frame.payload).bytes, validate=True)
        name = _typed.decode(data).type
    except _MALFORMED as exc:
        raise ProtocolViolation("a frame of the stream does not hold an event") from exc
    if b"\n" in data or b"\r" in data:
        data = msgspec.json.format(data, indent=-1)
    return sse.encode(data, name)


class Unwrapped:
    """The pieces of a stream, out of their frames. Not for use by two tasks at once."""

    def __init__(self, pieces: AsyncIterator[bytes], wire: Wire) -> None:
        self._pieces = pieces
        self._machine = Machine()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes. Raises `TargetError`: the stream failed, or broke its framing."""
        while True:
            try:
                piece = await anext(self._pieces)
            except StopAsyncIteration:
                self._machine.finish()
                raise
            if out := self._machine.feed(piece):
                return out
