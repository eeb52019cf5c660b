import asyncio

import msgspec

from modelmux.ir.parts import Text
from modelmux.ir.request import Envelope, Message, Request
from modelmux.provider.estimate import counted
from modelmux.target.estimate import TOKENS_PER_MESSAGE
from modelmux.wire import anthropic_messages


def test_a_count_says_who_did_not_count():
    wire = anthropic_messages.WIRE
    request = Request("m", (Message("user", (Text("x" * 400),)),))
    reply = counted(request, wire, "openai/m")
    assert reply.target == "openai/m"
    (loss,) = reply.losses
    assert "openai/m does not count tokens" in loss.reason
    assert loss.kind == "tuning"

    async def read() -> bytes:
        await reply.peek(wire)
        return await reply.body(wire, Envelope("m"))

    assert msgspec.json.decode(asyncio.run(read())) == {"input_tokens": 100 + TOKENS_PER_MESSAGE}
    assert reply.complete
