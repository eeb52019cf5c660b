import msgspec

from modelmux.ir.response import Failure
from modelmux.wire.base import Wire
from modelmux.wire.openai_completions import NAME, WIRE
from tests.support.cases import case


def test_the_wire_is_a_wire():
    wire: Wire = WIRE
    assert (wire.name, wire.in_path) == (NAME, False)
    assert wire.encode_token_count(7) == b'{"input_tokens":7}'
    assert wire.rename(b'{"model":"a"}', "b") == b'{"model":"b"}'


@case(102)
def test_errors_are_those_of_all_of_openais_apis():
    failure = Failure("rate_limit", "slow down", "rate_limit_exceeded", None, 429)
    body = msgspec.json.decode(WIRE.encode_error(failure))
    assert body["error"]["type"] == "rate_limit_error"
    assert WIRE.error_status(failure) == 429
