"""Operations beside chat that have a neutral form, and who has words for them.

A codec is found by the operation and the name of the wire whose API it belongs to.
"""

from collections.abc import Callable, Mapping
from typing import Final, Generic, Protocol, TypeVar

import msgspec
from msgspec import Struct

from modelmux.ir import embeddings as neutral_embeddings
from modelmux.ir import rerank as neutral_rerank
from modelmux.ir.embeddings import EmbeddingsRequest, EmbeddingsResponse
from modelmux.ir.request import Envelope
from modelmux.ir.rerank import RerankRequest, RerankResponse
from modelmux.ir.response import Usage
from modelmux.wire import extra
from modelmux.wire.base import Codec, Operation, Wire
from modelmux.wire.embeddings import bedrock, cohere, gemini, ollama, openai
from modelmux.wire.rerank import cohere as cohere_rerank
from modelmux.wire.rerank import google, jina


class HasUsage(Protocol):
    """An answer that says what it cost."""

    @property
    def usage(self) -> Usage: ...


Q = TypeVar("Q", bound=Struct)
A = TypeVar("A", bound=HasUsage)


class Family(Generic[Q, A]):
    """One operation, in the words of each API that has it."""

    def __init__(
        self,
        codecs: Mapping[str, Codec[Q, A]],
        split: Callable[[Q, int], list[Q]],
        joined: Callable[[list[A], Q], A],
    ) -> None:
        """Gather it.

        Args:
            codecs: By the name of the wire.
            split: One request as several, each with at most so many inputs.
            joined: The answers to those as one; raises `ProtocolViolation`.
        """
        self.codecs = codecs
        self.split = split
        self.joined = joined


def _whole(request: RerankRequest, most: int) -> list[RerankRequest]:
    return [request]  # scores of several requests could not be compared


EMBEDDINGS: Final[Family[EmbeddingsRequest, EmbeddingsResponse]] = Family(
    {
        openai.NAME: openai.OpenAIEmbeddings(),
        gemini.NAME: gemini.GeminiEmbeddings(),
        cohere.NAME: cohere.CohereEmbeddings(),
        ollama.NAME: ollama.OllamaEmbeddings(),
        bedrock.NAME: bedrock.BedrockEmbeddings(),
    },
    neutral_embeddings.split,
    neutral_embeddings.joined,
)

RERANK: Final[Family[RerankRequest, RerankResponse]] = Family(
    {
        jina.NAME: jina.JinaRerank(),
        cohere_rerank.NAME: cohere_rerank.CohereRerank(),
        google.NAME: google.GoogleRerank(),
    },
    _whole,
    neutral_rerank.joined,
)


class _Envelope(Struct):
    model: str
    stream: bool | None = None


_envelope = msgspec.json.Decoder(_Envelope)


def _model_and_stream(body: bytes) -> Envelope:
    try:
        read = _envelope.decode(body)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc) from None
    return Envelope(read.model, bool(read.stream))


def envelope_reader(wire: Wire, operation: Operation) -> Callable[[bytes], Envelope]:
    """What reads the envelope of a body of that API and operation; it raises `InvalidRequest`."""
    match operation:
        case "chat" | "count_tokens":
            return wire.envelope
        case "embeddings":
            return EMBEDDINGS.codecs[wire.name].envelope
        case "rerank":
            return RERANK.codecs[wire.name].envelope
        case _:
            return _model_and_stream
