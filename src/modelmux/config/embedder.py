"""Vectors by a target of the configuration, for whoever compares texts."""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from modelmux.errors import ProtocolViolation
from modelmux.target.base import Target
from modelmux.target.call import Call
from modelmux.wire import openai_chat


class _Row(Struct):
    embedding: list[float]


class _Rows(Struct):
    data: list[_Row]


_rows = msgspec.json.Decoder(_Rows)


class TargetEmbedder:
    """Asks a target that makes embeddings.

    Attributes:
        name: What it is asked for.
    """

    def __init__(self, name: str, resolve: Callable[[], Target]) -> None:
        """Ask whoever `resolve` gives at the time; `name` is how the target knows the model."""
        self.name = name
        self._resolve = resolve

    async def embed(self, text: str, call: Call) -> Sequence[float]:
        """The vector of `text`: a call of its own, as a step of `call`. Raises `GatewayError`."""
        wire = openai_chat.WIRE
        body = msgspec.json.encode({"model": self.name, "input": text})
        asked = Call(
            wire, body, wire.envelope(body), operation="embeddings", caller=call.caller, id=call.id
        )
        step = call.step()
        asked.id, asked.parent_id, asked.tags = step.id, step.parent_id, call.tags
        reply = await self._resolve().send(asked)
        answer = await reply.body(wire, asked.envelope)
        try:
            (row,) = _rows.decode(answer).data
        except (msgspec.DecodeError, ValueError):
            raise ProtocolViolation("expected one vector, got something else") from None
        return row.embedding
