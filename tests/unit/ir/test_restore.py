import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.ir import events as ev
from modelmux.ir.parts import Citation, Reasoning, Text, ToolCall
from modelmux.ir.response import Response
from modelmux.ir.restore import Restore, restore_events, restore_response
from tests.support.cases import case

START = ev.Start("id", "model")
FENCED = Restore(fenced_json=True)


def response(*parts, reason="stop"):
    return Response("id", "model", parts, reason)


def streamed(pieces, restore):
    """What is left of a text that comes in pieces."""
    deltas = [ev.PartDelta(0, piece) for piece in pieces]
    events = [START, ev.PartStart(0, Text()), *deltas, ev.PartEnd(0), ev.Finish("stop")]
    restored = list(restore_events(events, restore))
    ev.check(restored)
    (part,) = ev.fold(restored).parts
    return part.text


@case(39)
def test_the_form_of_an_answer_that_was_a_tool_is_a_text():
    form = Restore(format_tool="answer")
    told = response(ToolCall("i", "answer", '{"a":1}'), reason="tool_call")
    assert restore_response(told, form) == response(Text('{"a":1}'), reason="stop")


@case(39)
def test_the_form_of_an_answer_is_streamed_as_it_comes():
    events = [
        START,
        ev.PartStart(0, ToolCall("i", "answer", "{")),
        ev.PartDelta(0, '"a":1'),
        ev.PartDelta(0, "}"),
        ev.PartEnd(0),
        ev.Finish("tool_call"),
    ]
    restored = list(restore_events(events, Restore(format_tool="answer")))
    assert restored == [
        START,
        ev.PartStart(0, Text("{")),
        *events[2:5],
        ev.Finish("stop"),
    ]


def test_a_call_of_the_callers_own_tool_stays_a_call():
    form = Restore(format_tool="answer")
    told = response(ToolCall("i", "f", "{}"), reason="tool_call")
    assert restore_response(told, form) == told


@case(41)
def test_a_call_beside_the_form_of_the_answer_keeps_its_finish_reason():
    told = response(ToolCall("i", "answer", "{}"), ToolCall("j", "f", "{}"), reason="tool_call")
    restored = restore_response(told, Restore(format_tool="answer"))
    assert restored == response(Text("{}"), ToolCall("j", "f", "{}"), reason="tool_call")


@pytest.mark.parametrize("reason", ["length", "content_filter", "error"])
def test_other_finish_reasons_stay(reason):
    told = response(ToolCall("i", "answer", "{"), reason=reason)
    assert restore_response(told, Restore(format_tool="answer")).reason == reason


def test_without_a_form_a_call_stays_a_call():
    told = response(ToolCall("i", "f", "{}"), reason="tool_call")
    assert restore_response(told, Restore()) == told


@case(29)
def test_tools_have_the_callers_names_again():
    told = response(ToolCall("i", "a_b"), ToolCall("j", "c"), Reasoning("a_b"), reason="tool_call")
    restored = restore_response(told, Restore(tool_names={"a_b": "a.b"}))
    assert restored.parts == (ToolCall("i", "a.b"), ToolCall("j", "c"), Reasoning("a_b"))


FENCES = [
    ('```json\n{"a":1}\n```', '{"a":1}'),
    ('```\n{"a":1}\n```', '{"a":1}'),
    ('\n ```JSON\n\n{"a":1}\n\n``` \n', '{"a":1}'),
    ('```json\n{"a":1}```', '{"a":1}'),
    ('```json {"a":1} ```', '{"a":1}'),
    ('```json\n{"a":1}\n```\nI hope this helps! ```x```', '{"a":1}'),
    ('```json\n{"a":"x```y"}\n```', '{"a":"x```y"}'),
    ('```json\n{"a":"b`"}\n```', '{"a":"b`"}'),
    ('```json\n{\n  "a": 1\n}\n```', '{\n  "a": 1\n}'),
    ('```json\n{"a": "cut of', '{"a": "cut of'),
    ("```json\n```", ""),
    ("```json\n", ""),
    ("``", "``"),
    ("", ""),
]


@case(42)
@pytest.mark.parametrize(("text", "inside"), FENCES)
def test_a_fence_round_the_whole_is_removed(text, inside):
    assert restore_response(response(Text(text)), FENCED).parts == (Text(inside),)
    assert streamed(text, FENCED) == inside


@pytest.mark.parametrize(
    "text", ['{"a":1}', ' {"a":1}\n', "say ```x```", "`a`", "{`", '{"a":"```"}', "[1]\n```\n2\n```"]
)
def test_a_text_that_does_not_begin_with_a_fence_stays(text):
    assert streamed([text], FENCED) == text
    assert streamed(text, FENCED) == text


@given(st.text('`{}\n j"1', max_size=30), st.lists(st.integers(0, 30)))
def test_a_fence_in_pieces_is_the_same_fence(text, cuts):
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    assert streamed(pieces, FENCED) == streamed([text], FENCED) == streamed(text, FENCED)


def test_text_within_a_fence_is_passed_on_before_its_end():
    events = [START, ev.PartStart(0, Text()), ev.PartDelta(0, '```json\n{"a":')]
    assert list(restore_events(events, FENCED))[-1] == ev.PartDelta(0, '{"a":')


def test_a_fence_that_begins_with_its_part_is_removed():
    events = [START, ev.PartStart(0, Text("```json\n[")), ev.PartDelta(0, "1]\n```"), ev.PartEnd(0)]
    assert list(restore_events(events, FENCED)) == [
        START,
        ev.PartStart(0, Text("[")),
        ev.PartDelta(0, "1]"),
        ev.PartEnd(0),
    ]


def test_each_text_has_its_own_fence():
    told = response(Text("```\n1\n```"), Text("```\n2\n```"))
    assert restore_response(told, FENCED).parts == (Text("1"), Text("2"))


def test_citations_of_a_fenced_text_are_kept():
    cited = ev.PartDelta(0, citation=Citation(url="https://x"))
    events = [START, ev.PartStart(0, Text()), cited, ev.PartDelta(0, "`"), cited, ev.PartEnd(0)]
    restored = list(restore_events(events, FENCED))
    assert restored == [*events[:3], cited, ev.PartDelta(0, "`"), ev.PartEnd(0)]


@case(42)
def test_a_fence_is_left_alone_where_nobody_asked_for_json():
    assert streamed(["```json\n1\n```"], Restore()) == "```json\n1\n```"


def test_calls_and_thoughts_are_no_fenced_texts():
    told = response(Reasoning("```\nx\n```"), ToolCall("i", "f", "```"))
    assert restore_response(told, FENCED) == told


def test_the_function_of_a_custom_tool_gives_free_text_again() -> None:
    restore = Restore(tool_names={"a_b": "a.b"}, custom_tools=frozenset({"a.b"}))
    call = ToolCall("1", "a_b", '{"input":"x\\ny"}')
    response = Response("r", "m", (call,), "tool_call")
    restored = restore_response(response, restore)
    assert restored.parts == (ToolCall("1", "a.b", "x\ny", custom=True),)


def test_arguments_that_are_not_those_of_a_custom_tool_stay() -> None:
    restore = Restore(custom_tools=frozenset({"f"}))
    response = Response("r", "m", (ToolCall("1", "f", "not JSON"), ToolCall("2", "g")), "tool_call")
    first, second = restore_response(response, restore).parts
    assert first == ToolCall("1", "f", "not JSON", custom=True)
    assert second == ToolCall("2", "g")
