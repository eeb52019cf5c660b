import msgspec
import pytest
from msgspec import Raw

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import Blob, Extra
from modelmux.wire.openai_chat import stream_rest
from modelmux.wire.openai_chat.schema import NAME, Audio
from modelmux.wire.openai_chat.stream_rest import Rest


def test_a_chunks_own_fields_are_kept_the_first_time() -> None:
    rest = Rest()
    rest.of_chunk(b'{"id":"1","provider":"X","a/b":1,"obfuscation":"zz"}')
    assert rest.take() == Extra(NAME, {"/provider": Raw(b'"X"'), "/a~1b": Raw(b"1")})
    rest.of_chunk(b'{"provider":"Y","new":2}')
    assert rest.take() == Extra(NAME, {"/new": Raw(b"2")})
    assert rest.take() is None


@pytest.mark.parametrize(
    ("chunk", "fields"),
    [
        (b'{"choices":[{"index":0,"delta":{},"x":1}]}', {"/choices/0/x": Raw(b"1")}),
        (b'{"choices":[{"index":1,"y":2},{"index":null,"x":1}]}', {"/choices/0/x": Raw(b"1")}),
        (b'{"choices":[{"x":1}]}', {"/choices/0/x": Raw(b"1")}),
        (b'{"choices":[{"index":1,"y":2}]}', None),
        (b'{"choices":5}', None),
        (b"{}", None),
    ],
)
def test_the_first_answers_own_fields_are_kept(chunk: bytes, fields: dict[str, Raw] | None) -> None:
    rest = Rest()
    rest.of_choice(chunk)
    assert rest.take() == (None if fields is None else Extra(NAME, fields))


def test_probabilities_and_details_become_one_list_each() -> None:
    rest = Rest()
    rest.logprobs(Raw(b'{"content":[1],"refusal":null}'))
    rest.logprobs(Raw(b'{"content":[2],"refusal":[3]}'))
    rest.logprobs(Raw(b'"odd"'))
    rest.detail(Raw(b'{"a":1}'))
    rest.detail(Raw(b'{"b":2}'))
    kept = rest.take()
    assert kept is not None
    assert {name: msgspec.json.decode(raw) for name, raw in kept.fields.items()} == {
        "/choices/0/logprobs": {"content": [1, 2], "refusal": [3]},
        "/choices/0/message/reasoning_details": [{"a": 1}, {"b": 2}],
    }


def test_pieces_of_sound_are_joined() -> None:
    rest = Rest()
    assert rest.spoken() is None
    rest.sound(Audio(id="a1"))
    assert rest.spoken() is None
    rest.sound(Audio(data="AAE="))
    rest.sound(Audio(data="Ag==", expires_at=9))
    sound = rest.spoken()
    assert isinstance(sound, Blob)
    assert sound.content == "AAEC"
    assert sound.extra == Extra(NAME, {"/id": Raw(b'"a1"'), "/expires_at": Raw(b"9")})


def test_sound_that_is_no_base64_breaks_the_wire() -> None:
    with pytest.raises(ProtocolViolation, match="not Base64"):
        Rest().sound(Audio(data="A"))


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_rest, "MAX_KEPT", 100)
    rest = Rest()
    rest.detail(Raw(b"1" * 90))
    rest.detail(Raw(b"2" * 90))
    rest.logprobs(Raw(b'{"content":[' + b"3" * 90 + b"]}"))
    rest.of_chunk(b'{"x":1}')
    kept = rest.take()
    assert kept is not None
    assert list(kept.fields) == ["/choices/0/message/reasoning_details"]
    with pytest.raises(ProtocolViolation, match="100 bytes of sound"):
        rest.sound(Audio(data="AAEC"))
