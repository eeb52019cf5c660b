import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from modelmux.ir import events as ev
from modelmux.ir.parts import (
    Citation,
    Extra,
    Generic,
    Reasoning,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
)
from modelmux.ir.response import Usage
from modelmux.wire.anthropic_messages import response as responses
from modelmux.wire.anthropic_messages import stream_decode
from modelmux.wire.anthropic_messages.schema import NAME
from modelmux.wire.anthropic_messages.stream_decode import INTERRUPTED, Decoder
from modelmux.wire.framing import sse
from tests.support.cases import case
from tests.support.goldens import goldens

OWN = [golden for golden in goldens("stream.txt") if golden.wire_name == NAME]


def frame(type_: str, **fields: object) -> bytes:
    return sse.encode(msgspec.json.encode({"type": type_, **fields}), type_)


def start(**fields: object) -> bytes:
    message = {"id": "msg_1", "model": "claude", "usage": {"input_tokens": 25, "output_tokens": 1}}
    return frame("message_start", message={**message, **fields})


def opened(index: int, **block: object) -> bytes:
    return frame("content_block_start", index=index, content_block=block)


def delta(index: int, type_: str, **fields: object) -> bytes:
    return frame("content_block_delta", index=index, delta={"type": type_, **fields})


def text(index: int, words: str) -> bytes:
    return delta(index, "text_delta", text=words)


def json(index: int, piece: str) -> bytes:
    return delta(index, "input_json_delta", partial_json=piece)


def closed(index: int) -> bytes:
    return frame("content_block_stop", index=index)


