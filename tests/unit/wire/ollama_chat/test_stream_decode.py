import msgspec
import pytest

from modelmux.ir import events as ev
from modelmux.ir.parts import Reasoning, Text, ToolCall
from modelmux.wire.ollama_chat.stream_decode import Decoder
from tests.support.cases import case

LAST = {"message": {"content": ""}, "done": True, "done_reason": "stop", "eval_count": 2}


def decode(*lines: object, name: str = "ollama.chat") -> list[ev.Event]:
    decoder = Decoder(name)
    data = b"".join([msgspec.json.encode(line) + b"\n" for line in lines])
    events = [*decoder.feed(data), *decoder.finish()]
    ev.check(events)
    return events


def message(content: str = "", **more: object) -> dict[str, object]:
    return {"model": "m", "message": {"role": "assistant", "content": content, **more}}


def test_thinking_text_and_calls_follow_each_other() -> None:
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    lines = [
        message(thinking="h"),
        message(thinking="m"),
        message("a"),
        message("b"),
        message(tool_calls=[call]),
        message(tool_calls=[call]),
        LAST,
    ]
    response = ev.fold(decode(*lines))
    assert response.parts == (
        Reasoning("hm", origin="ollama.chat"),
        Text("ab"),
        ToolCall("ollama__0", "f", '{"a":1}'),
        ToolCall("ollama__1", "f", '{"a":1}'),
    )
    assert response.reason == "tool_call"


@case(25)
def test_a_call_is_start_arguments_end() -> None:
    call = {"function": {"name": "f", "arguments": {}}}
    events = decode(message(tool_calls=[call]), LAST)
    assert [type(event).__name__ for event in events] == [
        "Start", "PartStart", "PartDelta", "PartEnd", "Finish",
    ]  # fmt: skip


def test_generated_text_is_read_alike() -> None:
    lines = [{"response": "a"}, {"response": "b"}, {"response": "", "thinking": "x", "done": True}]
    assert ev.fold(decode(*lines, name="ollama.generate")).parts == (
        Text("ab"),
        Reasoning("x", origin="ollama.chat"),
    )


@case(92, 93)
@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([message("a")], "interrupted"),
        ([], "interrupted"),
        ([message("a"), {"error": "boom"}], ""),
        ([message("a"), 7], "protocol_violation"),
    ],
)
def test_what_breaks_off_or_fails_never_finishes(lines: list[object], code: str) -> None:
    last = decode(*lines)[-1]
    assert isinstance(last, ev.Fail)
    assert last.failure.code == code


def test_a_last_line_without_its_end_counts_and_half_a_one_does_not() -> None:
    for data, kind in ((msgspec.json.encode(LAST), ev.Finish), (b'{"done":tr', ev.Fail)):
        decoder = Decoder("ollama.chat")
        assert type([*decoder.feed(data), *decoder.finish()][-1]) is kind


def test_nothing_is_said_after_the_end() -> None:
    decoder = Decoder("ollama.chat")
    decoder.feed(msgspec.json.encode(LAST) + b"\n" + msgspec.json.encode(message("a")) + b"\n")
    assert decoder.feed(b"{}\n") == []
    assert decoder.finish() == []
