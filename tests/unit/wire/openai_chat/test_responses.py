import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import (
    Blob,
    Citation,
    Extra,
    File,
    Generic,
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
from modelmux.ir.response import NO_USAGE, FinishReason, Response, Usage
from modelmux.wire.openai import chunks
from modelmux.wire.openai_chat import calls, responses
from modelmux.wire.openai_chat.schema import NAME
from tests.support.cases import case
from tests.unit.wire.openai_chat.chat import ID, PNG, WAV, answer, choice, response

ASKED = Envelope("asked")
LEGACY = Envelope("asked", spelling=frozenset({calls.LEGACY}))


def message(
    *parts: Part, reason: FinishReason = "stop", envelope: Envelope = ASKED
) -> dict[str, object]:
    """What the message of an answer says, fields that are null left out."""
    body = responses.encode(Response("r1", "real", parts, reason), envelope)
    found = choice(body)["message"]
    assert found.pop("role") == "assistant"
    return {name: value for name, value in found.items() if value is not None}


def test_a_plain_answer_is_one_text() -> None:
    given = response({"content": "hi", "refusal": None})
    assert given == Response(ID, "real", (Text("hi"),), "stop", created_at_s=7)


@case(80)
def test_usage_is_read_and_kept() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 0.1}
    given = response({"content": "hi"}, usage=usage)
    assert given.usage == Usage(10, 5)
    again = msgspec.json.decode(responses.encode(given, ASKED))
    assert again["usage"] == usage


@case(86)
def test_usage_that_did_not_come_is_not_made_up() -> None:
    assert response({"content": "hi"}).usage == NO_USAGE
    assert b"usage" not in responses.encode(response({"content": "hi"}), ASKED)


@case(9)
@pytest.mark.parametrize("content", [None, ""])
def test_an_answer_may_be_nothing(content: str | None) -> None:
    given = response({"content": content})
    assert given.parts == ()
    assert message(*given.parts) == {"content": ""}


@case(23)
def test_calls_are_read_whatever_their_arguments_are() -> None:
    given = response(
        {
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "c2", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}},
                {"function": {"name": "f"}},
                {"id": "c4", "type": "custom", "custom": {"name": "sh", "input": "ls"}},
            ],
        },
        "tool_calls",
    )
    assert given.reason == "tool_call"
    assert given.parts == (
        ToolCall("c1", "f", "{}"),
        ToolCall("c2", "f", '{"a":1}'),
        ToolCall("call_2_chatcmpl-1", "f", ""),
        ToolCall("c4", "sh", "ls", custom=True),
    )


@case(54)
def test_what_is_unknown_of_a_call_stays_with_it() -> None:
    call = {"id": "c1", "function": {"name": "f", "arguments": "{}", "x": 1}, "y": 2}
    given = response({"tool_calls": [call]}, "tool_calls")
    kept = Extra(NAME, {"/function/x": Raw(b"1"), "/y": Raw(b"2")})
    assert given.parts == (ToolCall("c1", "f", "{}", extra=kept),)
    assert given.extra is None


def test_a_call_of_an_unknown_kind_is_kept_whole() -> None:
    call = {"id": "c1", "type": "holo", "holo": 1}
    given = response({"tool_calls": [call]}, "tool_calls")
    (part,) = given.parts
    assert part == Generic("tool_call:holo", NAME, Raw(msgspec.json.encode(call)))
    assert message(part)["tool_calls"] == [call]


@case(13)
def test_a_function_call_is_a_tool_call_unless_the_caller_knows_none() -> None:
    body = {"content": None, "function_call": {"name": "f", "arguments": '{"a":1}'}}
    given = response(body, "function_call")
    assert given.parts == (ToolCall("call_0_chatcmpl-1", "f", '{"a":1}'),)
    old = choice(responses.encode(given, LEGACY))
    assert old["finish_reason"] == "function_call"
    assert old["message"]["function_call"] == body["function_call"]
    new = choice(responses.encode(given, ASKED))
    assert new["finish_reason"] == "tool_calls"
    assert new["message"]["tool_calls"][0]["id"] == "call_0_chatcmpl-1"


@case(13)
def test_a_caller_who_knows_functions_only_gets_the_first_call() -> None:
    two = ToolCall("1", "f", "{}"), ToolCall("2", "g", "{}")
    assert message(*two, envelope=LEGACY) == {"function_call": {"name": "f", "arguments": "{}"}}