TEXT = {"type": "text", "text": ""}
CALL = {"type": "tool_use", "id": "i", "name": "f", "input": {}}
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
STOP = frame("message_stop")
END = frame("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 15}) + STOP


def decode(*chunks: bytes) -> list[ev.Event]:
    decoder = Decoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.finish()
    ev.check(events)
    return events


def parts(*chunks: bytes) -> list[object]:
    return list(ev.fold(decode(start(), *chunks, END)).parts)


def failed(*chunks: bytes) -> tuple[str, str]:
    last = decode(*chunks)[-1]
    assert isinstance(last, ev.Fail)
    return last.failure.code, last.failure.message


def test_a_text_is_streamed_as_it_comes():
    events = decode(
        start(), opened(0, **TEXT), text(0, "Good"), PING, text(0, "lo"), closed(0), END
    )
    usage = Usage(25, 1, extra=Extra(NAME, {}))
    assert events == [
        ev.Start("msg_1", "claude", usage=usage),
        ev.PartStart(0, Text()),
        ev.PartDelta(0, "Good"),
        ev.Ping(),
        ev.PartDelta(0, "lo"),
        ev.PartEnd(0),
        ev.Finish("stop", Usage(25, 15, extra=Extra(NAME, {}))),
    ]


def test_every_event_leaves_with_the_chunk_that_brings_it():
    decoder = Decoder()
    chunks = [start(), opened(0, **TEXT), text(0, "a"), text(0, "b"), closed(0)]
    assert [len(decoder.feed(chunk)) for chunk in chunks] == [1, 1, 1, 1, 1]


@pytest.mark.parametrize("golden", OWN, ids=str)
def test_a_chunk_for_each_frame_gives_the_same_events_as_one_for_all(golden):
    data = golden.read()
    frames = [piece + b"\n\n" for piece in data.split(b"\n\n") if piece]
    assert decode(*frames) == decode(data)


@pytest.mark.parametrize("golden", OWN, ids=str)
def test_a_stream_says_what_the_whole_answer_says(golden):
    whole = golden.path.with_name("response.json")
    # These goldens show different answers in their stream and as a whole.
    if not whole.exists() or golden.case in {"documents", "unknown-fields", "plain-text"}:
        return
    streamed = ev.fold(decode(golden.read()))
    response = responses.decode(whole.read_bytes())
    assert [type(part) for part in streamed.parts] == [type(part) for part in response.parts]
    assert streamed.reason == response.reason
    assert streamed.stop_sequence == response.stop_sequence


@case(21)
@pytest.mark.parametrize("pieces", [[], [""], ["", ""], ["{}"], ["", "{}"], ["{", "}"]])
def test_a_call_without_arguments_has_an_empty_object(pieces):
    chunks = [json(0, piece) for piece in pieces]
    assert parts(opened(0, **CALL), *chunks, closed(0)) == [ToolCall("i", "f", "{}")]


def test_arguments_that_come_with_the_start_count_if_no_others_do():
    given_at_start = opened(0, **{**CALL, "input": {"a": 1}})
    assert parts(given_at_start, closed(0)) == [ToolCall("i", "f", '{"a":1}')]
    assert parts(given_at_start, json(0, '{"b":2}'), closed(0)) == [ToolCall("i", "f", '{"b":2}')]


def test_a_call_may_come_without_a_word_of_its_input():
    call = {"type": "tool_use", "id": "i", "name": "f"}
    assert parts(opened(0, **call), closed(0)) == [ToolCall("i", "f", "{}")]


@case(55, 57)
def test_a_signature_is_neither_text_nor_lost():
    events = decode(
        start(),
        opened(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="c2ln"),
        closed(0),
        END,
    )
    assert events[2:4] == [ev.PartDelta(0, "hm"), ev.PartDelta(0, signature="c2ln")]
    assert ev.fold(events).parts == (Reasoning("hm", "c2ln", origin=NAME),)


@case(56)
def test_redacted_thinking_comes_whole():
    block = {"type": "redacted_thinking", "data": "opaque"}
    assert parts(opened(0, **block), closed(0)) == [Reasoning(encrypted="opaque", origin=NAME)]


@case(57, 78)
def test_citations_support_the_block_they_came_in():
    cited = {"type": "web_search_result_location", "url": "u"}
    raw = Raw(msgspec.json.encode(cited))
    got = parts(
        opened(0, **TEXT), text(0, "So "), closed(0),
        opened(1, **TEXT, citations=[cited]), delta(1, "citations_delta", citation=cited),
        text(1, "it is"), closed(1),
    )  # fmt: skip
    expected = Citation("u", None, None, 3, 8, NAME, raw)
    assert got == [Text("So "), Text("it is", (expected, expected))]


@case(33)
def test_what_the_providers_tools_do_is_streamed_too():
    result = {"type": "web_search_tool_result", "tool_use_id": "i", "content": []}
    call = {"type": "server_tool_use", "id": "i", "name": "web_search", "input": {}}
    mcp = {**CALL, "type": "mcp_tool_use", "server_name": "s"}
    got = parts(
        opened(0, **call), json(0, '{"q":'), json(0, "1}"), closed(0),
        opened(1, **result), closed(1),
        opened(2, **mcp), json(2, "{}"), closed(2),
    )  # fmt: skip
    assert got[:2] == [
        ServerToolCall("i", "web_search", '{"q":1}', NAME),
        ServerToolResult("i", "web_search_tool_result", NAME, Raw(msgspec.json.encode(result))),
    ]
    assert isinstance(got[2], ServerToolCall)
    assert got[2].arguments == "{}"


def test_a_block_that_nobody_knows_comes_whole_when_it_has_ended():
    block = {"type": "hologram", "caption": "a", "depth": None, "input": {}}
    decoder = Decoder()
    decoder.feed(start())
    for chunk in (
        opened(0, **block),
        delta(0, "caption_delta", caption="b"),
        delta(0, "caption_delta", caption="c"),
        delta(0, "depth_delta", depth=3, note="x"),
        json(0, '{"a"'),
        json(0, ":1}"),
    ):
        assert decoder.feed(chunk) == []
    begun, ended = decoder.feed(closed(0))
    assert ended == ev.PartEnd(0)
    assert isinstance(begun, ev.PartStart)
    assert isinstance(begun.part, Generic)
    assert msgspec.json.decode(begun.part.raw) == {
        "type": "hologram",
        "caption": "abc",
        "depth": 3,
        "note": "x",
        "input": {"a": 1},
    }


def test_a_block_that_nobody_knows_and_gets_no_delta_is_the_bytes_that_came():
    raw = b'{ "type" : "hologram" }'
    begin = b'data: {"type":"content_block_start","index":0,"content_block":%b}\n\n' % raw
    assert parts(begin, closed(0)) == [Generic("hologram", NAME, Raw(raw))]


def test_arguments_that_were_cut_off_are_none_for_a_block_that_nobody_knows():
    (part,) = parts(opened(0, type="x"), json(0, '{"a'), closed(0))
    assert isinstance(part, Generic)
    assert msgspec.json.decode(part.raw) == {"type": "x", "input": {}}


@case(24)
def test_blocks_that_overlap_are_told_one_after_the_other():
    events = decode(
        start(),
        opened(0, **CALL), opened(1, **{**CALL, "id": "j"}), opened(2, **TEXT),
        json(1, '{"b":'), json(0, '{"a":'), text(2, "x"), json(1, "2}"), json(0, "1}"),
        closed(1), closed(0), text(2, "y"), closed(2),
        END,
    )  # fmt: skip
    assert ev.fold(events).parts == (
        ToolCall("i", "f", '{"a":1}'),
        ToolCall("j", "f", '{"b":2}'),
        Text("xy"),
    )
    # The first is live from its start, and the third from the end of the second.
    assert events[2:4] == [ev.PartDelta(0, '{"a":'), ev.PartDelta(0, "1}")]
    assert events[-3:-1] == [ev.PartDelta(2, "y"), ev.PartEnd(2)]


@case(24)
@given(st.data())
def test_any_order_of_overlapping_blocks_says_the_same(data):
    pieces = st.lists(st.text("ab", min_size=1), max_size=3)
    words = data.draw(st.lists(pieces, min_size=1, max_size=4))
    queues = [
        [opened(i, **TEXT), *(text(i, word) for word in said), closed(i)]
        for i, said in enumerate(words)
    ]
    chunks = [queues[0].pop(0)]
    begun = 1
    while any(queues):
        open_ = [queue for queue in queues[:begun] if queue]
        if begun < len(queues) and (not open_ or data.draw(st.booleans())):
            chunks.append(queues[begun].pop(0))
            begun += 1
        else:
            chunks.append(data.draw(st.sampled_from(open_)).pop(0))
    assert parts(*chunks) == [Text("".join(said)) for said in words]


@case(24)
def test_what_waits_behind_an_open_block_is_bounded(monkeypatch):
    monkeypatch.setattr(stream_decode, "MAX_WAITING_BYTES", 1_000)
    behind = [opened(0, **TEXT), opened(1, **TEXT)]
    code, message = failed(start(), *behind, *[text(1, "x" * 10)] * 100)
    assert code == "protocol_violation"
    assert "still open" in message
    assert failed(start(), *[opened(i, **TEXT) for i in range(100)])[0] == "protocol_violation"
    assert failed(start(), opened(0, type="x"), *[json(0, "y" * 10)] * 100)[0] == (
        "protocol_violation"
    )


def test_what_no_longer_waits_does_not_count(monkeypatch):
    monkeypatch.setattr(stream_decode, "MAX_WAITING_BYTES", 1_000)
    chunks = [
        chunk
        for i in range(0, 40, 2)
        for chunk in (
            opened(i, **TEXT),
            opened(i + 1, **TEXT),
            text(i + 1, "x" * 100),
            closed(i),
            closed(i + 1),
        )
    ]
    assert len(parts(*chunks)) == 40


@case(97)
def test_blocks_that_are_left_open_end_with_the_answer():
    assert parts(opened(0, **TEXT), text(0, "a"), opened(1, **CALL), opened(2, **TEXT)) == [
        Text("a"),
        ToolCall("i", "f", "{}"),
        Text(),
    ]


@case(97)
def test_a_second_start_is_passed_over():
    again = start(id="msg_2")
    events = decode(start(), again, opened(0, **TEXT), again, closed(0), END)
    assert [event.id for event in events if isinstance(event, ev.Start)] == ["msg_1"]


def test_the_numbers_of_blocks_need_not_be_in_order():
    assert parts(opened(7, **TEXT), text(7, "a"), closed(7), opened(3, **TEXT), closed(3)) == [
        Text("a"),
        Text(),
    ]


def test_a_delta_of_another_kind_than_its_block_says_nothing():
    assert parts(opened(0, **TEXT), json(0, "{}"), text(0, "a"), closed(0)) == [Text("a")]


def test_text_at_the_start_of_a_block_counts():
    assert parts(opened(0, type="text", text="a"), text(0, "b"), closed(0)) == [Text("ab")]


@case(80, 81, 83)
def test_usage_is_what_the_last_event_said_of_each_count():
    events = decode(
        start(usage={"input_tokens": 25, "output_tokens": 1, "service_tier": "batch"}),
        frame("message_delta", delta={}, usage={"output_tokens": 10, "later": 1}),
        frame("message_delta", delta={"stop_reason": "end_turn"}),
        frame(
            "message_delta",
            delta={},
            usage={"output_tokens": 15, "input_tokens": None, "cache_read_input_tokens": 5},
        ),
        STOP,
    )
    assert events[-1] == ev.Finish(
        "stop",
        Usage(
            30, 15, 5, extra=Extra(NAME, {"/service_tier": Raw(b'"batch"'), "/later": Raw(b"1")})
        ),
    )


@case(73)
def test_a_stop_reason_is_not_forgotten():
    events = decode(
        start(),
        frame("message_delta", delta={"stop_reason": "stop_sequence", "stop_sequence": "END"}),
        frame("message_delta", delta={"stop_reason": None}, usage={"output_tokens": 2}),
        STOP,
    )
    last = events[-1]
    assert isinstance(last, ev.Finish)
    assert (last.reason, last.stop_sequence, last.extra) == ("stop", "END", None)


@case(54, 73)
def test_what_has_no_neutral_word_is_kept():
    events = decode(
        start(container=None, x=1),
        frame(
            "message_delta",
            delta={"stop_reason": "pause_turn", "container": {"id": "c"}},
            context_management={"applied_edits": []},
        ),
        STOP,
    )
    first, last = events
    assert isinstance(first, ev.Start)
    assert isinstance(last, ev.Finish)
    assert first.extra == Extra(NAME, {"/container": Raw(b"null"), "/x": Raw(b"1")})
    assert last.extra == Extra(
        NAME,
        {
            "/container": Raw(b'{"id":"c"}'),
            "/context_management": Raw(b'{"applied_edits":[]}'),
            "/stop_reason": Raw(b'"pause_turn"'),
        },
    )


@case(95)
def test_pings_and_comments_say_that_the_target_is_alive():
    events = decode(PING, b": processing\n\n", start(), opened(0, **TEXT), PING, closed(0), END)
    assert [type(event) for event in events] == [
        ev.Ping, ev.Ping, ev.Start, ev.PartStart, ev.Ping, ev.PartEnd, ev.Finish,
    ]  # fmt: skip


def test_events_of_a_later_version_are_passed_over():
    later = frame("weather_report", sunny=True, error=None)
    assert decode(later, start(), later, END) == decode(start(), END)


@case(92)
@pytest.mark.parametrize(
    "before", [[], [start()], [start(), opened(0, **TEXT), text(0, "Good")]], ids=range(3)
)
def test_an_error_ends_the_stream(before):
    error = {"type": "overloaded_error", "message": "busy"}
    events = decode(*before, frame("error", error=error), END)
    last = events[-1]
    assert isinstance(last, ev.Fail)
    assert (last.failure.kind, last.failure.message, last.failure.status) == (
        "overloaded",
        "busy",
        529,
    )


@case(92)
def test_an_error_in_another_apis_form_ends_the_stream():
    error = b'data: {"error":{"message":"quota exceeded","code":429}}\n\n'
    assert failed(start(), error)[1] == "quota exceeded"


@case(93)
@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [start()],
        [start(), opened(0, **TEXT), text(0, "Good")],
        [start(), END[: -len(STOP)]],
        [start(), END[:-30]],
        [start(), END[: -len(STOP)], b"event: message_stop\ndata: {"],
    ],
    ids=range(6),
)
def test_a_cut_stream_fails_and_never_finishes(chunks):
    assert decode(*chunks)[-1] == ev.Fail(INTERRUPTED)


