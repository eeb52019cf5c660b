import msgspec
import pytest

from modelmux.ir import events as ev
from modelmux.ir.parts import Reasoning, Text, ToolCall
from modelmux.wire.gemini import response as responses
from modelmux.wire.gemini.stream_decode import Decoder
from tests.support.cases import case
from tests.support.goldens import ROOT


def piece(*parts: object, finish: str | None = None, **more: object) -> dict[str, object]:
    candidate: dict[str, object] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "m", "responseId": "r", **more}


def framed(*pieces: object) -> bytes:
    return b"".join([b"data: " + msgspec.json.encode(each) + b"\r\n\r\n" for each in pieces])


def decode(*data: bytes) -> list[ev.Event]:
    decoder = Decoder()
    events = [event for chunk in data for event in decoder.feed(chunk)] + decoder.finish()
    ev.check(events)
    return events


def parts(*pieces: object) -> list[object]:
    return list(ev.fold(decode(framed(*pieces))).parts)


def failure(*data: bytes) -> tuple[str, str]:
    last = decode(*data)[-1]
    assert isinstance(last, ev.Fail)
    return last.failure.code, last.failure.message


def test_text_goes_on_and_thought_is_apart() -> None:
    assert parts(
        piece({"text": "h", "thought": True}),
        piece({"text": "m", "thought": True}),
        piece({"text": "a"}),
        piece({"text": "b"}, finish="STOP"),
    ) == [Reasoning("hm", origin="gemini"), Text("ab")]


@case(25)
def test_a_call_comes_whole_and_is_start_arguments_end() -> None:
    call = {"functionCall": {"name": "f", "args": {"a": 1}}}
    events = decode(framed(piece({"text": "x"}), piece(call, call), piece(finish="STOP")))
    assert [type(event).__name__ for event in events[3:-1]] == [
        "PartEnd", "PartStart", "PartDelta", "PartEnd", "PartStart", "PartDelta", "PartEnd",
    ]  # fmt: skip
    folded = ev.fold(events)
    assert folded.parts[1:] == (
        ToolCall("gem_r_0", "f", '{"a":1}'),
        ToolCall("gem_r_1", "f", '{"a":1}'),
    )


@case(74)
def test_a_stop_that_comes_behind_a_call_is_for_the_call() -> None:
    call = piece({"functionCall": {"name": "f", "args": {}}})
    last = decode(framed(call, piece({"text": ""}, finish="STOP")))[-1]
    assert isinstance(last, ev.Finish)
    assert last.reason == "tool_call"


@case(82)
def test_counts_are_those_of_the_last_piece() -> None:
    first = {"usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}}
    last = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
    finish = decode(
        framed(piece({"text": "a"}, **first), piece({"text": "b"}, usageMetadata=last),
               piece(finish="STOP"))
    )[-1]  # fmt: skip
    assert isinstance(finish, ev.Finish)
    assert (finish.usage.input_tokens, finish.usage.output_tokens) == (5, 2)


@case(75)
def test_a_blocked_prompt_finishes() -> None:
    last = decode(framed({"promptFeedback": {"blockReason": "SAFETY"}}))[-1]
    assert isinstance(last, ev.Finish)
    assert last.reason == "content_filter"


@case(99)
def test_a_json_array_is_read_like_events() -> None:
    data = (ROOT / "gemini/json-array/array.txt").read_bytes()
    whole = decode(data)
    assert decode(*[data[at : at + 1] for at in range(len(data))]) == whole
    assert ev.fold(whole).parts == (Text('AI [learns] {"x"} more'),)
    for end in range(len(data) - 2):
        assert isinstance(decode(data[:end])[-1], ev.Fail)


def test_signatures_keep_their_place() -> None:
    assert parts(
        piece({"text": "a"}),
        piece({"text": "", "thoughtSignature": "c2ln"}, finish="STOP"),
    ) == [Text("a"), Reasoning("", "c2ln", origin="gemini")]
    assert parts(
        piece({"text": "a", "thought": True}),
        piece({"text": "b", "thought": True, "thoughtSignature": "c2ln"}),
        piece({"text": "c", "thought": True}, finish="STOP"),
    ) == [Reasoning("ab", "c2ln", origin="gemini"), Reasoning("c", origin="gemini")]


@case(92, 93)
def test_what_breaks_off_or_fails_never_finishes() -> None:
    assert failure(framed(piece({"text": "a"})))[0] == "interrupted"
    assert failure(b"")[0] == "interrupted"
    error = {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}
    assert failure(framed(piece({"text": "a"}), error)) == ("UNAVAILABLE", "busy")
    assert failure(b"data: {\n\n")[0] == "protocol_violation"
    assert failure(b'[{"candidates":7}]')[0] == "protocol_violation"
    assert failure(b"[1]")[0] == "protocol_violation"


def test_nothing_is_said_after_the_end() -> None:
    decoder = Decoder()
    decoder.feed(b"data: {\n\n")
    assert decoder.feed(framed(piece({"text": "a"}))) == []
    assert decoder.finish() == []


def test_of_several_answers_the_first_is_followed() -> None:
    second = piece({"text": "b"}, finish="STOP")
    second["candidates"][0]["index"] = 1  # type: ignore[index]
    events = decode(framed(piece({"text": "a"}), second, piece({"text": "c"}, finish="STOP")))
    assert ev.fold(events).parts == (Text("ac"),)


@case(78)
def test_grounding_is_told_while_the_text_is_open() -> None:
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a"}}],
        "groundingSupports": [{"segment": {"endIndex": 1}, "groundingChunkIndices": [0]}],
    }
    last = piece({"text": "b"}, finish="STOP")
    last["candidates"][0]["groundingMetadata"] = grounding  # type: ignore[index]
    (text,) = ev.fold(decode(framed(piece({"text": "a"}), last))).parts
    assert isinstance(text, Text)
    assert text.citations[0].url == "https://a"


@pytest.mark.parametrize("name", ["parallel-tools", "thinking", "grounding", "code-execution"])
def test_a_stream_says_what_a_whole_answer_says(name: str) -> None:
    streamed = ev.fold(decode((ROOT / f"gemini/{name}/stream.txt").read_bytes()))
    whole = responses.decode((ROOT / f"gemini/{name}/response.json").read_bytes())
    assert [type(p) for p in streamed.parts] == [
        type(p) for p in whole.parts if not (isinstance(p, Reasoning) and not p.text)
    ]
