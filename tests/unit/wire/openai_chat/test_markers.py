import pytest
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import CacheControl, Extra
from modelmux.wire.openai.values import NULL
from modelmux.wire.openai_chat import markers
from modelmux.wire.openai_chat.schema import NAME
from tests.support.cases import case

NO = Raw()


@case(63)
def test_anthropics_marker_is_understood_on_this_wire() -> None:
    assert markers.decode(Raw(b'{"type":"ephemeral"}'), NO, "/m") == CacheControl()
    assert markers.decode(Raw(b'{"type":"ephemeral","ttl":"1h"}'), NO, "/m") == CacheControl("1h")


def test_of_openais_marker_only_the_wish_to_cache_is_neutral() -> None:
    raw = Raw(b'{"mode":"explicit","ttl":"12h"}')
    marker = markers.decode(NO, raw, "/m")
    assert marker == CacheControl(extra=Extra(NAME, {"/prompt_cache_breakpoint": raw}, "/m"))
    out: dict[str, object] = {}
    markers.encode(marker, out)
    assert out == {"prompt_cache_breakpoint": raw}


@pytest.mark.parametrize("nothing", [NO, NULL])
def test_no_marker_is_none(nothing: Raw) -> None:
    assert markers.decode(nothing, nothing, "/m") is None


def test_unknown_fields_of_a_marker_go_back() -> None:
    marker = markers.decode(Raw(b'{"type":"lasting","scope":"global"}'), NO, "/m")
    assert marker is not None
    assert marker.extra is not None
    assert marker.extra.at == "/m/cache_control"
    out: dict[str, object] = {}
    markers.encode(marker, out)
    cache = {"type": Raw(b'"lasting"'), "scope": Raw(b'"global"')}
    assert out == {"cache_control": cache}


@pytest.mark.parametrize("raw", [b"5", b'{"ttl":5}'])
def test_a_marker_that_is_none_is_refused_with_its_field(raw: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        markers.decode(Raw(raw), NO, "/messages/1")
    assert (caught.value.param or "").startswith("messages[1].cache_control")
