"""Gemini's doors: the path says model and verb, and the query how a stream is framed."""

from collections.abc import Callable

from msgspec.structs import replace
from typing_extensions import override

from modelmux.ingress.endpoint import Current, ModelDoor
from modelmux.ingress.http import HttpRequest
from modelmux.ingress.verbs import Verbs
from modelmux.ir.request import Envelope
from modelmux.wire import gemini

STREAM = "streamGenerateContent"

_PREFIX = "models/"
_ARRAY = frozenset({gemini.AS_ARRAY})


class GeminiDoor(ModelDoor):
    """Answers one verb. The request's parameters hold `model` and `verb`."""

    @override
    def _envelope(self, request: HttpRequest) -> Envelope:
        envelope = self._read(request.body)
        model = request.parameters["model"].removeprefix(_PREFIX)
        stream = request.parameters["verb"] == STREAM
        as_array = stream and b"alt=sse" not in request.query
        spelling = _ARRAY if as_array else envelope.spelling
        return replace(envelope, model=model, stream=stream, spelling=spelling)


def doors(current: Current, new_id: Callable[[], str], now: Callable[[], float]) -> Verbs:
    """The doors for what is asked of a model, by verb."""
    chat = GeminiDoor(gemini.WIRE, current, new_id, now)
    count = GeminiDoor(gemini.WIRE, current, new_id, now, "count_tokens")
    embed = GeminiDoor(gemini.WIRE, current, new_id, now, "embeddings")
    return Verbs(
        {
            "generateContent": chat,
            STREAM: chat,
            "countTokens": count,
            "embedContent": embed,
            "batchEmbedContents": embed,
        }
    )
