import pytest

from modelmux.ir.request import Envelope, Request
from modelmux.ir.response import Failure, Response
from modelmux.wire import anthropic_messages
from modelmux.wire.anthropic_messages import NAME, WIRE
from modelmux.wire.base import StreamDecoder, StreamEncoder, StreamRelay, Wire
from tests.support.cases import case

BODY = b'{ "model" : "claude", "max_tokens":1, "messages":[], "stream":true, "x": 1.0 }'
ANSWER = b'{"id":"i","model":"claude","content":[]}'


def test_the_wire_is_what_every_wire_is():
    wire: Wire = WIRE
    assert wire.name == NAME == "anthropic.messages"
    decoder: StreamDecoder = wire.decoder()
    encoder: StreamEncoder = wire.encoder(Envelope(""))
    relay: StreamRelay = wire.relay(Envelope(""), None)
    assert decoder.feed(b"") == []
    assert relay.feed(b"") == b""
    assert encoder is not None


def test_each_stream_has_machines_of_its_own():
    assert WIRE.decoder() is not WIRE.decoder()
    assert WIRE.encoder(Envelope("")) is not WIRE.encoder(Envelope(""))
    assert WIRE.relay(Envelope(""), None) is not WIRE.relay(Envelope(""), None)


@case(108)
@pytest.mark.parametrize("ask_usage", [True, False])
def test_a_request_is_readdressed_by_its_model_alone(ask_usage):
    envelope = WIRE.envelope(BODY)
    assert envelope == Envelope("claude", stream=True)
    readdressed = WIRE.readdress(BODY, envelope, "claude-2", ask_usage)
    assert readdressed == BODY.replace(b'"claude"', b'"claude-2"')


def test_requests_answers_and_errors_go_both_ways():
    request = WIRE.decode_request(BODY)
    assert isinstance(request, Request)
    assert b'"x":1.0' in WIRE.encode_request(request).body
    response = WIRE.decode_response(ANSWER)
    assert isinstance(response, Response)
    assert b'"model":"asked"' in WIRE.encode_response(response, Envelope("asked"))
    assert WIRE.summarise(ANSWER).reason == "stop"
    assert WIRE.rename(ANSWER, "asked") == ANSWER.replace(b"claude", b"asked")
    failure = Failure("overloaded", "busy", status=503)
    assert WIRE.decode_error(503, WIRE.encode_error(failure)).message == "busy"
    assert WIRE.error_status(failure) == 529


@case(110)
def test_tokens_can_be_counted():
    body = b'{"model":"m","messages":[]}'
    request = anthropic_messages.decode_count_request(body)
    assert WIRE.decode_request(body, "count_tokens") == request
    encoded = anthropic_messages.encode_count_request(request)
    assert encoded.body == b'{"model":"m","messages":[]}'
    body = anthropic_messages.encode_token_count(7)
    assert anthropic_messages.decode_token_count(body) == 7
