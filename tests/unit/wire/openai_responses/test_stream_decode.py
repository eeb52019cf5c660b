import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.ir import events as ev
from modelmux.ir.parts import Blob, Reasoning, Refusal, ServerToolResult, Text, ToolCall
from modelmux.ir.response import Response, Usage
from modelmux.wire.openai_responses import WIRE, stream_decode
from modelmux.wire.openai_responses.schema import NAME
from tests.support.cases import case
from tests.unit.wire.openai_responses.bodies import (
    CALL,
    COMPLETED,
    CREATED,
    PNG,
    decoded,
    failure,
    frame,
    message,
    whole,
)


def delta(text: str, kind: str = "output_text", **place: object) -> bytes:
    return frame(f"response.{kind}.delta", delta=text, **place)


def added(item: object, index: int = 0) -> bytes:
    return frame("response.output_item.added", output_index=index, item=item)


def done(item: object, index: int = 0) -> bytes:
    return frame("response.output_item.done", output_index=index, item=item)


def folded(*frames: bytes) -> Response:
    return ev.fold(decoded(CREATED, *frames, COMPLETED))


def test_a_text_comes_in_pieces():
    part = {"type": "output_text", "text": "", "annotations": []}
    stream = [
        CREATED,
        added(message(status="in_progress")),
        frame("response.content_part.added", output_index=0, content_index=0, part=part),
        delta("a"),
        delta("b") + delta("c"),
        frame("response.content_part.done", part={**part, "text": "abc"}),
        done(message("abc")),
        COMPLETED,
    ]
    found = decoded(*stream)
    assert [e.text for e in found if isinstance(e, ev.PartDelta)] == ["a", "b", "c"]
    assert found[0] == ev.Start("resp_1", "real", 7)
    assert isinstance(found[-1], ev.Finish)
    assert (found[-1].reason, found[-1].usage) == ("stop", Usage(3, 2))


@case(98)
def test_what_was_not_announced_is_taken_as_it_comes():
    assert [part.text for part in folded(delta("a"), delta("b")).parts] == ["ab"]
    only = decoded(delta("a"), COMPLETED)
    assert isinstance(only[0], ev.Start)
    assert only[0].id == ""


@case(98)
def test_what_was_not_streamed_is_taken_from_the_whole():
    assert [p.text for p in folded(added(message()), done(message("a", "b"))).parts] == ["a", "b"]
    call = {**CALL, "arguments": '{"a":1}'}
    assert folded(added({**call, "arguments": ""}), done(call)).parts[0].arguments == '{"a":1}'
    ending = frame("response.completed", response=whole(message("late")))
    assert ev.fold(decoded(CREATED, ending)).parts[0].text == "late"


@case(22, 23, 24)
def test_calls_grow_by_their_place():
    other = {**CALL, "call_id": "c2"}
    kind = "function_call_arguments"
    found = folded(
        added({**CALL, "arguments": ""}),
        added({**other, "arguments": ""}, 1),
        delta('{"b"', kind, output_index=1),
        delta('{"a"', kind),
        delta(":1}", kind, output_index=1),
        done({**CALL, "arguments": '{"a":2}'}),
        done(other, 1),
    )
    calls = [part for part in found.parts if isinstance(part, ToolCall)]
    assert [(call.id, call.arguments) for call in calls] == [("c1", '{"a"'), ("c2", '{"b":1}')]
    assert found.reason == "tool_call"


def test_a_custom_call_grows_by_its_input():
    item = {"type": "custom_tool_call", "id": "x", "call_id": "c", "name": "f", "input": ""}
    stream = (added(item), delta("ab", "custom_tool_call_input"), done({**item, "input": "ab"}))
    (call,) = folded(*stream).parts
    assert isinstance(call, ToolCall)
    assert (call.arguments, call.custom) == ("ab", True)


@case(57, 66)
def test_reasoning_is_a_summary_and_what_must_come_back():
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    kind = "reasoning_summary_text"
    paragraph = frame("response.reasoning_summary_part.added", part={"type": "summary_text"})
    stream = [
        added(item),
        paragraph,
        delta("a", kind),
        paragraph,
        delta("b", kind, summary_index=1),
        done({**item, "encrypted_content": "e"}),
    ]
    (part,) = folded(*stream).parts
    assert isinstance(part, Reasoning)
    assert (part.text, part.signature, part.origin) == ("a\n\nb", "rs_1:e", NAME)


