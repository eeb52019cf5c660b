import msgspec

from modelmux.ir.request import Envelope
from modelmux.wire.cohere_chat import WIRE
from modelmux.wire.framing import sse


def test_the_model_is_named_in_the_body_of_questions_only():
    body = b'{"model": "a", "messages": []}'
    assert not WIRE.in_path
    assert WIRE.readdress(body, Envelope("a"), "b", ask_usage=True) == body.replace(b'"a"', b'"b"')
    assert WIRE.rename(body, "b") is body


def test_its_streams_are_events():
    assert WIRE.stream_type(Envelope("")) is sse.MEDIA_TYPE


def test_a_count_of_tokens():
    assert msgspec.json.decode(WIRE.encode_token_count(7)) == {"input_tokens": 7}
