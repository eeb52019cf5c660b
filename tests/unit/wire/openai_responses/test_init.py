import msgspec
import pytest
from openai.types.responses import Response

from modelmux.ir.response import Failure
from modelmux.wire.base import Wire
from modelmux.wire.openai_responses import NAME, WIRE
from tests.support.cases import case
from tests.support.goldens import Golden, goldens


def test_the_wire_is_a_wire():
    wire: Wire = WIRE
    assert (wire.name, wire.in_path) == (NAME, False)
    assert wire.encode_token_count(7) == b'{"object":"response.input_tokens","input_tokens":7}'


@case(102)
def test_errors_are_those_of_all_of_openais_apis():
    failure = Failure("rate_limit", "slow down", "rate_limit_exceeded", None, 429)
    body = msgspec.json.decode(WIRE.encode_error(failure))
    assert body["error"]["type"] == "rate_limit_error"
    assert WIRE.error_status(failure) == 429
    assert WIRE.decode_error(429, WIRE.encode_error(failure)).kind == "rate_limit"


MINE = [
    golden
    for golden in goldens("response.json")
    if golden.wire_name == NAME and golden.case not in {"minimal", "unknown-fields"}
]


@pytest.mark.parametrize("golden", MINE, ids=str)
def test_the_sdk_knows_every_recorded_answer(golden: Golden):
    Response.model_validate_json(golden.read())
