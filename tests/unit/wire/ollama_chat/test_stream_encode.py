import msgspec
import pytest

from modelmux.ir import events as ev
from modelmux.ir.parts import Blob, Generic, Reasoning, Refusal, Text, ToolCall
from modelmux.ir.request import Envelope
from modelmux.ir.response import Failure, Response, Usage
from modelmux.wire.ollama_chat.stream_encode import Encoder
from tests.support.cases import case


def lines(events: list[ev.Event], name: str = "ollama.chat") -> list[dict[str, object]]:
    encoder = Encoder(name, Envelope("asked", stream=True))
    data = b"".join([encoder.encode(event) for event in events])
    return [msgspec.json.decode(line) for line in data.splitlines()]


def unfolded(*parts: object) -> list[ev.Event]:
    made = Response("r", "m", parts, "stop", Usage(3, 4), created_at_s=1_700_000_000)  # type: ignore[arg-type]
    return list(ev.unfold(made))


@case(25)
def test_an_answer_of_another_wire_is_told_line_by_line() -> None:
    told = lines(unfolded(Reasoning("hm"), Text("a"), ToolCall("1", "f", '{"a":1}'), Refusal("no")))
    assert all(line["model"] == "asked" for line in told)
    assert all(line["created_at"] == "2023-11-14T22:13:20Z" for line in told)
    assert [line["message"] for line in told] == [
        {"role": "assistant", "content": "", "thinking": "hm"},
        {"role": "assistant", "content": "a"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"a": 1}}}],
        },
        {"role": "assistant", "content": "no"},
        {"role": "assistant", "content": ""},
    ]
    assert [line["done"] for line in told] == [False] * 4 + [True]
    assert (told[-1]["prompt_eval_count"], told[-1]["eval_count"]) == (3, 4)


def test_generated_text_is_told_alike() -> None:
    told = lines(unfolded(Reasoning("hm"), Text("a")), "ollama.generate")
    assert [(line["response"], line.get("thinking")) for line in told] == [
        ("", "hm"),
        ("a", None),
        ("", None),
    ]


@case(92)
def test_a_failure_is_a_line_and_the_last() -> None:
    events: list[ev.Event] = [
        ev.Start("r", "m"),
        ev.PartStart(0, Text("a")),
        ev.Fail(Failure("unavailable", "gone")),
    ]
    assert lines(events)[-1] == {"error": "gone"}


@pytest.mark.parametrize("event", [ev.Ping(), ev.PartEnd(0)])
def test_what_says_nothing_is_not_told(event: ev.Event) -> None:
    assert Encoder("ollama.chat", Envelope("m", stream=True)).encode(event) == b""


def test_whole_parts_are_told_if_the_api_has_them() -> None:
    told = lines(
        unfolded(Blob("image", "image/png", "eA=="), Generic("x", "o", msgspec.Raw(b"{}")))
    )
    assert told[0]["message"]["images"] == ["eA=="]  # type: ignore[index]
    assert len(told) == 2
