import msgspec

from modelmux.ir.request import Envelope
from modelmux.wire.framing import jsonarray, sse
from modelmux.wire.gemini import AS_ARRAY, WIRE
from modelmux.wire.registry import BY_NAME


def test_the_wire_is_registered() -> None:
    assert BY_NAME["gemini"] is WIRE
    assert WIRE.in_path
    assert WIRE.signs_ids


def test_a_stream_has_the_type_of_its_form() -> None:
    assert WIRE.stream_type(Envelope("m", stream=True)) == sse.MEDIA_TYPE
    array = Envelope("m", stream=True, spelling=frozenset({AS_ARRAY}))
    assert WIRE.stream_type(array) == jsonarray.MEDIA_TYPE


def test_the_same_wire_is_sent_the_bytes_that_came() -> None:
    body = b' {"contents" : [ ] }'
    assert WIRE.readdress(body, Envelope("a"), "b", ask_usage=True) is body


def test_counts_and_requests_to_count_are_its_own() -> None:
    assert msgspec.json.decode(WIRE.encode_token_count(3)) == {"totalTokens": 3}
    body = b'{"contents":[{"parts":[{"text":"a"}]}]}'
    assert WIRE.decode_request(body, "count_tokens").messages
