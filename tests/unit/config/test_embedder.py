import asyncio

import msgspec
import pytest

from modelmux.config.embedder import TargetEmbedder
from modelmux.errors import ProtocolViolation
from modelmux.target.call import Caller
from modelmux.target.reply import Reply, Whole
from modelmux.wire import openai_chat
from tests.support import targets
from tests.support.targets import Fake


def answering(body: object) -> Fake:
    encoded = msgspec.json.encode(body)
    return Fake(lambda: Reply(Whole(openai_chat.WIRE, encoded, opaque=True)))


def test_a_vector_is_asked_for_as_a_step_of_the_call():
    fake = answering({"object": "list", "data": [{"index": 0, "embedding": [0.5, -1]}]})
    call = targets.call()
    call.caller, call.tags = Caller("team"), {"a": "b"}
    embedder = TargetEmbedder("p/embed", lambda: fake)
    assert asyncio.run(embedder.embed("how far", call)) == [0.5, -1.0]
    (asked,) = fake.calls
    assert (asked.operation, asked.envelope.model) == ("embeddings", "p/embed")
    assert msgspec.json.decode(asked.body) == {"model": "p/embed", "input": "how far"}
    assert (asked.id, asked.parent_id, asked.caller, asked.tags) == (
        "c1.1",
        "c1",
        Caller("team"),
        {"a": "b"},
    )


@pytest.mark.parametrize("body", [{}, {"data": []}, {"data": [{"embedding": "x"}]}, []])
def test_what_is_no_vector_is_told(body: object):
    embedder = TargetEmbedder("p/embed", lambda: answering(body))
    with pytest.raises(ProtocolViolation, match="expected one vector"):
        asyncio.run(embedder.embed("how far", targets.call()))
