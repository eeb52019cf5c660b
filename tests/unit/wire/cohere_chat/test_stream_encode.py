import msgspec
import pytest
from cohere.core.unchecked_base_model import construct_type
from cohere.v2.types.v2chat_stream_response import V2ChatStreamResponse
from msgspec import Raw

from modelmux.ir import events as ev
from modelmux.ir.parts import (
    Blob,
    Citation,
    Generic,
    Part,
    Reasoning,
    Refusal,
    ServerToolCall,
    Text,
    ToolCall,
)
from modelmux.ir.request import Envelope
from modelmux.ir.response import Failure, Usage
from modelmux.wire.cohere_chat import content
from modelmux.wire.cohere_chat.stream_encode import Encoder
from tests.support.cases import case
from tests.support.goldens import Golden, goldens

END = ev.Finish("stop", Usage(3, 2))


def encoded(*events: ev.Event) -> bytes:
    encoder = Encoder(Envelope("m", stream=True))
    return b"".join(encoder.encode(event) for event in events)


def frames(data: bytes) -> list[dict[str, object]]:
    return [
        msgspec.json.decode(line.removeprefix(b"data: "))
        for line in data.splitlines()
        if line.startswith(b"data: {")
    ]


def whole(part: Part, *deltas: ev.PartDelta) -> list[tuple[object, object]]:
    """Type and message of each event, without those that begin and end it all."""
    data = encoded(ev.Start("i", "m"), ev.PartStart(0, part), *deltas, ev.PartEnd(0), END)
    found = frames(data)
    assert found[0]["type"] == "message-start"
    assert found[-1]["type"] == "message-end"
    assert data.endswith(b"data: [DONE]\n\n")
    out = []
    for each in found[1:-1]:
        delta = each.get("delta", {})
        assert isinstance(delta, dict)
        out.append((each["type"], delta.get("message")))
    return out


@pytest.mark.parametrize("golden", goldens("stream.txt"), ids=str)
def test_coheres_sdk_reads_what_every_stream_becomes(golden: Golden):
    decoder = golden.wire.decoder()
    events = decoder.feed(golden.read()) + decoder.finish()
    found = frames(encoded(*events))
    read = [construct_type(type_=V2ChatStreamResponse, object_=each) for each in found]
    for event, said in zip(read, found, strict=True):
        assert type(event).model_validate(said)
    text = "".join(
        event.delta.message.content.text or "" for event in read if event.type == "content-delta"
    )
    response = events[-1]
    if isinstance(response, ev.Finish):
        parts = ev.fold(events).parts
        own = "".join(part.text for part in parts if isinstance(part, Text | Refusal))
        assert own in text
        assert read[-1].delta.usage.billed_units.input_tokens == response.usage.input_tokens
    else:
        assert read[-1].delta.finish_reason == "ERROR"


def test_calls_of_tools():
    call = ToolCall("c1", "f")
    assert whole(call, ev.PartDelta(0, "{}")) == [
        (
            "tool-call-start",
            {
                "tool_calls": {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "f", "arguments": ""},
                }
            },
        ),
        ("tool-call-delta", {"tool_calls": {"function": {"arguments": "{}"}}}),
        ("tool-call-end", None),
    ]
    assert whole(call) == whole(call, ev.PartDelta(0, "{}"))


def test_a_tool_of_free_text_is_a_function_of_one_input():
    call = ToolCall("c1", "f", custom=True)

    def arguments(*deltas: ev.PartDelta) -> object:
        said = [
            message["tool_calls"]["function"]["arguments"]
            for type_, message in whole(call, *deltas)
            if type_ == "tool-call-delta" and isinstance(message, dict)
        ]
        return msgspec.json.decode("".join(said))

    assert arguments(ev.PartDelta(0, 'a"'), ev.PartDelta(0, "b")) == {"input": 'a"b'}
    assert arguments() == {"input": ""}


def test_a_plan_has_no_beginning_and_no_end():
    assert whole(content.plan(""), ev.PartDelta(0, "first")) == [
        ("tool-plan-delta", {"tool_plan": "first"})
    ]


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        (Text(), "text"),
        (Refusal(), "text"),
        (Reasoning(origin="another"), "thinking"),
    ],
)
@case(97)
def test_pieces_are_announced_and_ended(part: Part, kind: str):
    assert whole(part, ev.PartDelta(0, "a")) == [
        ("content-start", {"content": {"type": kind, kind: ""}}),
        ("content-delta", {"content": {kind: "a"}}),
        ("content-end", None),
    ]


def test_what_came_whole_is_a_text_or_nothing():
    assert ("content-delta", {"content": {"text": "[image: image/png]"}}) in whole(
        Blob("image", "image/png", "aGk=")
    )
    assert whole(Generic("later", "another", Raw(b"{}"))) == []
    assert whole(ServerToolCall("s1", "web_search", "{}", "another", Raw(b"{}"))) == []


@case(78)
def test_citations_begin_and_end():
    found = whole(Text(), ev.PartDelta(0, "a"), ev.PartDelta(0, citation=Citation("u", "t")))
    assert [type_ for type_, _ in found] == [
        "content-start",
        "content-delta",
        "citation-start",
        "citation-end",
        "content-end",
    ]
    assert len(whole(Text(), ev.PartDelta(0, citation=Citation()))) == 2


@case(92, 95)
def test_a_ping_is_a_comment_and_a_failure_is_no_success():
    data = encoded(ev.Start("i", ""), ev.Ping(), ev.Fail(Failure("internal", "broken")))
    assert b": ping\n\n" in data
    assert b"[DONE]" not in data
    assert frames(data)[-1] == {
        "type": "message-end",
        "id": "i",
        "delta": {"error": "broken", "finish_reason": "ERROR"},
    }


def test_line_ends_in_what_another_wrote_do_not_split_a_frame():
    cited = Citation(wire="cohere.chat", raw=Raw(b'{"start":\n0}'))
    data = encoded(ev.Start("i", ""), ev.PartStart(0, Text()), ev.PartDelta(0, citation=cited))
    assert b'"citations":{"start":0}' in data.replace(b" ", b"")
