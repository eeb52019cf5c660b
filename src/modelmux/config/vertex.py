"""What `[vertex]` needs to be whole, and the names it gives to models."""

import re
from collections.abc import Iterator

from modelmux.config.origin import KeyPath
from modelmux.config.schema import Vertex, VertexModel

NAME = "vertex"
"""Name and type of the provider that `[vertex]` stands for."""

_VERB = re.compile(r":(rawPredict|streamRawPredict|generateContent|streamGenerateContent.*)$")


def is_used(vertex: Vertex) -> bool:
    """Whether the configuration says anything of Vertex."""
    return bool(
        vertex.project
        or vertex.region
        or vertex.location
        or vertex.model
        or vertex.url
        or vertex.models
    )


def names(vertex: Vertex) -> Iterator[tuple[KeyPath, str]]:
    """Every name a caller may ask for, with the table that gives it.

    The model of `[vertex]` itself is called what Google calls it, up to `@`.
    """
    model = vertex.model or _VERB.sub("", vertex.url.strip()).rpartition("/")[2]
    if model:
        yield ("vertex",), model.partition("@")[0]
    for index, entry in enumerate(vertex.models):
        yield ("vertex", "models", index), entry.name


def missing(vertex: Vertex, entry: VertexModel | None = None) -> list[str]:
    """Keys that a model needs and nothing says: of `[vertex]` itself, or of one of its models."""
    if vertex.url or (entry is not None and entry.url):
        return []
    tables = (vertex,) if entry is None else (vertex, entry)
    said = {
        "project": any(table.project for table in tables),
        "region": any(table.region or table.location for table in tables),
        "model": any(table.model for table in tables),
    }
    return [key for key, value in said.items() if not value]