def test_reasoning_is_told_once():
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    stream = [added(item), delta("a", "reasoning_text"), delta("s", "reasoning_summary_text")]
    (part,) = folded(*stream, done(item)).parts
    assert isinstance(part, Reasoning)
    assert part.text == "a"


@case(76)
def test_a_refusal_is_one():
    refusal = {"type": "refusal", "refusal": ""}
    begun = frame("response.content_part.added", part=refusal)
    (part,) = folded(added(message()), begun, delta("no", "refusal")).parts
    assert isinstance(part, Refusal)
    assert part.text == "no"


@case(78)
def test_sources_come_with_their_text():
    source = {"type": "url_citation", "url": "https://a", "start_index": 0, "end_index": 1}
    cited = frame("response.output_text.annotation.added", annotation=source)
    (part,) = folded(delta("a"), cited).parts
    assert isinstance(part, Text)
    assert [citation.url for citation in part.citations] == ["https://a"]


def test_what_the_provider_runs_comes_whole_and_is_a_sign_of_life_before():
    search = {"type": "web_search_call", "id": "ws", "status": "completed"}
    image = {"type": "image_generation_call", "id": "ig", "result": PNG}
    stream = [
        CREATED,
        added({**search, "status": "in_progress"}),
        frame("response.web_search_call.searching", output_index=0),
        done(search),
        added({**image, "result": None}, 1),
        done(image, 1),
        COMPLETED,
    ]
    found = decoded(*stream)
    assert ev.Ping() in found
    assert [type(part) for part in ev.fold(found).parts] == [ServerToolResult, Blob]


@case(95)
def test_comments_are_signs_of_life():
    assert decoded(b": hi\n\n", CREATED, COMPLETED)[0] == ev.Ping()


@case(92)
@pytest.mark.parametrize(
    "ending",
    [
        frame("response.failed", response=whole(error={"code": "c", "message": "boom"})),
        frame("error", code="c", message="boom"),
        frame("error", error={"code": "c", "message": "boom"}),
        b'data: {"error":{"code":"c","message":"boom"}}\n\n',
    ],
)
def test_an_error_in_the_stream_ends_it(ending: bytes):
    found = failure(CREATED, delta("a"), ending, COMPLETED)
    assert (found.message, found.code) == ("boom", "c")


@case(91, 93)
@pytest.mark.parametrize("ending", [b"", b"data: [DONE]\n\n", delta("b")[:-9]])
def test_a_stream_without_its_last_event_was_cut(ending: bytes):
    assert failure(CREATED, delta("a"), ending) == stream_decode.INTERRUPTED


@case(91)
def test_what_others_send_at_the_end_is_not_missed():
    assert decoded(CREATED, COMPLETED, b"data: [DONE]\n\n") == decoded(CREATED, COMPLETED)


@case(73, 84)
def test_an_incomplete_answer_is_finished_and_counted():
    details = {"reason": "max_output_tokens"}
    ending = frame(
        "response.incomplete", response=whole(status="incomplete", incomplete_details=details)
    )
    last = decoded(CREATED, delta("a"), ending)[-1]
    assert isinstance(last, ev.Finish)
    assert (last.reason, last.usage) == ("length", Usage(3, 2))


@pytest.mark.parametrize(
    "broken",
    [
        b"data: {\n\n",
        b"data: []\n\n",
        added(5),
        added({"type": "function_call"}),
        done({"type": "reasoning", "summary": 5}),
        done({"role": "user", "content": "x"}),
        frame("response.completed", response=5),
        frame("response.output_text.delta", delta=5),
    ],
)
def test_what_breaks_the_protocol_is_a_failure(broken: bytes):
    assert failure(CREATED, delta("a"), broken).code == "protocol_violation"


def test_items_have_a_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream_decode, "MAX_ITEMS", 2)
    found = failure(CREATED, *[added(message(), index) for index in range(3)])
    assert found.code == "protocol_violation"


TYPES = st.sampled_from(
    [*stream_decode._TAKERS, "response.completed", "response.created", "error", "x"]
)
ITEMS = st.sampled_from([None, CALL, message("a"), {"type": "reasoning", "summary": []}, {}, 5])


@given(st.lists(st.tuples(TYPES, ITEMS, st.integers(0, 2)), max_size=12))
def test_events_in_any_order_keep_the_grammar(steps: list[tuple[str, object, int]]):
    frames = [
        frame(kind, item=item, part=item, delta="d", output_index=index, content_index=index)
        for kind, item, index in steps
    ]
    decoded(CREATED, *frames)
    assert WIRE.decoder().feed(b"") == []
