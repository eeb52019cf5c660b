import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelmux.ir.parts import Blob, Generic, Part, Reasoning, Refusal, Text
from modelmux.ir.request import Message, Request, Tool
from modelmux.wire.cohere_chat import native, request_decode
from modelmux.wire.cohere_chat.schema import NAME

BODY = b'{"model":"m","messages":[{"role":"assistant","content":"a"}]}'
REQUEST = request_decode.decode(BODY)


def with_part(part: Part) -> tuple[object, list[tuple[str, str]]]:
    """What a piece that another hand put in becomes, and what is lost."""
    encoded = native.encode(replace(REQUEST, messages=(Message("assistant", (part,)),)))
    (message,) = msgspec.json.decode(encoded.body)["messages"]
    return message["content"], [(loss.path, loss.kind) for loss in encoded.losses]


def test_what_came_leaves_as_it_came():
    assert native.encode(REQUEST).body == BODY


def test_pieces_that_another_hand_put_in():
    assert with_part(Refusal("no")) == ([{"type": "text", "text": "no"}], [])
    raw = Raw(b'{"type":"later"}')
    assert with_part(Generic("later", NAME, raw)) == ([{"type": "later"}], [])


def test_what_cannot_be_said_is_named():
    lost = [("/messages/0/parts/0", "content")]
    assert with_part(Reasoning("so", origin="another")) == ([], lost)
    assert with_part(Blob("audio", "audio/wav", "aGk=")) == ([], lost)


def test_a_developer_is_the_system():
    request = Request("m", (Message("developer", (Text("a"),), bare=True),), wire=NAME)
    (message,) = msgspec.json.decode(native.encode(request).body)["messages"]
    assert message == {"role": "system", "content": "a"}


def test_a_tool_says_what_is_known_of_it():
    assert native.tool_block(Tool("f"), "g") == {"type": "function", "function": {"name": "g"}}
