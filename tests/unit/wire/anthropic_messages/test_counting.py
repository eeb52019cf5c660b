import msgspec
import pytest
from anthropic.types.beta.message_count_tokens_params import MessageCountTokensParams
from msgspec.structs import replace

from modelmux.errors import InvalidRequest, ProtocolViolation
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import ReasoningOptions, Sampling, Tool
from modelmux.wire.anthropic_messages import counting, request_decode
from modelmux.wire.anthropic_messages.schema import NAME
from tests.support import foreign
from tests.support.cases import case
from tests.support.foreign import plain, user
from tests.support.goldens import goldens

OWN = [golden for golden in goldens("request.json") if golden.wire_name == NAME]
SDK = set(MessageCountTokensParams.__annotations__)


@case(110)
@pytest.mark.parametrize("golden", OWN, ids=str)
def test_a_count_is_asked_with_what_the_endpoint_knows(golden):
    request = request_decode.decode(golden.read())
    asked = msgspec.json.decode(counting.encode_request(request).body)
    # `output_format` is older than the SDK; headers go as headers.
    assert set(asked) <= SDK - {"betas", "workspace_id"} | {"output_format"}
    whole = msgspec.json.decode(golden.read())
    assert asked == {name: value for name, value in whole.items() if name in asked}
    for name in {"system", "tools", "messages", "model", "thinking", "mcp_servers"} & set(whole):
        assert name in asked


@case(110)
def test_a_count_for_another_wire_is_of_the_prompt_alone():
    request = replace(
        foreign.request(plain("system", "s"), user()),
        tools=(Tool("f"),),
        sampling=Sampling(0.5, stop=("END",)),
        max_tokens=5,
        stream=True,
        user="u",
        choices=3,
        reasoning=ReasoningOptions(effort="low"),
    )
    encoded = counting.encode_request(request, Profile(reasoning="adaptive"))
    assert msgspec.json.decode(encoded.body) == {
        "model": "m",
        "system": "s",
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low"},
    }


@case(110)
def test_a_request_to_count_comes_back_as_it_came():
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"system":"s"}'
    request = counting.decode_request(body)
    encoded = counting.encode_request(request, UNKNOWN)
    assert msgspec.json.decode(encoded.body) == msgspec.json.decode(body)


def test_a_bad_request_to_count_is_refused():
    with pytest.raises(InvalidRequest) as caught:
        counting.decode_request(b'{"messages":[]}')
    assert caught.value.param == "model"


@case(110)
def test_a_count_is_read_and_written():
    assert counting.encode_answer(2095) == b'{"input_tokens":2095}'
    assert counting.decode_answer(b'{"input_tokens":2095,"context_management":{}}') == 2095


@pytest.mark.parametrize("body", [b"", b"{}", b'{"input_tokens":"2"}', b"[2]"])
def test_what_is_no_count_is_a_violation(body):
    with pytest.raises(ProtocolViolation):
        counting.decode_answer(body)
