"""The neutral form of reranking: documents put in the order of how well they answer a query."""

from msgspec import Raw, Struct

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import Extra
from modelmux.ir.response import NO_USAGE, Usage


class Document(Struct, frozen=True):
    """A candidate."""

    text: str
    id: str | None = None
    title: str | None = None
    raw: Raw = Raw()
    """The document as it came, where it was not plain text."""


class RerankRequest(Struct, frozen=True):
    model: str
    query: str
    documents: tuple[Document, ...]
    top_n: int | None = None
    """How many of the best are wanted; `None`: all."""
    return_documents: bool | None = None
    max_tokens_per_document: int | None = None
    wire: str = ""
    """Name of the wire it was decoded from."""
    extra: Extra | None = None


class Ranked(Struct, frozen=True):
    """One of the documents."""

    index: int
    """Its place in the request."""
    score: float
    """How well it answers the query: higher is better; what else it means is the model's."""


class RerankResponse(Struct, frozen=True):
    model: str
    results: tuple[Ranked, ...]
    """The best first."""
    usage: Usage = NO_USAGE
    id: str = ""
    search_units: int | None = None
    """What Cohere bills by."""


def joined(answers: list[RerankResponse], request: RerankRequest) -> RerankResponse:
    """The one answer that there is: scores of several could not be compared.

    Raises:
        ProtocolViolation: It ranks a document that was not sent.
    """
    (answer,) = answers
    if any(not 0 <= each.index < len(request.documents) for each in answer.results):
        raise ProtocolViolation("a document is ranked that was not sent")
    return answer
