import base64

import msgspec
import pytest

from modelmux.provider import demand
from modelmux.target.call import Call
from modelmux.wire import openai_chat
from tests.support import targets

OPENAI = openai_chat.WIRE


def of(body: bytes) -> tuple[int, int | None]:
    return demand.of(body, targets.call())


@pytest.mark.parametrize(
    ("field", "longest"),
    [
        (b'"max_tokens":100', 100),
        (b'"max_completion_tokens":200,"max_tokens":100', 200),
        (b'"max_output_tokens":300', 300),
        (b'"generationConfig":{"maxOutputTokens":400}', 400),
        (b'"inferenceConfig":{"maxTokens":500}', 500),
        (b'"max_tokens":"many"', None),
        (b'"max_tokens":null', None),
        (b'"messages":[]', None),
    ],
)
def test_the_longest_answer_is_where_each_wire_says_it(field: bytes, longest: int | None):
    assert of(b"{" + field + b"}")[1] == longest


def test_a_prompt_is_taken_to_be_text():
    assert of(b'{"a":"' + b"x" * 3992 + b'"}') == (1000, None)


def test_what_is_no_json_has_its_size_and_no_more():
    assert of(b"\xff" * 400) == (100, None)


def test_an_image_weighs_as_an_image_and_not_as_the_text_it_is_sent_in():
    picture = base64.b64encode(b"x" * 300_000).decode()
    url = {"url": f"data:image/png;base64,{picture}"}
    content = [{"type": "text", "text": "x" * 400}, {"type": "image_url", "image_url": url}]
    body = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": content}]})
    call = Call(OPENAI, body, OPENAI.envelope(body))
    tokens, _ = demand.of(body, call)
    assert 1500 < tokens < 2000


def test_a_large_body_that_cannot_be_decoded_has_its_size():
    body = b'{"model":"m","messages":3,"x":"base64' + b"x" * 40_000 + b'"}'
    call = Call(OPENAI, body, OPENAI.envelope(body))
    assert demand.of(body, call) == (len(body) // 4, None)