def test_the_last_blank_line_may_be_missing():
    assert decode(start() + END.rstrip()) == decode(start(), END)


@pytest.mark.parametrize(
    "chunks",
    [
        [opened(0, **TEXT)],
        [END],
        [STOP],
        [start(), text(0, "a")],
        [start(), closed(0)],
        [start(), opened(0, **TEXT), opened(0, **TEXT)],
        [start(), opened(0, **TEXT), closed(0), text(0, "a")],
        [start(), opened(0, type="text", text=7)],
        [start(), opened(0, type=None)],
        [start(), b"data: {\n\n"],
        [start(), b"data: [DONE]\n\n"],
        [start(), b"data: \n\n"],
        [start(), b"data: {}\n\n"],
        [start(), b'data: {"type":"content_block_stop"}\n\n'],
        [start(), opened(0, type="x"), frame("content_block_delta", index=0, delta=7)],
        [start(usage={"input_tokens": "many"})],
        [start(), frame("message_delta", delta={"stop_reason": 7})],
    ],
)
def test_a_server_that_breaks_the_protocol_is_told_apart_from_one_that_breaks_off(chunks):
    assert failed(*chunks, END)[0] == "protocol_violation"


def test_after_the_end_there_is_nothing():
    decoder = Decoder()
    decoder.feed(start() + opened(0, **TEXT) + frame("error", error={}))
    assert decoder.feed(text(0, "a")) == []
    assert decoder.feed(END) == []
    assert decoder.finish() == []
    decoder = Decoder()
    decoder.feed(start() + END + b"data: [DONE]\n\n" + PING)
    assert decoder.feed(PING) == []
    assert decoder.finish() == []


