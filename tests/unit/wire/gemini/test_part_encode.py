import pytest
from msgspec import Raw

from modelmux.ir import signed_ids
from modelmux.ir.parts import Blob, Extra, File, Generic, Reasoning, Text, ToolCall, ToolResult, Uri
from modelmux.wire.gemini import part_encode
from tests.support.cases import case


@case(20)
@pytest.mark.parametrize(
    ("text", "expected"), [("", b"{}"), (" ", b"{}"), ('{"a":1}', b'{"a":1}'), ("[", None)]
)
def test_arguments_are_an_object(text: str, expected: bytes | None) -> None:
    found = part_encode.arguments(text)
    assert (bytes(found) if found is not None else None) == expected


def test_arguments_of_an_answer_are_one_in_any_case() -> None:
    assert bytes(part_encode.any_arguments(ToolCall("1", "f", "oops"))) == b'{"input":"oops"}'


def test_a_call_has_its_id_unless_it_was_made_here() -> None:
    arguments = Raw(b"{}")
    assert "id" in part_encode.function_call(ToolCall("a", "f"), "f", arguments)["functionCall"]  # type: ignore[operator]
    made = ToolCall(signed_ids.join("gem_r_0", "c2ln"), "f")
    assert part_encode.function_call(made, "g", arguments) == {
        "functionCall": {"name": "g", "args": arguments},
        "thoughtSignature": "c2ln",
    }


def test_a_call_that_came_without_arguments_goes_without() -> None:
    bare = ToolCall("gem_0", "f", "{}", extra=Extra("gemini", {"/functionCall/args": Raw(b"null")}))
    assert part_encode.function_call(bare, "f", Raw(b"{}")) == {"functionCall": {"name": "f"}}


def test_foreign_thoughts_are_thoughts() -> None:
    said = part_encode.thought(Reasoning("", "s", origin="anthropic.messages"))
    assert said["thought"] is True
    assert part_encode.thought(Reasoning("", "c2ln", origin="gemini")) == {
        "text": "",
        "thoughtSignature": "c2ln",
    }


def test_media_of_others_are_refused_in_words() -> None:
    assert "openai" in str(part_encode.media(File("image", "f", "openai.chat")))
    assert part_encode.media(Uri("image", "https://x/a")) == {
        "fileData": {"fileUri": "https://x/a"}
    }
    named = Blob("image", "image/png", "eA==", "n", extra=Extra("gemini", {}))
    assert part_encode.media(named) == {
        "inlineData": {"mimeType": "image/png", "data": "eA==", "displayName": "n"}
    }


@case(28)
def test_a_result_is_an_object() -> None:
    def response(*texts: str, is_error: bool | None = None) -> object:
        result = ToolResult("1", tuple(Text(text) for text in texts), is_error)
        return part_encode.function_response(result, None, "f", [])["functionResponse"]["response"]  # type: ignore[index]

    assert response("a") == {"result": "a"}
    assert response("1") == {"result": "1"}
    assert response("a", "b") == {"result": "a\nb"}
    assert response() == {"result": ""}
    assert response('{"a":1}', is_error=True) == {"error": '{"a":1}'}


def test_pieces_of_a_result_beside_its_text() -> None:
    assert part_encode.of_result(Text("a")) is None
    assert part_encode.of_result(Generic("x", "gemini", Raw(b"{}"))) == Raw(b"{}")
    assert part_encode.of_result(Generic("x", "other", Raw(b"{}"))) == "gemini has no 'x' content"
