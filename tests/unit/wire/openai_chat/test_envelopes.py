import msgspec
import pytest

from modelmux.errors import InvalidRequest
from modelmux.ir.request import Envelope
from modelmux.wire.openai import chunks
from modelmux.wire.openai_chat import calls, envelopes
from tests.support.cases import case
from tests.unit.wire.openai_chat.chat import body


def readdressed(given: bytes, *, ask_usage: bool = True) -> bytes:
    return chunks.readdress(given, envelopes.decode(given), "real", ask_usage)


def test_an_envelope_is_what_routing_needs() -> None:
    assert envelopes.decode(body()) == Envelope("m", include_usage=False)
    given = body(stream=True, stream_options={"include_usage": True}, n=3)
    assert envelopes.decode(given) == Envelope("m", stream=True, include_usage=True, choices=3)


@case(53)
@pytest.mark.parametrize("field", ["stream", "stream_options", "n", "functions", "tools"])
def test_a_null_says_nothing(field: str) -> None:
    assert envelopes.decode(body(**{field: None})) == Envelope("m", include_usage=False)


@case(13)
@pytest.mark.parametrize(
    ("fields", "legacy"),
    [
        ({"functions": [{"name": "f"}]}, True),
        ({"function_call": "none"}, True),
        ({"functions": []}, False),
        ({"functions": [{"name": "f"}], "tools": []}, True),
        ({"functions": [{"name": "f"}], "tools": [{"type": "function"}]}, False),
    ],
)
def test_a_caller_who_knows_no_tools_is_known_by_its_functions(
    fields: dict[str, object], legacy: bool
) -> None:
    assert (calls.LEGACY in envelopes.decode(body(**fields)).spelling) is legacy


@pytest.mark.parametrize(
    ("given", "param"),
    [(b"{}", "model"), (b'{"model":5}', "model"), (b"[]", None), (b"{", None), (b"\xff", None)],
)
def test_what_is_no_request_is_refused_with_the_field(given: bytes, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        envelopes.decode(given)
    assert caught.value.param == param


@case(108)
def test_another_model_leaves_every_other_byte() -> None:
    given = b'{ "model" : "m",\n "x": 1.0e0, "messages":[] }\n'
    assert readdressed(given) == b'{ "model" : "real",\n "x": 1.0e0, "messages":[] }\n'


@case(79)
def test_a_stream_is_made_to_report_usage() -> None:
    given = b'{"model":"m","stream":true, "x": 1.0e0}\n'
    expected = b'{"model":"real","stream":true, "x": 1.0e0,"stream_options":{"include_usage":true}}'
    assert readdressed(given) == expected


@case(79)
@pytest.mark.parametrize("options", [{"include_obfuscation": False}, {"include_usage": False}, {}])
def test_a_stream_that_has_options_is_made_to_report_usage_too(options: dict[str, bool]) -> None:
    value = msgspec.json.decode(readdressed(body(stream=True, stream_options=options)))
    assert value["stream_options"] == {**options, "include_usage": True}
    assert value["model"] == "real"


def test_options_that_are_null_are_as_good_as_none() -> None:
    value = msgspec.json.decode(readdressed(body(stream=True, stream_options=None)))
    assert value["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("given", "ask_usage"),
    [
        (body(stream=True), False),
        (body(), True),
        (body(stream=True, stream_options={"include_usage": True}), True),
    ],
)
def test_usage_is_not_asked_for_twice_or_in_vain(given: bytes, ask_usage: bool) -> None:
    expected = given.replace(b'"model":"m"', b'"model":"real"')
    assert readdressed(given, ask_usage=ask_usage) == expected
