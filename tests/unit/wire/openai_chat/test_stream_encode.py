import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from modelmux.ir import events as ev
from modelmux.ir.parts import (
    Blob,
    Citation,
    Extra,
    Part,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    Uri,
)
from modelmux.ir.request import Envelope
from modelmux.ir.response import Failure, FinishReason, Response, Usage
from modelmux.wire.openai_chat import WIRE, audio, calls, reasoning
from modelmux.wire.openai_chat.schema import NAME
from tests.support.cases import case
from tests.unit.wire.openai_chat.chat import ENVELOPE, PNG, deltas, events, stream

START = ev.Start("r1", "real", 7)
FINISH = ev.Finish("stop")
LEGACY = replace(ENVELOPE, spelling=frozenset({calls.LEGACY}))


def part(given: Part, *deltas: ev.PartDelta, index: int = 0) -> list[ev.Event]:
    return [ev.PartStart(index, given), *deltas, ev.PartEnd(index)]


def said(*given: ev.Event, envelope: Envelope = ENVELOPE) -> list[object]:
    """The deltas after the role's."""
    role, *rest = deltas(START, *given, FINISH, envelope=envelope)
    assert role == {"role": "assistant", "content": ""}
    return rest


@case(96)
def test_the_role_comes_first_and_once() -> None:
    found = deltas(
        START, *part(Text(), ev.PartDelta(0, "a")), *part(ToolCall("c", "f"), index=1), FINISH
    )
    assert found[0] == {"role": "assistant", "content": ""}
    assert sum("role" in delta for delta in found) == 1


@case(96, 108)
def test_all_chunks_have_the_same_id_and_time_and_the_model_that_was_asked_for() -> None:
    finish = ev.Finish("stop", Usage(1, 2))
    *chunks, done = stream(START, *part(Text(), ev.PartDelta(0, "a"), ev.PartDelta(0, "b")), finish)
    assert done == "data: [DONE]"
    assert len(chunks) == 5
    heads = {(c["id"], c["object"], c["created"], c["model"]) for c in chunks}
    assert heads == {("r1", "chat.completion.chunk", 7, "asked")}
    unnamed = stream(START, FINISH, envelope=Envelope("", stream=True))
    assert unnamed[0]["model"] == "real"


def test_text_goes_out_piece_by_piece() -> None:
    found = said(*part(Text("a"), ev.PartDelta(0, ""), ev.PartDelta(0, ' "b"\n🙂')))
    assert found == [{"content": "a"}, {"content": ' "b"\n🙂'}]


@case(22)
def test_calls_are_counted_apart_from_other_parts() -> None:
    found = said(
        *part(Text(), ev.PartDelta(0, "a")),
        *part(ToolCall("c1", "f"), ev.PartDelta(1, '{"a"'), ev.PartDelta(1, ":1}"), index=1),
        *part(ToolCall("c2", "g", "{}"), index=2),
    )
    assert found[1:] == [
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "f", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {
            "tool_calls": [
                {
                    "index": 1,
                    "id": "c2",
                    "type": "function",
                    "function": {"name": "g", "arguments": "{}"},
                }
            ]
        },
    ]


@case(21)
def test_a_call_without_arguments_has_an_empty_object() -> None:
    found = said(*part(ToolCall("c1", "f")))
    assert found[1:] == [{"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}]


def test_a_custom_call_takes_free_text() -> None:
    found = said(*part(ToolCall("c1", "sh", custom=True), ev.PartDelta(0, "ls")))
    custom = {"name": "sh", "input": ""}
    assert found == [
        {"tool_calls": [{"index": 0, "id": "c1", "type": "custom", "custom": custom}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "ls"}}]},
    ]
    assert len(said(*part(ToolCall("c1", "sh", custom=True)))) == 1


@case(13)
def test_a_caller_who_knows_functions_only_gets_the_first_call() -> None:
    given = [
        *part(ToolCall("c1", "f"), ev.PartDelta(0, "{}")),
        *part(ToolCall("c2", "g"), ev.PartDelta(1, "{}"), index=1),
    ]
    assert said(*given, envelope=LEGACY) == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
    ]
    last = stream(START, *given, ev.Finish("tool_call"), envelope=LEGACY)[-2]
    assert last["choices"][0]["finish_reason"] == "function_call"


@case(76)
def test_a_refusal_goes_out_as_one() -> None:
    assert said(*part(Refusal("a"), ev.PartDelta(0, "b"))) == [{"refusal": "a"}, {"refusal": "b"}]


