import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from modelmux.errors import Interrupted
from modelmux.ir import events as ev
from modelmux.ir.parts import (
    Blob,
    Citation,
    Extra,
    File,
    Generic,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.response import Failure, Response, Usage

START, FINISH, PING = ev.Start("id", "model"), ev.Finish("stop"), ev.Ping()
FAIL = ev.Fail(Failure("overloaded", "busy", code="529"))


def part(index: int) -> list[ev.Event]:
    return [ev.PartStart(index, Text()), ev.PartDelta(index, "a"), ev.PartEnd(index)]


TEXT = st.text(max_size=5)
CITATIONS = st.lists(st.builds(Citation, url=TEXT), max_size=2).map(tuple)
EXTRA = st.sampled_from([None, Extra("w", {"/a": Raw(b"1")})])
PARTS = st.one_of(
    st.builds(Text, TEXT, CITATIONS, extra=EXTRA),
    st.builds(Refusal, TEXT),
    st.builds(Reasoning, TEXT, st.none() | TEXT, st.none() | TEXT, TEXT),
    st.builds(ToolCall, TEXT, TEXT, TEXT, st.booleans(), extra=EXTRA),
    st.builds(ServerToolCall, TEXT, TEXT, TEXT, TEXT),
    st.just(ServerToolResult("i", "t", "w", Raw(b"{}"))),
    st.just(Generic("t", "w", Raw(b"{}"))),
    st.just(Blob("audio", "audio/wav", "UklG")),
    st.just(Uri("image", "https://x")),
    st.just(File("document", "f", "w")),
)
RESPONSES = st.builds(
    Response,
    TEXT,
    TEXT,
    st.lists(PARTS, max_size=4).map(tuple),
    st.sampled_from(["stop", "length", "tool_call", "content_filter", "error"]),
    st.builds(Usage, st.integers(0, 9), st.integers(0, 9)),
    st.none() | TEXT,
    st.integers(0, 9),
    EXTRA,
)


@given(RESPONSES)
def test_folding_undoes_unfolding(response):
    events = list(ev.unfold(response))
    ev.check(events)
    assert ev.fold(events) == response


@pytest.mark.parametrize(
    "events",
    [
        [START, FINISH],
        [START, *part(0), *part(1), FINISH],
        [PING, START, PING, ev.PartStart(0, Text()), PING, ev.PartEnd(0), PING, FINISH],
        [FAIL],
        [START, FAIL],
        [START, ev.PartStart(0, Text()), FAIL],
        [START, *part(0), FAIL],
    ],
    ids=range(7),
)
def test_streams_of_the_grammar_are_accepted(events):
    ev.check(events)


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        ([], "ended while idle"),
        ([START], "ended while open"),
        ([START, ev.PartStart(0, Text())], "ended while part"),
        ([FINISH], "Finish while idle"),
        ([START, START], "Start while open"),
        ([*part(0)], "PartStart while idle"),
        ([START, ev.PartDelta(0, "a")], "PartDelta while open"),
        ([START, ev.PartEnd(0)], "PartEnd while open"),
        ([START, ev.PartStart(0, Text()), ev.PartStart(1, Text())], "PartStart while part"),
        ([START, ev.PartStart(0, Text()), FINISH], "Finish while part"),
        ([START, ev.PartStart(1, Text())], "expected index 0"),
        ([START, *part(0), ev.PartStart(0, Text())], "expected index 1"),
        ([START, ev.PartStart(0, Text()), ev.PartDelta(1, "a")], "expected index 0"),
        ([START, FINISH, FINISH], "Finish while done"),
        ([START, FINISH, PING], "Ping while done"),
        ([FAIL, FAIL], "Fail while done"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_grammar_does_not_allow_is_refused(events, complaint):
    with pytest.raises(AssertionError, match=complaint):
        ev.check(events)


def test_a_failed_stream_is_no_response():
    with pytest.raises(Interrupted, match="busy") as caught:
        ev.fold([START, *part(0), FAIL])
    assert caught.value.upstream_code == "529"


def test_a_stream_without_an_end_is_no_response():
    with pytest.raises(Interrupted, match="before it was finished"):
        ev.fold([START, *part(0)])


def test_pings_are_not_part_of_the_response():
    assert ev.fold([PING, START, *part(0), PING, FINISH]) == ev.fold([START, *part(0), FINISH])


@pytest.mark.parametrize(
    ("at_start", "at_end", "expected"),
    [
        (None, None, None),
        ({"/a": Raw(b"1")}, None, {"/a": Raw(b"1")}),
        (None, {"/b": Raw(b"2")}, {"/b": Raw(b"2")}),
        (
            {"/a": Raw(b"1"), "/b": Raw(b"1")},
            {"/b": Raw(b"2")},
            {"/a": Raw(b"1"), "/b": Raw(b"2")},
        ),
    ],
)
def test_unknown_fields_of_start_and_end_are_collected(at_start, at_end, expected):
    start = ev.Start("id", "model", extra=Extra("w", at_start) if at_start else None)
    finish = ev.Finish("stop", extra=Extra("w", at_end) if at_end else None)
    extra = ev.fold([start, finish]).extra
    assert (extra and extra.fields) == expected


def test_unknown_fields_of_two_wires_are_not_mixed():
    start = ev.Start("id", "model", extra=Extra("v", {"/a": Raw(b"1")}))
    finish = ev.Finish("stop", extra=Extra("w", {"/b": Raw(b"2")}))
    assert ev.fold([start, finish]).extra == finish.extra


CITED = Citation(url="https://x")


@pytest.mark.parametrize(
    ("part", "deltas", "expected"),
    [
        (Text("a"), ["b", "c"], Text("abc")),
        (Text("a"), [CITED], Text("a", (CITED,))),
        (Refusal("a"), ["b"], Refusal("ab")),
        (Reasoning("a"), ["b"], Reasoning("ab")),
        (Reasoning("a", ""), ["b"], Reasoning("ab", "")),
        (ToolCall("i", "n"), ["{", "}"], ToolCall("i", "n", "{}")),
        (ServerToolCall("i", "n"), ["{}"], ServerToolCall("i", "n", "{}")),
        (Blob("audio", "audio/wav", "UklG"), ["AAAA"], Blob("audio", "audio/wav", "UklGAAAA")),
        (ToolResult("i"), ["x"], ToolResult("i")),
        (Uri("image", "u"), ["x"], Uri("image", "u")),
        (File("image", "f", "w"), ["x"], File("image", "f", "w")),
        (Generic("t", "w", Raw(b"1")), ["x"], Generic("t", "w", Raw(b"1"))),
        (ServerToolResult("i", "t", "w", Raw(b"1")), ["x"], None),
        (Text("a"), [], Text("a")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_part_grows_by_its_deltas(part, deltas, expected):
    events = [
        ev.PartDelta(0, citation=delta) if isinstance(delta, Citation) else ev.PartDelta(0, delta)
        for delta in deltas
    ]
    assert ev.grow(part, events) == (expected or part)


def test_a_signature_grows_beside_the_text():
    deltas = [ev.PartDelta(0, "b", signature="x"), ev.PartDelta(0, signature="y")]
    assert ev.grow(Reasoning("a"), deltas) == Reasoning("ab", "xy")