@case(62)
@pytest.mark.parametrize(
    "fields",
    [
        {"content": "So", "reasoning_content": "why"},
        {"content": "So", "reasoning": "why"},
        {"content": "<think>\nwhy\n</think>\n\nSo"},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "why"}]},
                {"type": "text", "text": "So"},
            ]
        },
        {"content": [{"type": "thinking", "thinking": "why"}, {"type": "text", "text": "So"}]},
    ],
)
def test_reasoning_is_read_wherever_a_server_puts_it(fields: dict[str, object]) -> None:
    thought, said = response(fields).parts
    assert isinstance(thought, Reasoning)
    assert (thought.text, thought.origin, said) == ("why", NAME, Text("So"))


@case(62)
def test_a_tag_is_text_where_the_server_tells_reasoning_itself() -> None:
    given = response({"content": "<think>a</think>b", "reasoning_content": "why"})
    assert given.parts[1] == Text("<think>a</think>b")
    assert response({"content": "  code: <think>"}).parts == (Text("  code: <think>"),)


@case(76)
def test_a_refusal_is_a_part() -> None:
    given = response({"content": None, "refusal": "no"})
    assert (given.parts, given.reason) == ((Refusal("no"),), "stop")
    assert message(*given.parts) == {"refusal": "no"}


@case(71)
def test_a_spoken_answer_comes_back() -> None:
    spoken = {"id": "a", "data": WAV, "transcript": "Yes.", "expires_at": 1}
    given = response({"content": None, "audio": spoken})
    text, sound = given.parts
    assert isinstance(text, Text)
    assert isinstance(sound, Blob)
    assert (text.text, sound.content) == ("Yes.", WAV)
    assert message(*given.parts) == {"audio": spoken}


def test_drawn_images_come_back() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    given = response({"content": "So", "images": [image]})
    assert given.parts == (Text("So"), Blob("image", "image/png", PNG))
    assert message(*given.parts) == {"content": "So", "images": [image]}
    linked = response(
        {"images": [{"type": "image_url", "image_url": "https://a.example"}, {"type": "x"}]}
    )
    assert linked.parts == (Uri("image", "https://a.example"),)


def test_a_drawn_image_that_is_none_is_the_targets_mistake() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    with pytest.raises(ProtocolViolation):
        response({"images": [image]})


@case(78)
def test_annotations_come_back() -> None:
    place = {"start_index": 0, "end_index": 2, "url": "https://a.example", "title": "A"}
    annotation = {"type": "url_citation", "url_citation": place}
    given = response({"content": "So", "annotations": [annotation]})
    (text,) = given.parts
    assert isinstance(text, Text)
    assert text.citations[0].url == "https://a.example"
    assert message(text) == {"content": "So", "annotations": [annotation]}


@pytest.mark.parametrize(
    "fields", [{"annotations": []}, {"content": None, "annotations": [{"x": 1}]}]
)
def test_annotations_of_nothing_are_kept(fields: dict[str, object]) -> None:
    given = response({"content": "So", **fields})
    again = choice(responses.encode(given, ASKED))
    assert again["message"]["annotations"] == fields["annotations"]


@case(11, 78)
def test_texts_are_joined_and_citations_say_where_they_stand() -> None:
    cited = Text("so.", (Citation("https://a.example", "A"), Citation(title="a file")))
    out = message(Text("It is "), cited)
    assert out["content"] == "It is so."
    place = {"start_index": 6, "end_index": 9, "url": "https://a.example", "title": "A"}
    assert out["annotations"] == [{"type": "url_citation", "url_citation": place}]


@case(55, 56)
def test_signed_reasoning_goes_out_with_what_proves_it() -> None:
    thought = Reasoning("why", "sig", origin="anthropic.messages")
    out = message(thought, Text("So"))
    assert (out["content"], out["reasoning_content"]) == ("So", "why")
    assert out["reasoning_details"][0]["signature"] == "sig"
    assert response(out).parts == (thought, Text("So"))


@case(33)
@pytest.mark.parametrize(
    "part",
    [
        ServerToolCall("1", "web_search"),
        ServerToolResult("1", "x", "anthropic.messages", Raw(b"{}")),
        File("document", "f", "anthropic.messages"),
        Generic("x", "anthropic.messages", Raw(b"{}")),
        Generic("x", NAME, Raw(b"{}")),
    ],
    ids=lambda part: type(part).__name__,
)
def test_what_another_provider_did_for_itself_is_not_shown(part: Part) -> None:
    assert message(part, Text("So")) == {"content": "So"}


