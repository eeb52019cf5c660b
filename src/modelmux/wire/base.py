"""What a wire is: one API format, as pure functions and small machines. No I/O here."""

from collections.abc import Callable
from typing import Literal, Protocol, TypeVar

from modelmux.ir.events import Event
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Encoded, Envelope, Request
from modelmux.ir.response import Failure, Response, Summary, Usage

Operation = Literal[
    "chat",
    "count_tokens",
    "embeddings",
    "rerank",
    "moderations",
    "images_generations",
    "images_edits",
    "images_variations",
    "audio_speech",
    "audio_transcriptions",
    "audio_translations",
    "files",
    "batches",
    "responses",
]
"""What can be asked. Those behind `rerank` have no neutral form: they pass on the same API only."""


class StreamDecoder(Protocol):
    """Bytes of a response stream in, events out. Any split of the bytes gives the same events.

    After a terminal event it gives no more. What the peer sends against its wire becomes a
    `Fail`, never an exception.
    """

    def feed(self, data: bytes) -> list[Event]: ...

    def finish(self) -> list[Event]:
        """The peer closed the stream. An unfinished stream ends in `Fail`."""
        ...


class StreamEncoder(Protocol):
    """Events in, bytes out; `b""` where the wire has no word for the event."""

    def encode(self, event: Event) -> bytes: ...


class StreamRelay(Protocol):
    """Passes on a stream whose two ends speak the same wire, and looks at it in passing.

    Bytes leave in whole frames, so that whatever is said after them is understood, and as they
    came but for what the caller did not ask for or must not see.
    """

    @property
    def summary(self) -> Summary:
        """What is known so far."""
        ...

    def feed(self, data: bytes) -> bytes:
        """What to pass on for `data`; `b""` while a frame is incomplete."""
        ...

    def finish(self) -> bytes:
        """The upstream closed: what to append.

        `b""` after a finished stream; the wire's error event where it broke off.
        """
        ...

    def fail(self, failure: Failure) -> bytes:
        """The upstream broke: the wire's error event, `b""` where the stream had finished."""
        ...


class Wire(Protocol):
    """One API format. Instances are stateless, shared, and compared by identity."""

    @property
    def name(self) -> str: ...

    @property
    def in_path(self) -> bool:
        """The path of a request says the model and whether to stream, and not the body.

        What reads such a body leaves `model` and `stream` as they are by default; whoever knows
        the path fills them in.
        """
        ...

    @property
    def signs_ids(self) -> bool:
        """It puts the signatures of tool calls in their ids (`ir.signed_ids`), and reads them."""
        ...

    def stream_type(self, envelope: Envelope) -> bytes:
        """The content type of a stream for a caller who asked with `envelope`."""
        ...

    def envelope(self, body: bytes) -> Envelope:
        """The few fields that routing needs. Raises `InvalidRequest`."""
        ...

    def readdress(self, body: bytes, envelope: Envelope, model: str, ask_usage: bool) -> bytes:
        """`body` for the same wire under another model name; the rest stays the caller's bytes.

        Args:
            body: A body of which `envelope` was read.
            envelope: That envelope.
            model: The target's name for the model.
            ask_usage: Make the target report usage in a stream, whatever the caller asked.
        """
        ...

    def decode_request(self, body: bytes, operation: Operation = "chat") -> Request:
        """Raises `InvalidRequest`, naming the field, if `body` is not a request of this wire.

        Args:
            body: What the caller sent.
            operation: What for: a request to count tokens lacks what only an answer needs.
        """
        ...

    def encode_request(self, request: Request, profile: Profile = UNKNOWN) -> Encoded:
        """Never drops in silence: what this wire, or this model, cannot say is in `losses`.

        Raises:
            InvalidRequest: The request contradicts itself in a way the target would refuse.
        """
        ...

    def decode_response(self, body: bytes) -> Response:
        """Raises `ProtocolViolation` if `body` is not an answer of this wire."""
        ...

    def encode_response(self, response: Response, envelope: Envelope) -> bytes: ...

    def encode_token_count(self, input_tokens: int) -> bytes:
        """The answer to a request to count tokens."""
        ...

    def summarise(self, body: bytes) -> Summary:
        """Usage, finish reason and failure of a whole answer. Raises `ProtocolViolation`."""
        ...

    def rename(self, body: bytes, model: str) -> bytes:
        """A whole answer under the name that the caller asked for."""
        ...

    def decode_error(self, status: int, body: bytes) -> Failure:
        """An error answer in neutral words. Never raises: what is not understood is quoted."""
        ...

    def encode_error(self, failure: Failure) -> bytes:
        """The error body that this wire's SDKs parse."""
        ...

    def error_status(self, failure: Failure) -> int:
        """The HTTP status with which this wire says so."""
        ...

    def decoder(self) -> StreamDecoder: ...

    def encoder(self, envelope: Envelope) -> StreamEncoder: ...

    def relay(self, envelope: Envelope, rename: str | None) -> StreamRelay:
        """A relay for a caller who asked with `envelope`.

        Args:
            envelope: What the caller asked for.
            rename: The name to put in place of the target's own, or `None` to leave it.
        """
        ...


Q = TypeVar("Q")
A = TypeVar("A")


class Codec(Protocol[Q, A]):
    """One operation of an API beside chat: pure functions for bodies that come whole.

    Its errors, and its name, are those of the API's `Wire`.
    """

    def envelope(self, body: bytes) -> Envelope:
        """What routing needs of a request. Raises `InvalidRequest`."""
        ...

    def readdress(self, body: bytes, envelope: Envelope, model: str) -> bytes:
        """`body` for the same API under another model name; the rest stays the caller's bytes."""
        ...

    def decode_request(self, body: bytes) -> Q:
        """Raises `InvalidRequest`, naming the field, if `body` is not such a request."""
        ...

    def encode_request(self, request: Q, profile: Profile) -> Encoded:
        """Never drops in silence: what this API, or this model, cannot say is in `losses`.

        Raises:
            InvalidRequest: The request has what the target would refuse.
        """
        ...

    def decode_response(self, body: bytes, headers: Callable[[bytes], bytes | None]) -> A:
        """Raises `ProtocolViolation` if `body` is not such an answer.

        Args:
            body: The answer.
            headers: The value of a header field of the answer, by its lower-case name.
        """
        ...

    def encode_response(self, answer: A, request: Q) -> bytes:
        """The answer for a caller who asked for `request`. Raises `ProtocolViolation`."""
        ...

    def usage(self, body: bytes, headers: Callable[[bytes], bytes | None]) -> Usage | None:
        """What an answer that is passed on says of tokens. Raises `ProtocolViolation`."""
        ...