@case(55, 57)
def test_reasoning_goes_out_with_its_proof_at_the_end() -> None:
    thought = Reasoning("w", origin="anthropic.messages")
    found = said(
        *part(
            thought,
            ev.PartDelta(0, "h"),
            ev.PartDelta(0, "y"),
            ev.PartDelta(0, signature="si"),
            ev.PartDelta(0, signature="g"),
        )
    )
    detail = {"type": "reasoning.text", "text": "why", "signature": "sig"}
    assert found == [
        {"reasoning_content": "w"},
        {"reasoning_content": "h"},
        {"reasoning_content": "y"},
        {"reasoning_details": [{**detail, "format": "modelmux/anthropic.messages"}]},
    ]


@case(56)
def test_reasoning_that_only_its_origin_can_read_goes_out_whole() -> None:
    (delta,) = said(*part(Reasoning(encrypted="e", origin="anthropic.messages")))
    detail = {"type": "reasoning.encrypted", "data": "e", "format": "modelmux/anthropic.messages"}
    assert delta == {"reasoning_details": [detail]}


@case(57)
def test_the_proof_of_one_thought_is_not_the_nexts() -> None:
    signed = Reasoning(signature="s", origin="anthropic.messages")
    plain = Reasoning(origin="anthropic.messages")
    found = said(*part(signed), *part(plain, ev.PartDelta(1, "x"), index=1))
    assert [list(delta) for delta in found] == [["reasoning_details"], ["reasoning_content"]]


@case(62)
def test_reasoning_goes_out_under_the_name_it_came_with() -> None:
    short = Reasoning("a", origin=NAME, extra=reasoning.SAID_SHORT)
    foreign = Reasoning("a", extra=Extra("other", {"/reasoning": Raw(b"1")}))
    assert said(*part(short)) == [{"reasoning": "a"}]
    assert said(*part(foreign)) == [{"reasoning_content": "a"}]


@case(78)
def test_sources_go_out_when_their_text_is_complete() -> None:
    web, document = Citation("https://a.example", "A"), Citation(title="a file")
    found = said(
        *part(Text(), ev.PartDelta(0, "It is ")),
        *part(Text(), ev.PartDelta(1, citation=web), ev.PartDelta(1, "so."), index=1),
        *part(Text("!", (document,)), index=2),
    )
    place = {"start_index": 6, "end_index": 9, "url": "https://a.example", "title": "A"}
    assert found == [
        {"content": "It is "},
        {"content": "so."},
        {"annotations": [{"type": "url_citation", "url_citation": place}]},
        {"content": "!"},
    ]


@case(71)
def test_a_spoken_answer_goes_out_as_one() -> None:
    sound = Blob("audio", "audio/pcm", "AAEC", extra=Extra(NAME, {"/id": Raw(b'"a1"')}))
    found = said(
        *part(Text(extra=audio.SPOKEN), ev.PartDelta(0, "Yes")),
        *part(sound, ev.PartDelta(1, "AwQF"), index=1),
    )
    assert found == [
        {"audio": {"transcript": "Yes"}},
        {"audio": {"id": "a1", "data": "AAEC", "expires_at": 0}},
        {"audio": {"data": "AwQF"}},
    ]


def test_images_go_out_whole() -> None:
    found = said(*part(Blob("image", "image/png", PNG)), *part(Uri("image", "https://a"), index=1))
    assert [delta["images"][0]["image_url"]["url"] for delta in found] == [
        f"data:image/png;base64,{PNG}",
        "https://a",
    ]


@case(33)
@pytest.mark.parametrize(
    "hidden",
    [ServerToolCall("s", "web_search"), ServerToolResult("s", "x", "other", Raw(b"{}"))],
    ids=lambda part: type(part).__name__,
)
def test_what_another_provider_did_for_itself_is_not_shown(hidden: Part) -> None:
    given = part(hidden, ev.PartDelta(0, "{}")), part(Text("so"), index=1)
    assert said(*given[0], *given[1]) == [{"content": "so"}]


@case(73)
@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_call", "tool_calls"),
        ("error", "error"),
        ("content_filter", "content_filter"),
    ],
)
def test_the_reason_comes_in_a_chunk_of_its_own(reason: FinishReason, name: str) -> None:
    last = stream(START, ev.Finish(reason))[-2]
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": name}]


@case(74)
def test_a_stop_after_a_call_is_named_as_the_call() -> None:
    last = stream(START, *part(ToolCall("c", "f")), FINISH)[-2]
    assert last["choices"][0]["finish_reason"] == "tool_calls"


