import msgspec
import pytest
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Blob, File, Text
from modelmux.ir.request import Message
from modelmux.wire import extra
from modelmux.wire.ollama_chat import generate


def test_a_prompt_is_a_user_s_message_behind_the_system_s() -> None:
    request = generate.decode(
        b'{"model":"m","prompt":"hi","system":"be short","images":["iVBORw0KGgo="]}'
    )
    assert request.messages == (
        Message("system", (Text("be short"),), bare=True),
        Message("user", (Text("hi"), Blob("image", "image/png", "iVBORw0KGgo="))),
    )
    assert request.stream


def test_what_only_ollama_knows_changes_what_is_said_elsewhere() -> None:
    request = generate.decode(b'{"model":"m","prompt":"hi","suffix":"x","keep_alive":0}')
    kinds = {loss.path: loss.kind for loss in extra.losses(request.extra, "openai.chat")}
    assert kinds == {"/suffix": "content", "/keep_alive": "tuning"}


def test_a_body_without_a_prompt_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="prompt"):
        generate.decode(b'{"model":"m"}')


def test_what_another_hand_put_in_is_said_where_it_can_be() -> None:
    request = replace(
        generate.decode(b'{"model":"m","prompt":"hi"}'),
        messages=(
            Message("system", (Text("a"),)),
            Message("system", (Text("b"),)),
            Message("user", (Text("c"), File("image", "f", "x"))),
        ),
    )
    encoded = generate.native(request)
    assert msgspec.json.decode(encoded.body) == {"model": "m", "system": "a\n\nb", "prompt": "c"}
    assert [loss.path for loss in encoded.losses] == ["/messages/2/parts/1"]
