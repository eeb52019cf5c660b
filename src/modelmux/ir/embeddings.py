"""The neutral form of embeddings: the second operation that every API has in its own words."""

import math
import sys
from array import array
from base64 import b64decode, b64encode
from typing import Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from modelmux.errors import InvalidRequest, ProtocolViolation
from modelmux.ir.parts import Blob, Extra, Text, Uri
from modelmux.ir.response import NO_USAGE, Usage

Purpose: TypeAlias = Literal[
    "document",
    "query",
    "classification",
    "clustering",
    "similarity",
    "question_answering",
    "fact_verification",
    "code_query",
    "image",
]
"""What vectors are compared with later. Some models make other vectors for other purposes."""

Truncation = Literal["none", "start", "end"]
"""Which end of a text that is too long for the model is cut off; `none`: it is an error."""

Encoding = Literal["float", "base64"]

_numbers = msgspec.json.Decoder(list[float])
_FLOAT_BYTES = 4
_BYTES_PER_TOKEN = 4  # about: English prose, in the vocabularies of 2023 and later


class TokenIds(Struct, frozen=True):
    """A text that the caller has cut into tokens itself, which only the model's maker can read."""

    ids: Raw
    """JSON array of integers."""


Piece = Text | Blob | Uri
Input = tuple[Piece, ...] | TokenIds
"""What one vector is made of: mostly one text."""


class EmbeddingsRequest(Struct, frozen=True):
    model: str
    inputs: tuple[Input, ...]
    """In the order in which the vectors are wanted."""
    encoding: Encoding = "float"
    """How the caller wants to read vectors."""
    dimensions: int | None = None
    purpose: Purpose | None = None
    spelling: str = ""
    """The caller's own word where its wire has several; only that wire reads it."""
    titles: tuple[str | None, ...] = ()
    """Titles of the texts, as many as there are inputs; empty: none has one."""
    truncate: Truncation | None = None
    user: str | None = None
    bare: bool = False
    """The input was one, and not a list of one."""
    wire: str = ""
    """Name of the wire it was decoded from."""
    extra: Extra | None = None


class Vector(Struct, frozen=True):
    """One embedding in the form in which it came; another form is made when asked for."""

    numbers: Raw = Raw()
    """JSON array, if it came as one."""
    packed: bytes = b""
    """32-bit floats, the lowest byte first, if it came in Base64."""

    def as_json(self) -> Raw:
        """A JSON array of numbers. Raises `ProtocolViolation` if some are none."""
        if self.numbers:
            return self.numbers
        values = array("f", self.packed)
        if sys.byteorder == "big":
            values.byteswap()
        if not all(map(math.isfinite, values)):
            raise ProtocolViolation("a vector has numbers that are not finite")
        return Raw(msgspec.json.encode(values.tolist()))

    def as_base64(self) -> str:
        """The numbers as 32-bit floats, lowest byte first, in Base64.

        Raises:
            ProtocolViolation: It came as something else than an array of such numbers.
        """
        if not self.numbers:
            return b64encode(self.packed).decode()
        try:
            values = array("f", _numbers.decode(self.numbers))
        except (msgspec.DecodeError, OverflowError) as exc:
            raise ProtocolViolation(f"expected a vector of numbers: {exc}") from None
        if sys.byteorder == "big":
            values.byteswap()
        return b64encode(values.tobytes()).decode()


def unpacked(text: str) -> Vector:
    """The vector that `text` holds in Base64. Raises `ProtocolViolation`."""
    try:
        packed = b64decode(text, validate=True)
    except ValueError:
        raise ProtocolViolation("expected a vector in Base64") from None
    if len(packed) % _FLOAT_BYTES:
        raise ProtocolViolation(f"expected 32-bit numbers, got {len(packed)} bytes of them")
    return Vector(packed=packed)


class EmbeddingsResponse(Struct, frozen=True):
    model: str
    """The name the target gave; empty where its API does not."""
    vectors: tuple[Vector, ...]
    usage: Usage = NO_USAGE
    id: str = ""


def split(request: EmbeddingsRequest, most: int) -> list[EmbeddingsRequest]:
    """`request` as several of at most `most` inputs each, in order; 0: no limit."""
    if not most or len(request.inputs) <= most:
        return [request]
    starts = range(0, len(request.inputs), most)
    return [
        replace(
            request,
            inputs=request.inputs[at : at + most],
            titles=request.titles[at : at + most],
        )
        for at in starts
    ]


def joined(answers: list[EmbeddingsResponse], request: EmbeddingsRequest) -> EmbeddingsResponse:
    """The answers to what `request` was split into, as one.

    Raises:
        ProtocolViolation: There are more vectors or fewer than texts.
    """
    vectors = tuple(vector for each in answers for vector in each.vectors)
    if len(vectors) != len(request.inputs):
        raise ProtocolViolation(f"expected {len(request.inputs)} vectors, got {len(vectors)}")
    if any(each.usage is NO_USAGE for each in answers):
        usage = Usage(input_tokens=_text_bytes(request) // _BYTES_PER_TOKEN, estimated=True)
    else:
        usage = Usage(input_tokens=sum(each.usage.input_tokens for each in answers))
    return EmbeddingsResponse(answers[0].model, vectors, usage, answers[0].id)


def _text_bytes(request: EmbeddingsRequest) -> int:
    return sum(
        len(piece.text.encode())
        for each in request.inputs
        if not isinstance(each, TokenIds)
        for piece in each
        if isinstance(piece, Text)
    )


def text_of(input_: Input, path: str, wire: str) -> str:
    """The one text that an input is, for APIs that take no other.

    Raises:
        InvalidRequest: It has token ids, or media.
    """
    if isinstance(input_, TokenIds):
        raise InvalidRequest(
            f"{path}: {wire} takes texts and no token ids, which only the model that made them "
            "could read; send the text",
            param=path,
        )
    texts = [piece.text for piece in input_ if isinstance(piece, Text)]
    if len(texts) != len(input_):
        raise InvalidRequest(f"{path}: {wire} takes texts only here, got media", param=path)
    return "".join(texts)