@case(79)
def test_usage_comes_last_where_the_caller_asked_for_it() -> None:
    finish = ev.Finish("stop", Usage(10, 5, 3))
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    *chunks, last, done = stream(START, *part(Text("a")), finish)
    assert done == "data: [DONE]"
    assert last["choices"] == []
    assert last["usage"] == {**usage, "prompt_tokens_details": {"cached_tokens": 3}}
    assert all(chunk["usage"] is None for chunk in chunks)
    silent = stream(
        START, *part(Text("a")), finish, envelope=replace(ENVELOPE, include_usage=False)
    )
    assert all("usage" not in chunk for chunk in silent[:-1])
    assert len(silent) == len(chunks) + 1


@case(86)
def test_usage_that_nobody_told_is_not_made_up() -> None:
    assert [f.get("choices") for f in stream(START, FINISH)[:-1]].count([]) == 0


@case(95)
def test_a_ping_is_a_comment_and_takes_nothing_from_the_first_chunk() -> None:
    found = stream(ev.Ping(), START, ev.Ping(), FINISH)
    assert found[0] == ": ping"
    assert found[1]["choices"][0]["delta"]["role"] == "assistant"
    assert found[2] == ": ping"


@case(92)
def test_a_failure_is_an_error_and_no_end() -> None:
    failure = Failure("overloaded", "busy", "overloaded")
    for before in ([], [START, ev.PartStart(0, Text())]):
        found = stream(*before, ev.Fail(failure))
        assert found[-1]["error"]["message"] == "busy"
        assert "data: [DONE]" not in found


def test_fields_of_this_wire_go_out_where_they_stood() -> None:
    start = replace(
        START,
        extra=Extra(
            NAME, {"/system_fingerprint": Raw(b'"f"'), "/prompt_filter_results": Raw(b"[]")}
        ),
    )
    finish = ev.Finish(
        "stop",
        Usage(1, 2),
        extra=Extra(
            NAME,
            {
                "/timings": Raw(b"1"),
                "/usage": Raw(b'{"cost":1}'),
                "/system_fingerprint": Raw(b'"f"'),
                "/choices/0/logprobs": Raw(b"{}"),
                "/choices/0/finish_reason": Raw(b'"eos"'),
                "/choices/0/message/reasoning_details": Raw(b"[1]"),
                "/choices/0/message/tool_calls/0/x": Raw(b"1"),
            },
        ),
    )
    first, text, details, last, usage, _ = stream(start, *part(Text("a")), finish)
    assert first["prompt_filter_results"] == []
    assert all(c["system_fingerprint"] == "f" for c in (first, text, details, last, usage))
    assert "prompt_filter_results" not in text
    assert details["choices"][0]["delta"] == {"reasoning_details": [1]}
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": "eos", "logprobs": {}}]
    assert last["timings"] == 1
    assert usage["usage"] == {"cost": 1}


def test_fields_of_another_wire_stay_there() -> None:
    other = Extra("other", {"/x": Raw(b"1")})
    found = stream(replace(START, extra=other), replace(FINISH, extra=other))
    assert not any("x" in chunk for chunk in found[:-1])


WORDS = st.text(st.characters(exclude_characters="<", codec="utf-8"), min_size=1, max_size=9)
PARTS = st.lists(
    st.one_of(
        st.builds(Text, WORDS),
        st.builds(Refusal, WORDS),
        st.builds(ToolCall, st.uuids().map(str), st.just("f"), st.just('{"a":[1]}')),
        st.builds(Reasoning, WORDS, origin=st.just(NAME)),
    ),
    max_size=6,
)


@given(PARTS, st.sampled_from(["stop", "length", "content_filter"]))
def test_what_is_encoded_decodes_to_the_same(parts: list[Part], reason: FinishReason) -> None:
    apart: list[Part] = []
    for index, given_part in enumerate(parts):  # neighbours of a kind would become one part
        if (
            index == 0
            or type(given_part) is not type(parts[index - 1])
            or isinstance(given_part, ToolCall)
        ):
            apart.append(given_part)
    response = Response("r1", "asked", tuple(apart), reason, Usage(3, 4), created_at_s=7)
    encoder = WIRE.encoder(ENVELOPE)
    again = ev.fold(events(b"".join(encoder.encode(event) for event in ev.unfold(response))))
    assert again.parts == response.parts
    called = any(isinstance(p, ToolCall) for p in apart)
    expected = "tool_call" if called and reason == "stop" else reason
    assert (again.reason, again.usage) == (expected, response.usage)
