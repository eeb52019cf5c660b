"""Bodies and streams of legacy completions, for the tests of their codec."""

import msgspec

from modelmux.ir import events as ev
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Envelope, Request
from modelmux.wire.openai_completions import WIRE

ASKED = Envelope("asked", stream=True)
DONE = b"data: [DONE]\n\n"


def request(prompt: object = "p", **fields: object) -> Request:
    return WIRE.decode_request(msgspec.json.encode({"model": "m", "prompt": prompt, **fields}))


def encoded(given: Request, profile: Profile = UNKNOWN) -> dict[str, object]:
    return msgspec.json.decode(WIRE.encode_request(given, profile).body)


def lost(given: Request, profile: Profile = UNKNOWN) -> list[tuple[str, str]]:
    found = WIRE.encode_request(given, profile).losses
    return [(loss.path, loss.kind) for loss in found]


def chunk(text: str = "", reason: str | None = None, index: int = 0, **fields: object) -> bytes:
    choice = {"text": text, "index": index, "logprobs": None, "finish_reason": reason}
    head = {"id": "cmpl-1", "object": "text_completion", "created": 7, "model": "real"}
    return b"data: %b\n\n" % msgspec.json.encode({**head, "choices": [choice], **fields})


def decoded(*frames: bytes) -> list[ev.Event]:
    decoder = WIRE.decoder()
    found = [event for each in frames for event in decoder.feed(each)] + decoder.finish()
    ev.check(found)
    return found
