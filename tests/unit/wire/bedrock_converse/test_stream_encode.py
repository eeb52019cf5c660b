import pytest
from botocore.exceptions import EventStreamError
from msgspec import Raw

from modelmux.ir import events as ev
from modelmux.ir.parts import (
    Blob,
    Citation,
    Generic,
    Part,
    Reasoning,
    ServerToolCall,
    Text,
    ToolCall,
)
from modelmux.ir.response import Failure, Usage
from modelmux.wire.bedrock_converse.stream_decode import Decoder
from modelmux.wire.bedrock_converse.stream_encode import Encoder
from tests.support import amazon
from tests.support.cases import case
from tests.support.goldens import Golden, goldens

END = ev.Finish("stop", Usage(3, 2))


def encoded(*events: ev.Event) -> bytes:
    encoder = Encoder()
    return b"".join(encoder.encode(event) for event in events)


def whole(part: Part, *deltas: ev.PartDelta) -> bytes:
    return encoded(ev.Start("i", "m"), ev.PartStart(0, part), *deltas, ev.PartEnd(0), END)


@case(100)
@pytest.mark.parametrize("golden", goldens("stream.txt"), ids=str)
def test_amazons_sdk_reads_what_every_stream_becomes(golden: Golden):
    decoder = golden.wire.decoder()
    events = decoder.feed(golden.read()) + decoder.finish()
    data = encoded(*events)
    if isinstance(events[-1], ev.Fail):
        with pytest.raises(EventStreamError):
            amazon.events(data)
        return
    read = amazon.events(data)
    assert list(read[0]) == ["messageStart"]
    assert [next(iter(each)) for each in read[-2:]] == ["messageStop", "metadata"]
    starts = [each["contentBlockStart"] for each in read if "contentBlockStart" in each]
    calls = [
        e.part.name for e in events if isinstance(e, ev.PartStart) and isinstance(e.part, ToolCall)
    ]
    named = [s["start"]["toolUse"] for s in starts if "toolUse" in s["start"]]
    assert [use["name"] for use in named if "type" not in use] == calls


@case(92)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("rate_limit", "throttlingException"),
        ("overloaded", "serviceUnavailableException"),
        ("invalid_request", "validationException"),
        ("unavailable", "modelStreamErrorException"),
        ("internal", "internalServerException"),
    ],
)
def test_a_failure_is_the_exception_of_its_kind(kind: str, name: str):
    failure = Failure(kind, "m")  # type: ignore[arg-type]
    with pytest.raises(EventStreamError, match=name):
        amazon.events(encoded(ev.Start("i", "m"), ev.Fail(failure)))


def test_a_ping_says_nothing():
    assert encoded(ev.Ping()) == b""


@pytest.mark.parametrize(
    "part",
    [
        Text("a"),
        Text(),
        Reasoning("t", origin="bedrock.converse"),
        ToolCall("t", "f", "{}"),
        Blob("image", "image/png", "eA=="),
        Generic("x", "bedrock.converse", Raw(b'{"x":{}}')),
    ],
)
def test_a_part_that_comes_whole_comes_back(part: Part):
    decoder = Decoder()
    events = decoder.feed(whole(part))
    assert len(ev.fold(events).parts) == 1


def test_what_the_api_has_no_block_for_is_left_out():
    read = amazon.events(whole(ServerToolCall("s", "n")))
    assert [next(iter(each)) for each in read] == ["messageStart", "messageStop", "metadata"]


def test_free_text_for_a_tool_is_an_object():
    data = whole(ToolCall("t", "f", custom=True), ev.PartDelta(0, 'a"'), ev.PartDelta(0, "b"))
    (part,) = ev.fold(Decoder().feed(data)).parts
    assert isinstance(part, ToolCall)
    assert part.arguments == '{"input":"a\\"b"}'
    (part,) = ev.fold(Decoder().feed(whole(ToolCall("t", "f", custom=True)))).parts
    assert isinstance(part, ToolCall)
    assert part.arguments == '{"input":""}'


@case(58)
def test_thinking_of_another_comes_back_as_its_own():
    part = Reasoning(origin="anthropic.messages")
    data = whole(part, ev.PartDelta(0, "t"), ev.PartDelta(0, signature="s"))
    (found,) = ev.fold(Decoder().feed(data)).parts
    assert isinstance(found, Reasoning)
    assert found.signature == "modelmux/anthropic.messages:s:s"


def test_a_citation_is_told():
    data = whole(Text("a", (Citation("https://x"),)))
    (found,) = ev.fold(Decoder().feed(data)).parts
    assert isinstance(found, Text)
    assert found.citations[0].url == "https://x"
