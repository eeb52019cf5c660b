"""Bodies and streams of OpenAI Chat Completions, for the tests of its codec."""

import msgspec

from modelmux.ir.events import Event, check
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Encoded, Envelope, Loss, Request
from modelmux.ir.response import Response
from modelmux.wire.openai_chat import WIRE

ENVELOPE = Envelope("asked", stream=True)
DONE = b"data: [DONE]\n\n"
ID = "chatcmpl-1"

PNG = "iVBORw0KGgo="
PDF = "JVBERi0xLjQK"
WAV = "UklGRiQAAABXQVZF"


def body(*messages: object, **fields: object) -> bytes:
    """A request of `messages` for the model `m`."""
    return msgspec.json.encode({"model": "m", "messages": messages or [user()], **fields})


def user(content: object = "hi") -> dict[str, object]:
    """A user's message."""
    return {"role": "user", "content": content}


def request(*messages: object, **fields: object) -> Request:
    """What `body` of the same decodes to."""
    return WIRE.decode_request(body(*messages, **fields))


def encoded(request: Request, profile: Profile = UNKNOWN) -> dict[str, object]:
    """The body of an encoded request."""
    return msgspec.json.decode(WIRE.encode_request(request, profile).body)


def messages(request: Request, profile: Profile = UNKNOWN) -> list[dict[str, object]]:
    """The messages of an encoded request."""
    return encoded(request, profile)["messages"]


def again(*given: object, **fields: object) -> dict[str, object]:
    """A request as it comes back from the neutral model on its own wire."""
    result = WIRE.encode_request(request(*given, **fields))
    assert result.losses == ()
    return msgspec.json.decode(result.body)


def paths(result: Encoded) -> list[tuple[str, str]]:
    """What was lost, and of which kind."""
    return [(loss.path, loss.kind) for loss in result.losses]


def lost(losses: list[Loss]) -> list[str]:
    """The paths of what was lost."""
    return [loss.path for loss in losses]


def answer(message: object, finish: str | None = "stop", **fields: object) -> bytes:
    """A whole answer of one choice."""
    choice = {"index": 0, "message": message, "finish_reason": finish}
    head = {"id": ID, "object": "chat.completion", "created": 7, "model": "real"}
    return msgspec.json.encode({**head, "choices": [choice], **fields})


def response(message: dict[str, object], finish: str | None = "stop", **fields: object) -> Response:
    """What `answer` of the same decodes to."""
    return WIRE.decode_response(answer({"role": "assistant", **message}, finish, **fields))


def choice(decoded: bytes) -> dict[str, object]:
    """The first choice of an encoded answer."""
    return msgspec.json.decode(decoded)["choices"][0]


def frame(value: object) -> bytes:
    """One frame of a stream."""
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def chunk(delta: object = None, finish: str | None = None, **fields: object) -> bytes:
    """One chunk, which says `delta` of the first choice."""
    said = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish}
    head = {"id": ID, "object": "chat.completion.chunk", "created": 7, "model": "real"}
    return frame({**head, "choices": [said], **fields})


def text(content: str) -> bytes:
    """A chunk of text."""
    return chunk({"content": content})


def call(index: int | None = 0, arguments: object = "", **fields: object) -> bytes:
    """A chunk of one tool call; `name` and `id` among `fields` as its first has them."""
    function = {"arguments": arguments}
    if "name" in fields:
        function = {"name": fields.pop("name"), **function}
    return chunk({"tool_calls": [{"index": index, "function": function, **fields}]})


def events(*chunks: bytes) -> list[Event]:
    """What a stream decodes to; always within the grammar."""
    decoder = WIRE.decoder()
    found = [event for data in chunks for event in decoder.feed(data)] + decoder.finish()
    check(found)
    return found


def frames(data: bytes) -> list[object]:
    """The JSON values of a stream's frames; `[DONE]` and comments as text."""
    out: list[object] = []
    for piece in data.decode().split("\n\n"):
        if piece.startswith("data: {"):
            out.append(msgspec.json.decode(piece[6:]))
        elif piece:
            out.append(piece)
    return out


def stream(*given: Event, envelope: Envelope = ENVELOPE) -> list[object]:
    """The frames that events are encoded to."""
    encoder = WIRE.encoder(envelope)
    return frames(b"".join(encoder.encode(event) for event in given))


def deltas(*given: Event, envelope: Envelope = ENVELOPE) -> list[object]:
    """The deltas of the frames that events are encoded to, empty ones left out."""
    found = [f["choices"][0]["delta"] for f in stream(*given, envelope=envelope) if _says(f)]
    return [delta for delta in found if delta]


def _says(value: object) -> bool:
    return isinstance(value, dict) and bool(value.get("choices"))
