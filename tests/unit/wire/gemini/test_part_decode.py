import msgspec
import pytest
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir import signed_ids
from modelmux.ir.parts import (
    Blob,
    File,
    Generic,
    Part,
    Reasoning,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    Uri,
)
from modelmux.wire.gemini import part_decode
from tests.support.cases import case

ANSWERS = part_decode.Reader(InvalidRequest, keeps_signatures_in_ids=True)
REQUESTS = part_decode.Reader(InvalidRequest, keeps_signatures_in_ids=False)


def read(part: object, reader: part_decode.Reader = ANSWERS) -> list[Part]:
    return reader.parts([Raw(msgspec.json.encode(part))], "/parts", lambda: "gem_x_0")


def inline(mime_type: str) -> object:
    return {"inlineData": {"mimeType": mime_type, "data": "eA=="}}


def linked(uri: str, mime_type: str | None = None) -> object:
    return {"fileData": {"fileUri": uri, "mimeType": mime_type}}


def test_text_and_thought_are_told_apart() -> None:
    assert read({"text": "a"}) == [Text("a")]
    assert read({"text": "a", "thought": True}) == [Reasoning("a", origin="gemini")]
    assert read({"text": "a", "thought": False}) == [Text("a")]


@case(55, 59)
def test_a_signature_follows_what_it_stands_on() -> None:
    alone = Reasoning("", "c2ln", origin="gemini")
    assert read({"text": "", "thoughtSignature": "c2ln"}) == [alone]
    text, signature = read({"text": "a", "thoughtSignature": "c2ln"})
    assert text == Text("a")
    assert isinstance(signature, Reasoning)
    assert (signature.signature, signature.extra) == ("c2ln", part_decode.ATTACHED)


@case(59)
def test_a_call_s_signature_is_in_its_id_in_answers_and_beside_it_in_requests() -> None:
    part = {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"}
    (call,) = read(part)
    assert call == ToolCall(signed_ids.join("gem_x_0", "c2ln"), "f", '{"a":1}')
    (call,) = read(part, REQUESTS)
    assert isinstance(call, ToolCall)
    assert call.id == "gem_x_0"
    assert call.extra is not None
    assert set(call.extra.fields) == {"/thoughtSignature"}


@case(67, 68)
@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (inline("image/png"), Blob("image", "image/png", "eA==")),
        (inline("audio/wav"), Blob("audio", "audio/wav", "eA==")),
        (inline("text/csv"), Blob("document", "text/csv", "eA==")),
        (linked("https://x/a", "video/mp4"), Uri("video", "https://x/a", "video/mp4")),
        (linked("https://youtu.be/a"), Uri("video", "https://youtu.be/a")),
        (linked("gs://b/a"), File("document", "gs://b/a", "gemini")),
    ],
)
def test_media_have_their_kind(part: object, expected: Part) -> None:
    assert read(part) == [expected]


@case(68)
def test_url_safe_base64_is_put_in_the_usual_letters() -> None:
    (blob,) = read({"inlineData": {"mimeType": "image/png", "data": "-_8"}})
    assert isinstance(blob, Blob)
    assert blob.content == "+/8="
    assert blob.extra is not None
    (odd,) = read({"inlineData": {"mimeType": "image/png", "data": "-"}})
    assert isinstance(odd, Blob)
    assert odd.content == "-"


def test_code_that_google_runs_is_a_call_of_its_own_tool() -> None:
    (call,) = read({"executableCode": {"code": "1", "id": "c"}})
    assert call == ServerToolCall("c", "code_execution", '{"code":"1","id":"c"}', "gemini")
    result, signature = read({"codeExecutionResult": {"output": "1"}, "thoughtSignature": "c2ln"})
    assert isinstance(result, ServerToolResult)
    assert bytes(result.raw) == b'{"codeExecutionResult":{"output":"1"}}'
    assert isinstance(signature, Reasoning)
    assert read({"executableCode": 7})[0] == ServerToolCall("", "code_execution", "7", "gemini")


def test_what_is_not_known_is_kept_whole() -> None:
    (part,) = read({"thoughtSignature": "c2ln", "toolCall": {"a": 1}})
    assert isinstance(part, Generic)
    assert part.type == "toolCall"
    assert read({})[0].type == "part"  # type: ignore[union-attr]


def test_a_malformed_part_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"parts\[0\]"):
        REQUESTS.parts([Raw(b"7")], "/parts", str)
