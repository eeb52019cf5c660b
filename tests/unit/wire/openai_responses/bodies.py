"""Bodies and streams of OpenAI Responses, for the tests of its codec."""

import msgspec
from msgspec import Raw

from modelmux.ir import events as ev
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Envelope, Request
from modelmux.ir.response import Failure
from modelmux.wire.openai_responses import WIRE

PNG = "iVBORw0KGgo="
PDF = "JVBERi0xLjQK"
ASKED = Envelope("asked", stream=True)

CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "ok"}


def raw(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))


def body(*items: object, **fields: object) -> bytes:
    """A request of `items` for the model `m`."""
    return msgspec.json.encode({"model": "m", "input": items or [user()], **fields})


def user(content: object = "hi") -> dict[str, object]:
    return {"role": "user", "content": content}


def request(*items: object, **fields: object) -> Request:
    """What `body` of the same decodes to."""
    return WIRE.decode_request(body(*items, **fields))


def again(*items: object, **fields: object) -> dict[str, object]:
    """A request as it comes back from the neutral model on its own wire."""
    result = WIRE.encode_request(request(*items, **fields))
    assert result.losses == ()
    return msgspec.json.decode(result.body)


def encoded(given: Request, profile: Profile = UNKNOWN) -> dict[str, object]:
    """The body of an encoded request."""
    return msgspec.json.decode(WIRE.encode_request(given, profile).body)


def lost(given: Request, profile: Profile = UNKNOWN) -> list[tuple[str, str]]:
    """What is lost of a request, and of which kind."""
    found = WIRE.encode_request(given, profile).losses
    return [(loss.path, loss.kind) for loss in found]


def frame(type_: str, **fields: object) -> bytes:
    """One event of a stream."""
    data = msgspec.json.encode({"type": type_, **fields})
    return b"event: %b\ndata: %b\n\n" % (type_.encode(), data)


def whole(*output: object, **fields: object) -> dict[str, object]:
    """An answer."""
    counts = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    head = {"id": "resp_1", "object": "response", "created_at": 7, "model": "real"}
    return {**head, "status": "completed", "output": output, "usage": counts, **fields}


CREATED = frame("response.created", response=whole(status="in_progress", usage=None))
COMPLETED = frame("response.completed", response=whole())


def message(*texts: str, **fields: object) -> dict[str, object]:
    """A message of an answer."""
    content = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    head = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant"}
    return {**head, "content": content, **fields}


def decoded(*frames: bytes) -> list[ev.Event]:
    """The events of a stream, which keep the grammar."""
    decoder = WIRE.decoder()
    found = [event for each in frames for event in decoder.feed(each)] + decoder.finish()
    ev.check(found)
    return found


def failure(*frames: bytes) -> Failure:
    """Why a stream failed."""
    last = decoded(*frames)[-1]
    assert isinstance(last, ev.Fail)
    return last.failure


def told(*events: ev.Event, envelope: Envelope = ASKED) -> list[dict[str, object]]:
    """The values of the frames that events are encoded to."""
    encoder = WIRE.encoder(envelope)
    data = b"".join([encoder.encode(event) for event in events])
    out: list[dict[str, object]] = []
    for each in data.split(b"\n\n")[:-1]:
        lines = each.split(b"\n")
        if len(lines) == 2:
            value = msgspec.json.decode(lines[1].removeprefix(b"data: "))
            assert lines[0] == b"event: " + value["type"].encode()
            out.append(value)
    return out