def test_an_event_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    assert failed(b"data: " + b"x" * 200)[0] == "protocol_violation"


FRAMES = st.sampled_from(
    [
        start(), opened(0, **TEXT), opened(1, **CALL), opened(2, type="thinking", thinking=""),
        opened(3, type="x"), text(0, "a"), json(1, "{"), json(3, "{}"), text(3, "a"), closed(0),
        closed(1), closed(2), closed(3), PING, END, STOP, b": c\n\n", b"data: {}\n\n",
        delta(2, "thinking_delta", thinking="t"), delta(2, "signature_delta", signature="s"),
        frame("later"), frame("error", error={"type": "api_error", "message": "m"}),
    ]
)  # fmt: skip


@case(97)
@settings(max_examples=300)
@given(st.lists(FRAMES, max_size=20))
def test_any_frames_in_any_order_keep_to_the_grammar(frames):
    decode(start(), *frames)
    decode(*frames)
    assert decode(b"".join(frames)) == decode(*frames)


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_noise_ends_in_a_failure(chunks):
    assert isinstance(decode(*chunks)[-1], ev.Fail)


@case(89, 90)
@pytest.mark.parametrize("golden", OWN, ids=str)
def test_any_two_chunks_give_the_same_events(golden):
    data = golden.read()
    whole = decode(data)
    for cut in itertools.chain(range(0, len(data), 7), (len(data) - 1,)):
        assert decode(data[:cut], data[cut:]) == whole
