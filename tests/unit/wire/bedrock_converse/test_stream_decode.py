import msgspec
import pytest

from modelmux.ir import events as ev
from modelmux.ir.parts import Generic, Reasoning, Text, ToolCall
from modelmux.wire.bedrock_converse import stream_decode
from modelmux.wire.bedrock_converse.stream_decode import Decoder
from modelmux.wire.framing import eventstream
from tests.support.cases import case
from tests.support.goldens import ROOT, Golden


def golden(name: str) -> bytes:
    path = ROOT / "bedrock.converse" / name / "stream.txt"
    return Golden("bedrock.converse", name, path).read()


def frame(name: str, **payload: object) -> bytes:
    return eventstream.event(name, msgspec.json.encode(payload))


def decoded(*data: bytes) -> list[ev.Event]:
    decoder = Decoder()
    events = [event for piece in data for event in decoder.feed(piece)] + decoder.finish()
    ev.check(events)
    return events


def failed(*data: bytes) -> ev.Fail:
    last = decoded(*data)[-1]
    assert isinstance(last, ev.Fail)
    return last


START = frame("messageStart", role="assistant")
TEXT = frame("contentBlockDelta", contentBlockIndex=0, delta={"text": "hi"})
STOP = frame("contentBlockStop", contentBlockIndex=0)
END = frame("messageStop", stopReason="end_turn")


def test_text_begins_with_its_first_delta():
    events = decoded(golden("plain-text"))
    assert events[:4] == [
        ev.Start("", ""),
        ev.PartStart(0, Text()),
        ev.PartDelta(0, "Hello"),
        ev.PartDelta(0, "! How are you?"),
    ]
    assert isinstance(events[-1], ev.Finish)


@case(22, 23)
def test_blocks_are_counted_as_parts():
    starts = [e.part for e in decoded(golden("parallel-tools")) if isinstance(e, ev.PartStart)]
    assert [type(part) for part in starts] == [Text, ToolCall, ToolCall]


@case(21)
def test_a_call_without_arguments_has_an_empty_object():
    answer = ev.fold(decoded(golden("forced-tool")))
    assert [part.arguments for part in answer.parts if isinstance(part, ToolCall)] == ["{}"]


@case(24)
def test_interleaved_blocks_come_one_after_the_other_and_none_is_lost():
    answer = ev.fold(decoded(golden("interleaved-blocks")))
    assert [(p.name, p.arguments) for p in answer.parts if isinstance(p, ToolCall)] == [
        ("f", "{}"),
        ("g", '{"x":1}'),
    ]


@case(55, 56, 57)
def test_a_signature_is_neither_text_nor_lost():
    answer = ev.fold(decoded(golden("reasoning")))
    assert answer.parts[:2] == (
        Reasoning("Let me see.", "c2ln", origin="bedrock.converse"),
        Reasoning(encrypted="cmVkYWN0ZWQ=", origin="bedrock.converse"),
    )


@case(81)
def test_usage_comes_after_the_reason():
    finish = decoded(golden("usage"))[-1]
    assert isinstance(finish, ev.Finish)
    assert finish.usage.input_tokens == 1305
    assert finish.usage.cache_creation_1h_input_tokens == 100


def test_a_stream_without_usage_is_finished_all_the_same():
    finish = decoded(START, TEXT, STOP, END)[-1]
    assert isinstance(finish, ev.Finish)


@case(92, 100)
def test_an_exception_in_mid_stream_is_a_failure_with_its_kind():
    found = failed(golden("error-mid-stream")).failure
    assert (found.kind, found.status, found.message) == ("unavailable", 424, "The model failed.")
    found = failed(golden("error-first")).failure
    assert (found.kind, found.status) == ("rate_limit", 429)


@case(93)
@pytest.mark.parametrize(
    "pieces", [(), (START,), (START, TEXT), (START, TEXT, STOP), (START, END[:-1])]
)
def test_a_stream_that_is_cut_is_interrupted(pieces: tuple[bytes, ...]):
    assert failed(*pieces).failure == stream_decode.INTERRUPTED


@pytest.mark.parametrize(
    "piece",
    [
        b"\x00" * 16,
        frame("contentBlockDelta", contentBlockIndex="x", delta={}),
        frame("messageStop"),
        frame("contentBlockDelta", contentBlockIndex=0, delta={"toolUse": {"input": "{}"}}),
    ],
)
def test_what_is_against_the_wire_is_a_violation(piece: bytes):
    assert failed(START, piece).failure.code == "protocol_violation"


def test_a_stream_does_not_stop_inside_a_block():
    assert failed(START, TEXT, END).failure.code == "protocol_violation"


def test_nothing_comes_after_the_end():
    decoder = Decoder()
    decoder.feed(golden("plain-text"))
    assert decoder.feed(TEXT) == []
    assert decoder.finish() == []


def test_a_block_of_a_kind_that_is_not_known_comes_whole():
    answer = ev.fold(decoded(golden("unknown-fields")))
    generic = answer.parts[1]
    assert isinstance(generic, Generic)
    assert msgspec.json.decode(generic.raw) == {"hologram": {"a": 1, "b": 2}}


def test_what_waits_for_another_block_is_bounded():
    big = frame("contentBlockDelta", contentBlockIndex=1, delta={"text": "x" * (1024 * 1024)})
    found = failed(START, TEXT, *([big] * 9)).failure
    assert str(stream_decode.MAX_WAITING_BYTES) in found.message
