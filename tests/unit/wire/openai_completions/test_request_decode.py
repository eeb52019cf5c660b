import pytest

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Text
from modelmux.ir.request import Message, Sampling
from modelmux.wire import extra
from modelmux.wire.openai_completions import request_decode
from tests.support.cases import case
from tests.unit.wire.openai_completions.bodies import request


def test_a_prompt_is_what_the_user_says():
    for prompt in ("p", ["p"]):
        assert request(prompt).messages == (Message("user", (Text("p"),), bare=True),)


@case(48, 50)
def test_settings_have_neutral_words():
    found = request(
        temperature=0.5, top_p=0.9, seed=7, stop="x", logprobs=2, max_tokens=9, n=2, user="u"
    )
    assert found.sampling == Sampling(0.5, 0.9, seed=7, stop=("x",), logprobs=True, top_logprobs=2)
    assert (found.max_tokens, found.choices, found.user) == (9, 2, "u")


@case(54)
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"echo": True}, [("/echo", "content")]),
        ({"suffix": "s"}, [("/suffix", "content")]),
        ({"best_of": 3}, [("/best_of", "tuning")]),
        ({"echo": False, "best_of": 1, "suffix": ""}, []),
        ({"prompt": [1, 2]}, [("/prompt", "content")]),
        ({"prompt": ["a", "b"]}, [("/prompt", "content")]),
        ({"future": 1, "none": None}, [("/future", "tuning")]),
    ],
)
def test_what_only_this_api_knows_is_a_loss(
    fields: dict[str, object], expected: list[tuple[str, str]]
):
    given = {"prompt": "p", **fields}
    kept = request(**given).extra
    assert [(loss.path, loss.kind) for loss in extra.losses(kept, "other")] == expected


@pytest.mark.parametrize(
    ("prompt", "choices"),
    [(b'"a"', 2), (b'["a","b"]', 4), (b"[1,2,3]", 2), (b"[[1],[2],[3]]", 6), (b"{}", 2)],
)
def test_every_prompt_is_answered_by_choices_of_its_own(prompt: bytes, choices: int):
    body = b'{"model":"m","n":2,"stream":true,"prompt":%b}' % prompt
    found = request_decode.envelope(body)
    assert (found.choices, found.stream, found.include_usage) == (choices, True, False)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model":"m","prompt":[]}', "prompt"),
        (b'{"model":"m","prompt":{}}', "prompt"),
        (b'{"prompt":"x"}', "model"),
        (b'{"model":"m","prompt":"\xff"}', None),
    ],
)
def test_what_is_no_request_is_refused_with_the_field(body: bytes, param: str | None):
    with pytest.raises(InvalidRequest) as caught:
        request_decode.decode(body)
    assert caught.value.param == param
    if param == "model":
        with pytest.raises(InvalidRequest):
            request_decode.envelope(body)
