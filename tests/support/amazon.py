"""Amazon's own SDK as the judge of what is said to its API, and of what its API is made to say."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast

from botocore.eventstream import EventStream
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from botocore.parsers import create_parser
from botocore.validate import ParamValidator


@cache
def operation(name: str) -> OperationModel:
    """An operation of `bedrock-runtime` as the SDK knows it."""
    return ServiceModel(
        Loader().load_service_model("bedrock-runtime", "service-2")
    ).operation_model(name)


def complaints(body: Mapping[str, object], name: str = "Converse") -> str:
    """What the SDK would say against a request; empty: nothing."""
    said = {"modelId": "some.model-v1:0", **body}
    return cast(
        "str", ParamValidator().validate(said, operation(name).input_shape).generate_report()
    )


def parsed(body: bytes, status: int = 200) -> dict[str, Any]:
    """A whole answer as the SDK reads it."""
    response = {"body": body, "headers": {}, "status_code": status}
    parser = create_parser("rest-json")
    return cast("dict[str, Any]", parser.parse(response, operation("Converse").output_shape))


class _Raw:
    """A stream as the SDK wants it."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self) -> Iterator[bytes]:
        """Its bytes, in pieces that fit no frame."""
        for start in range(0, len(self._data), 7):
            yield self._data[start : start + 7]

    def close(self) -> None:
        """Nothing is held."""


def events(data: bytes) -> list[dict[str, Any]]:
    """A stream's events as the SDK reads them. Raises its own `EventStreamError`."""
    shape = operation("ConverseStream").output_shape.members["stream"]
    parser = create_parser("rest-json")._event_stream_parser
    return list(EventStream(_Raw(data), shape, parser, "ConverseStream"))
