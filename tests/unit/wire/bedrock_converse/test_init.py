from modelmux.ir.request import Envelope
from modelmux.wire import bedrock_converse
from modelmux.wire.framing import eventstream

WIRE = bedrock_converse.WIRE


def test_the_path_says_model_and_stream():
    assert WIRE.in_path
    body = b'{"messages":[]}'
    assert WIRE.readdress(body, Envelope("a"), "b", ask_usage=True) is body
    assert WIRE.rename(body, "b") is body


def test_its_streams_are_amazons():
    assert WIRE.stream_type(Envelope("")) == eventstream.MEDIA_TYPE


def test_a_count_of_tokens():
    assert WIRE.encode_token_count(7) == b'{"inputTokens":7}'
