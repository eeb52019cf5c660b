import msgspec
import pytest

from modelmux.wire.openai_completions import schema


@pytest.mark.parametrize("prompt", [b'"a"', b'["a"]', b"[1,2]", b"[[1],[2]]"])
def test_a_prompt_comes_in_four_forms(prompt: bytes):
    assert schema.prompt.decode(prompt) == msgspec.json.decode(prompt)


def test_a_prompt_is_no_object():
    with pytest.raises(msgspec.ValidationError):
        schema.prompt.decode(b"{}")
