"""Bodies of `POST /api/generate`, to the neutral request and back: one prompt, one answer."""

import msgspec
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Blob, Text
from modelmux.ir.request import Encoded, Loss, Message, Request
from modelmux.wire import extra
from modelmux.wire.ollama_chat import images, schema, settings
from modelmux.wire.ollama_chat.schema import GENERATE
from modelmux.wire.ollama_chat.settings import Body

_CONTENT_FIELDS = frozenset({"/suffix", "/template", "/context", "/raw"})
"""Fields without which the model is told something else."""

_body = extra.Schema(schema.GenerateRequest)


def decode(body: bytes) -> Request:
    """The neutral request. Raises `InvalidRequest`, naming the field."""
    params, unknown = _body.decode(body)
    if params.prompt is None:  # with which Ollama loads a model, or unloads it
        raise InvalidRequest("prompt: field required", param="prompt")
    rest: dict[str, Raw] = dict(unknown)
    spelled: set[str] = set()
    said = settings.decode(params, spelled, rest)
    messages: list[Message] = []
    if params.system is not None:
        messages.append(Message("system", (Text(params.system),), bare=True))
    shown = tuple([images.decode(image) for image in params.images or ()])
    messages.append(Message("user", (Text(params.prompt), *shown), bare=not shown))
    return Request(
        params.model,
        tuple(messages),
        max_tokens=said.max_tokens,
        sampling=said.sampling,
        response_format=said.response_format,
        reasoning=said.reasoning,
        stream=params.stream is not False,
        wire=GENERATE,
        spelling=frozenset(spelled),
        extra=settings.kept(rest, GENERATE, _CONTENT_FIELDS),
    )


def native(request: Request) -> Encoded:
    """A request of this wire as it was said, and what of it another hand put in and is lost."""
    losses: list[Loss] = []
    body: Body = {"model": request.model}
    prompt: list[str] = []
    for index, message in enumerate(request.messages):
        shown: list[str] = []
        for place, part in enumerate(message.parts):
            if isinstance(part, Blob) and part.modality == "image":
                shown.append(part.content)
            elif isinstance(part, Text) and message.role in {"system", "developer"}:
                body["system"] = (
                    f"{body['system']}\n\n{part.text}" if "system" in body else part.text
                )
            elif isinstance(part, Text):
                prompt.append(part.text)
            else:
                path = f"/messages/{index}/parts/{place}"
                losses.append(Loss(path, f"{GENERATE} has no such content", "content"))
        if shown:
            body["images"] = shown
    body["prompt"] = "\n\n".join(prompt)
    body.update(settings.native(request, GENERATE))
    return Encoded(msgspec.json.encode(extra.merge(body, request.extra, GENERATE)), tuple(losses))