@case(73)
@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("error", "error"),
    ],
)
def test_every_reason_is_named(reason: FinishReason, name: str) -> None:
    body = responses.encode(Response("r1", "real", (Text("So"),), reason), ASKED)
    assert choice(body)["finish_reason"] == name


@case(73)
@pytest.mark.parametrize("name", ["eos", "", None])
def test_a_reason_of_a_servers_own_is_a_stop(name: str | None) -> None:
    given = response({"content": "So"}, name)
    assert given.reason == "stop"
    assert choice(responses.encode(given, ASKED))["finish_reason"] == (name or "stop")


@case(74)
def test_a_forced_call_that_ends_in_stop_still_ends_in_stop_on_its_own_wire() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    given = response({"tool_calls": [call]}, "stop")
    assert choice(responses.encode(given, ASKED))["finish_reason"] == "stop"
    elsewhere = replace(given, extra=None)
    assert choice(responses.encode(elsewhere, ASKED))["finish_reason"] == "tool_calls"


@case(48)
def test_the_stop_string_that_vllm_met_is_read() -> None:
    body = msgspec.json.decode(answer({"content": "1"}))
    body["choices"][0]["stop_reason"] = "###"
    given = responses.decode(msgspec.json.encode(body))
    assert given.stop_sequence == "###"
    assert choice(responses.encode(given, ASKED))["stop_reason"] == "###"
    body["choices"][0]["stop_reason"] = 128001
    assert responses.decode(msgspec.json.encode(body)).stop_sequence is None


@case(108)
def test_the_caller_is_answered_with_the_model_it_asked_for() -> None:
    given = Response("r1", "real", (Text("So"),), "stop")
    assert msgspec.json.decode(responses.encode(given, ASKED))["model"] == "asked"
    assert msgspec.json.decode(responses.encode(given, Envelope("")))["model"] == "real"


@case(49)
def test_other_choices_than_the_first_stay_on_this_wire() -> None:
    body = msgspec.json.decode(answer({"role": "assistant", "content": "a"}))
    second = {"index": 1, "message": {"content": "b", "future": 1}, "finish_reason": "stop"}
    body["choices"].append(second)
    given = responses.decode(msgspec.json.encode(body))
    assert given.parts == (Text("a"),)
    again = msgspec.json.decode(responses.encode(given, ASKED))
    assert len(again["choices"]) == 2
    assert again["choices"][1] == second


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"choices":[]}',
        b'{"choices":null}',
        b'{"choices":[{"message":{"content":5}}]}',
        b'{"choices":[{"message":{"tool_calls":[{"function":5}]}}]}',
    ],
)
def test_what_is_no_answer_is_the_targets_mistake(body: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        responses.decode(body)


ERROR = {"message": "busy", "type": "overloaded_error", "code": "overloaded"}


@case(94, 107)
@pytest.mark.parametrize(
    "body",
    [
        {"error": ERROR},
        {"error": ERROR, "choices": []},
        {"choices": [{"index": 0, "error": ERROR, "message": {"content": "a"}}]},
        {"object": "error", **ERROR},
    ],
)
def test_an_error_that_comes_as_a_success_is_an_error(body: dict[str, object]) -> None:
    raw = msgspec.json.encode(body)
    with pytest.raises(ProtocolViolation, match="busy") as caught:
        responses.decode(raw)
    assert caught.value.upstream_code == "overloaded"
    failure = responses.summarise(raw).failure
    assert failure is not None
    assert (failure.kind, failure.message) == ("overloaded", "busy")


def test_a_summary_has_usage_and_reason() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    summary = responses.summarise(answer({"content": "x"}, "length", usage=usage))
    assert (summary.usage, summary.reason, summary.failure) == (Usage(1, 2), "length", None)
    nothing = responses.summarise(b'{"choices":[]}')
    assert (nothing.usage, nothing.reason, nothing.failure) == (None, None, None)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"choices":5}', b"\xff"])
def test_a_summary_of_no_answer_is_the_targets_mistake(body: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        responses.summarise(body)


@case(108)
def test_an_answer_is_renamed_and_otherwise_left_alone() -> None:
    body = b'{ "model" : "real", "choices": [ ] }'
    assert chunks.rename(body, "asked") == b'{ "model" : "asked", "choices": [ ] }'


@pytest.mark.parametrize("body", [b'{"error":{}}', b"nonsense", b'{"model":5}'])
def test_a_body_without_a_model_is_left_alone(body: bytes) -> None:
    assert chunks.rename(body, "asked") == body
