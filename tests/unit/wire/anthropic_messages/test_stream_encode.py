import httpx2
import msgspec
import pytest
from anthropic.lib.streaming._beta_messages import accumulate_event
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from modelmux.ir import events as ev
from modelmux.ir.parts import (
    Blob,
    Citation,
    Extra,
    Generic,
    Part,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.request import Envelope
from modelmux.ir.response import Failure, Response, Usage
from modelmux.wire.anthropic_messages import response as responses
from modelmux.wire.anthropic_messages.schema import NAME
from modelmux.wire.anthropic_messages.stream_decode import Decoder
from modelmux.wire.anthropic_messages.stream_encode import Encoder
from modelmux.wire.framing import sse
from tests.support.cases import case
from tests.support.goldens import goldens

OWN = [golden for golden in goldens("stream.txt") if golden.wire_name == NAME]
ASKED = Envelope("the-asked-name", stream=True)
START = ev.Start("id", "their-name")


def encode(*events: ev.Event, envelope: Envelope = ASKED) -> bytes:
    encoder = Encoder(envelope)
    return b"".join(encoder.encode(event) for event in events)


def frames(data: bytes) -> list[dict[str, object]]:
    read = sse.Decoder().feed(data)
    values = [msgspec.json.decode(frame.data) for frame in read]
    assert [frame.event for frame in read] == [value["type"] for value in values]
    return values


def decode(data: bytes) -> list[ev.Event]:
    decoder = Decoder()
    events = decoder.feed(data) + decoder.finish()
    ev.check(events)
    return events


def stream(*parts: Part, reason="stop") -> list[ev.Event]:
    return list(ev.unfold(Response("id", "their-name", parts, reason)))


def blocks(*events: ev.Event) -> list[dict[str, object]]:
    """The frames of content, which a start and a finish are put round."""
    return frames(encode(START, *events, ev.Finish("stop")))[1:-2]


def part(*deltas: ev.PartDelta, of: Part) -> list[dict[str, object]]:
    return blocks(ev.PartStart(0, of), *deltas, ev.PartEnd(0))


def delta(type_: str, **fields: object) -> dict[str, object]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": type_, **fields}}


def opened(**block: object) -> dict[str, object]:
    return {"type": "content_block_start", "index": 0, "content_block": block}


CLOSED = {"type": "content_block_stop", "index": 0}
CALL = opened(type="tool_use", id="i", name="f", input={})


def json(piece: str) -> dict[str, object]:
    return delta("input_json_delta", partial_json=piece)


@case(83)
def test_a_stream_is_written():
    events = [START, ev.PartStart(0, Text()), ev.PartDelta(0, "Héllo\n"), ev.PartEnd(0)]
    finish = ev.Finish("length", Usage(30, 7, 20), None)
    assert frames(encode(*events, finish)) == [
        {
            "type": "message_start",
            "message": {
                "id": "id",
                "type": "message",
                "role": "assistant",
                "model": "the-asked-name",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {
                    "input_tokens": 0,
                    "output_tokens": 0,
                    "cache_creation_input_tokens": 0,
                    "cache_read_input_tokens": 0,
                },
            },
        },
        opened(type="text", text=""),
        delta("text_delta", text="Héllo\n"),
        CLOSED,
        {
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
            "usage": {
                "input_tokens": 10,
                "output_tokens": 7,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 20,
            },
        },
        {"type": "message_stop"},
    ]


@case(108)
def test_the_model_has_the_name_that_was_asked_for():
    (frame,) = frames(encode(START, envelope=Envelope("")))
    assert frame["message"]["model"] == "their-name"


@case(83)
def test_what_is_known_of_usage_at_the_start_is_said():
    (frame,) = frames(encode(ev.Start("id", "m", usage=Usage(30, 1, 20))))
    assert frame["message"]["usage"]["input_tokens"] == 10
    assert frame["message"]["usage"]["cache_read_input_tokens"] == 20


@case(48, 73, 76)
@pytest.mark.parametrize(
    ("parts", "finish", "said"),
    [
        ((Text("a"),), ev.Finish("stop"), ("end_turn", None)),
        ((Text("a"),), ev.Finish("stop", stop_sequence="END"), ("stop_sequence", "END")),
        ((ToolCall("i", "f"),), ev.Finish("tool_call"), ("tool_use", None)),
        ((ToolCall("i", "f"), Text("a")), ev.Finish("stop"), ("tool_use", None)),
        ((Refusal("no"),), ev.Finish("stop"), ("refusal", None)),
        ((Text("a"),), ev.Finish("content_filter"), ("refusal", None)),
    ],
)
def test_why_an_answer_ended_is_said(parts, finish, said):
    last = frames(encode(*stream(*parts)[:-1], finish))[-2]
    assert (last["delta"]["stop_reason"], last["delta"]["stop_sequence"]) == said


def test_what_a_part_holds_when_it_starts_is_a_delta():
    cited = Citation(wire=NAME, raw=Raw(b'{"type":"c"}'))
    assert part(ev.PartDelta(0, "b"), of=Text("a", (cited,))) == [
        opened(type="text", text=""),
        delta("text_delta", text="a"),
        delta("citations_delta", citation={"type": "c"}),
        delta("text_delta", text="b"),
        CLOSED,
    ]


@case(76)
def test_a_refusal_is_text():
    assert part(ev.PartDelta(0, "no"), of=Refusal()) == [
        opened(type="text", text=""),
        delta("text_delta", text="no"),
        CLOSED,
    ]


@case(21)
@pytest.mark.parametrize("deltas", [[], [ev.PartDelta(0, "")]])
def test_a_call_without_arguments_has_an_empty_object(deltas):
    assert part(*deltas, of=ToolCall("i", "f")) == [CALL, json("{}"), CLOSED]


@case(20)
def test_arguments_are_passed_on_as_they_come():
    got = part(ev.PartDelta(0, '"a'), ev.PartDelta(0, '":1}'), of=ToolCall("i", "f", "{"))
    assert got == [CALL, json("{"), json('"a'), json('":1}'), CLOSED]


@case(20)
def test_free_text_for_a_tool_is_wrapped_as_it_comes():
    got = part(
        ev.PartDelta(0, 'say "hi"\n'), ev.PartDelta(0, "é"), of=ToolCall("i", "f", custom=True)
    )
    arguments = "".join(frame["delta"]["partial_json"] for frame in got[1:-1])
    assert msgspec.json.decode(arguments) == {"input": 'say "hi"\né'}
    assert part(of=ToolCall("i", "f", custom=True))[1:-1] == [json('{"input":""}')]
    assert part(of=ToolCall("i", "f", "x", custom=True))[1:-1] == [json('{"input":"x'), json('"}')]


@case(57)
def test_a_signature_is_told_once_at_the_end():
    got = part(
        ev.PartDelta(0, "t", "si"), ev.PartDelta(0, signature="gn"), of=Reasoning(origin=NAME)
    )
    assert got == [
        opened(type="thinking", thinking="", signature=""),
        delta("thinking_delta", thinking="t"),
        delta("signature_delta", signature="sign"),
        CLOSED,
    ]
    whole = part(of=Reasoning("t", "sign", origin=NAME))
    assert whole == got


@case(56)
def test_redacted_thinking_is_told_whole():
    assert part(of=Reasoning(encrypted="o", origin=NAME)) == [
        opened(type="redacted_thinking", data="o"),
        CLOSED,
    ]


@case(58)
def test_another_providers_signature_is_told_as_its_own():
    got = part(ev.PartDelta(0, "t", "theirs"), of=Reasoning(origin="other"))
    assert got == [
        opened(type="thinking", thinking="", signature=""),
        delta("thinking_delta", thinking="t"),
        delta("signature_delta", signature="modelmux/other:s:theirs"),
        CLOSED,
    ]
    got = part(ev.PartDelta(0, "t"), of=Reasoning(encrypted="theirs", origin="other"))
    assert got[2] == delta("signature_delta", signature="modelmux/other:e:theirs")


@case(56)
@pytest.mark.parametrize(
    ("thought", "signature", "data"),
    [
        (Reasoning(origin="other"), "sig", "modelmux/other:s:sig"),
        (Reasoning(encrypted="theirs", origin="other"), "", "modelmux/other:e:theirs"),
    ],
)
def test_thinking_that_only_another_provider_can_read_is_redacted(thought, signature, data):
    got = part(ev.PartDelta(0, "", signature), of=thought)
    assert got == [opened(type="redacted_thinking", data=data), CLOSED]


@pytest.mark.parametrize(
    "nothing",
    [
        Reasoning(origin="other"),
        ServerToolCall("i", "search", origin="other"),
        ServerToolResult("i", "x", "other", Raw(b"{}")),
        Generic("x", "other", Raw(b"{}")),
        ToolResult("i"),
    ],
)
def test_parts_without_a_block_leave_no_gap_in_the_numbers(nothing):
    got = blocks(
        ev.PartStart(0, nothing), ev.PartDelta(0, ""), ev.PartEnd(0),
        ev.PartStart(1, Text()), ev.PartDelta(1, "a"), ev.PartEnd(1),
    )  # fmt: skip
    assert got == [opened(type="text", text=""), delta("text_delta", text="a"), CLOSED]


def test_a_part_without_a_block_says_nothing_whatever_comes_for_it():
    cited = ev.PartDelta(0, "{}", "s", Citation(url="u"))
    assert part(cited, of=ServerToolCall("i", "search", origin="other")) == []


def test_media_are_named_where_they_would_have_been():
    got = part(ev.PartDelta(0, "AAAA"), of=Blob("audio", "audio/wav", "UklG"))
    assert got == [opened(type="text", text="[audio: audio/wav]"), CLOSED]
    assert part(of=Uri("image", "https://x"))[0] == opened(type="text", text="[image: https://x]")


@case(33)
def test_what_this_wires_own_tools_did_is_told_as_it_was():
    server_name = Extra(NAME, {"/type": Raw(b'"mcp_tool_use"'), "/server_name": Raw(b'"s"')})
    assert part(ev.PartDelta(0, "{}"), of=ServerToolCall("i", "f", "", NAME, server_name)) == [
        opened(type="mcp_tool_use", id="i", name="f", input={}, server_name="s"),
        json("{}"),
        CLOSED,
    ]
    found = Raw(b'{\n "type": "x_tool_result",\r\n "words": "a\\nb"}')
    assert part(of=ServerToolResult("i", "x_tool_result", NAME, found)) == [
        opened(type="x_tool_result", words="a\nb"),
        CLOSED,
    ]


@case(78)
def test_citations_of_another_wire_are_of_web_pages():
    got = part(
        ev.PartDelta(0, "a", citation=Citation("https://x", "t", "c")),
        ev.PartDelta(0, citation=Citation(title="nowhere")),
        of=Text(),
    )
    assert got[1:-1] == [
        delta("text_delta", text="a"),
        delta(
            "citations_delta",
            citation={
                "type": "web_search_result_location",
                "url": "https://x",
                "title": "t",
                "cited_text": "c",
                "encrypted_index": "",
            },
        ),
    ]
    assert part(ev.PartDelta(0, citation=Citation("u")), of=Refusal())[1:-1] == []


@case(95)
def test_a_ping_is_a_ping():
    assert frames(encode(ev.Ping())) == [{"type": "ping"}]


@case(92, 103)
def test_a_failure_is_an_error_and_no_end():
    failure = Failure("overloaded", "busy", status=503)
    got = frames(encode(START, ev.PartStart(0, Text()), ev.PartDelta(0, "a"), ev.Fail(failure)))
    assert got[-1] == {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    assert "message_stop" not in [frame["type"] for frame in got]
    assert frames(encode(ev.Fail(failure))) == [got[-1]]


@case(54, 73)
def test_what_has_no_neutral_word_is_told_where_it_was():
    at_start = Extra(NAME, {"/container": Raw(b"null"), "/x": Raw(b"1")})
    at_end = Extra(
        NAME,
        {
            "/stop_reason": Raw(b'"pause_turn"'),
            "/container": Raw(b'{"id":"c"}'),
            "/context_management": Raw(b"{}"),
        },
    )
    start, last, _ = frames(
        encode(ev.Start("id", "m", extra=at_start), ev.Finish("stop", extra=at_end))
    )
    assert (start["message"]["container"], start["message"]["x"]) == (None, 1)
    assert last["delta"]["stop_reason"] == "pause_turn"
    assert last["delta"]["container"] == {"id": "c"}
    assert last["context_management"] == {}


def test_fields_of_another_wire_are_not_told():
    theirs = Extra("other", {"/x": Raw(b"1")})
    data = encode(
        ev.Start("id", "m", extra=theirs, usage=Usage(1, extra=theirs)),
        ev.Finish("stop", Usage(1, 1, extra=theirs), extra=theirs),
    )
    assert b'"x"' not in data


@case(96, 97)
@pytest.mark.parametrize("golden", OWN, ids=str)
def test_a_stream_comes_back_as_it_was(golden):
    events = decode(golden.read())
    again = decode(encode(*events, envelope=Envelope("")))
    assert [type(event) for event in again if not isinstance(event, ev.PartDelta)] == [
        type(event) for event in events if not isinstance(event, ev.PartDelta)
    ]
    if isinstance(events[-1], ev.Finish):
        assert ev.fold(again) == ev.fold(events)


PIECES = st.lists(st.text(max_size=4), max_size=3)
PARTS = st.sampled_from(
    [
        Text(),
        Text("a"),
        Refusal(),
        Reasoning(origin=NAME),
        Reasoning("t", "s", origin=NAME),
        Reasoning(origin="other"),
        Reasoning(encrypted="o", origin="other"),
        ToolCall("i", "f"),
        ToolCall("i", "f", custom=True),
        ServerToolCall("i", "web_search", "", NAME),
        ServerToolCall("i", "search", "", "other"),
        Blob("audio", "audio/wav", ""),
        Generic("compaction", NAME, Raw(b'{"type":"compaction","content":"x"}')),
    ]
)


@case(21, 22, 97)
@given(st.lists(st.tuples(PARTS, PIECES), max_size=5))
def test_the_sdk_reads_every_stream(parts):
    events: list[ev.Event] = [START]
    for index, (head, pieces) in enumerate(parts):
        json = isinstance(head, ToolCall | ServerToolCall) and not (
            isinstance(head, ToolCall) and head.custom
        )
        deltas = ['{"a":', "1}"] if json and pieces else [] if json else pieces
        events += [ev.PartStart(index, head), *(ev.PartDelta(index, d) for d in deltas)]
        events.append(ev.PartEnd(index))
    events.append(ev.Finish("stop", Usage(3, 2)))
    ev.check(events)
    snapshot, buffers, open_ = None, {}, -1
    for value in frames(encode(*events)):
        if value["type"] == "content_block_start":
            open_ += 1
        assert value.get("index", open_) == open_
        snapshot = accumulate_event(
            event=value,
            current_snapshot=snapshot,
            json_bufs=buffers,
            request_headers=httpx2.Headers(),
        )
    assert snapshot is not None
    assert snapshot.usage.output_tokens == 2
    whole = msgspec.json.decode(responses.encode(ev.fold(events), ASKED))
    empty = {"type": "thinking", "thinking": "", "signature": ""}
    expected = [block for block in whole["content"] if block != empty]
    told = [block.to_dict(exclude_none=True) for block in snapshot.content]
    assert [block for block in told if block != empty] == expected


def test_a_signature_that_comes_whole_is_sealed_too() -> None:
    part = Reasoning("", "c2ln", origin="gemini")
    encoder = Encoder(Envelope("m", stream=True))
    told = [ev.Start("r", "m"), ev.PartStart(0, part), ev.PartEnd(0)]
    data = b"".join([encoder.encode(event) for event in told])
    assert b'"data":"modelmux/gemini:s:c2ln"' in data
