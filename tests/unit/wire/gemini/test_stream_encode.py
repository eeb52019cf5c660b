import msgspec
import pytest

from modelmux.ir import events as ev
from modelmux.ir.parts import Citation, Reasoning, Text, ToolCall
from modelmux.ir.request import Envelope
from modelmux.ir.response import Failure, Response, Usage
from modelmux.wire.framing import sse
from modelmux.wire.gemini.response import AS_ARRAY
from modelmux.wire.gemini.stream_encode import Encoder
from tests.support.cases import case

RESPONSE = Response(
    "r",
    "m",
    (
        Reasoning("hm", "c2ln", origin="anthropic.messages"),
        Text("ab", (Citation("https://a"),)),
        ToolCall("toolu_1", "f", '{"a":1}'),
    ),
    "tool_call",
    Usage(3, 4),
)


def encode(events: list[ev.Event], *spelling: str) -> bytes:
    encoder = Encoder(Envelope("asked", stream=True, spelling=frozenset(spelling)))
    return b"".join([encoder.encode(event) for event in events])


def pieces(events: list[ev.Event]) -> list[dict[str, object]]:
    return [msgspec.json.decode(frame.data) for frame in sse.Decoder().feed(encode(events))]


def test_an_answer_of_another_wire_is_told_piece_by_piece() -> None:
    told = pieces(list(ev.unfold(RESPONSE)))
    assert all(each["modelVersion"] == "asked" and each["responseId"] == "r" for each in told)
    first = [each["candidates"][0] for each in told]  # type: ignore[index]
    contents = [c["content"]["parts"][0] for c in first]
    assert contents[0] == {"text": "hm", "thought": True}
    assert set(contents[1]) == {"text", "thought", "thoughtSignature"}
    assert contents[2] == {"text": "ab"}
    assert first[3]["citationMetadata"] == {"citations": [{"uri": "https://a"}]}
    assert contents[4] == {"functionCall": {"name": "f", "args": {"a": 1}, "id": "toolu_1"}}
    assert first[5]["finishReason"] == "STOP"
    assert told[5]["usageMetadata"] == {
        "promptTokenCount": 3,
        "candidatesTokenCount": 4,
        "totalTokenCount": 7,
    }


def test_every_piece_has_content_because_the_sdk_forgets_answers_without() -> None:
    for each in pieces(list(ev.unfold(RESPONSE))):
        assert each["candidates"][0]["content"]["parts"]  # type: ignore[index]


@case(25)
def test_a_call_that_comes_in_pieces_is_told_whole() -> None:
    events: list[ev.Event] = [
        ev.Start("r", "m"),
        ev.PartStart(0, ToolCall("1", "f")),
        ev.PartDelta(0, '{"a":'),
        ev.PartDelta(0, "1}"),
        ev.PartEnd(0),
    ]
    (told,) = pieces(events)
    assert told["candidates"][0]["content"]["parts"][0]["functionCall"]["args"] == {"a": 1}  # type: ignore[index]


@case(99)
def test_a_stream_can_be_one_json_array() -> None:
    told = msgspec.json.decode(encode(list(ev.unfold(RESPONSE)), AS_ARRAY))
    assert told == pieces(list(ev.unfold(RESPONSE)))


@case(92)
@pytest.mark.parametrize("spelling", [(), (AS_ARRAY,)])
def test_a_failure_is_the_last_thing_said(spelling: tuple[str, ...]) -> None:
    fail = ev.Fail(Failure("overloaded", "busy", status=503))
    begun: list[ev.Event] = [ev.Start("r", "m"), ev.PartStart(0, Text("a")), fail]
    data = encode(begun, *spelling)
    if spelling:
        assert msgspec.json.decode(data)[-1]["error"]["status"] == "UNAVAILABLE"
    else:
        assert b'"finishReason"' not in data
        assert data.rstrip().splitlines()[-1].startswith(b'data: {"error":')


def test_pings_and_empty_thoughts_are_not_told() -> None:
    silent: list[ev.Event] = [
        ev.Ping(),
        ev.Start("", ""),
        ev.PartStart(0, Reasoning(origin="openai.chat")),
        ev.PartEnd(0),
    ]
    assert Encoder(Envelope("", stream=True)).encode(ev.Ping()) == b""
    assert encode(silent) == b""
