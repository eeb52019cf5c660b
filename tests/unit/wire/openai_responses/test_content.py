import msgspec
import pytest
from msgspec import Raw

from modelmux.errors import InvalidRequest, ProtocolViolation
from modelmux.ir.parts import Blob, CacheControl, Extra, File, Generic, Refusal, Text, Uri
from modelmux.ir.request import Loss
from modelmux.wire.openai_responses import content
from modelmux.wire.openai_responses.schema import NAME
from tests.support.cases import case
from tests.unit.wire.openai_responses.bodies import PDF, PNG, raw

IMAGE = f"data:image/png;base64,{PNG}"


def back(value: dict[str, object]) -> object:
    part = content.decode(raw(value), "/x")
    if isinstance(part, Text | Refusal) and value["type"] != "input_text":
        said: object = content.encode_output(part, 0, mine=True)
    else:
        said = content.encode_input(part, "/x", [], same=True)
    return msgspec.json.decode(msgspec.json.encode(said))


def said(part: object, **options: object) -> tuple[object, list[Loss]]:
    losses: list[Loss] = []
    return content.encode_input(part, "/p", losses, same=False, **options), losses


@case(54, 67, 69, 71)
@pytest.mark.parametrize(
    "value",
    [
        {"type": "input_text", "text": "a"},
        {"type": "input_text", "text": "a", "later": {"x": 1}},
        {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
        {"type": "output_text", "text": "a", "annotations": [{"type": "odd", "x": 1}]},
        {"type": "output_text", "text": "a"},
        {"type": "text", "text": "a", "annotations": []},
        {"type": "refusal", "refusal": "no"},
        {"type": "input_image", "image_url": "https://a.example/x.png", "detail": "low"},
        {"type": "input_image", "image_url": IMAGE},
        {"type": "input_image", "file_id": "file-1", "detail": "auto"},
        {"type": "input_file", "file_data": PDF, "filename": "a.pdf"},
        {"type": "input_file", "file_data": f"data:application/pdf;base64,{PDF}"},
        {"type": "input_file", "file_url": "https://a.example/a.pdf", "detail": "high"},
        {"type": "input_file", "file_id": "file-2"},
        {"type": "input_audio", "input_audio": {"data": "UklGRiQA", "format": "wav"}},
        {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_video", "video": 1},
    ],
)
def test_a_part_comes_back_as_it_was(value: dict[str, object]):
    assert back(value) == value


@pytest.mark.parametrize(
    "value",
    [{"type": "input_text"}, {"type": "input_image"}, {"type": "input_file"}, {"type": 5}, []],
)
def test_a_part_without_what_it_is_is_refused_with_its_place(value: object):
    with pytest.raises(InvalidRequest) as caught:
        content.decode(raw(value), "/input/0/content/1")
    assert (caught.value.param or "").startswith("input[0].content[1]")
    with pytest.raises((ProtocolViolation, InvalidRequest)):
        content.decode(raw(value), "/output/0", ProtocolViolation)


@case(68, 69)
def test_a_document_that_is_text_goes_as_text():
    blob = Blob("document", "text/plain", "aGk=", name="a.txt")
    assert said(blob)[0] == {"type": "input_text", "text": "a.txt:\nhi"}
    assert said(blob, takes=frozenset())[0] == {"type": "input_text", "text": "a.txt:\nhi"}


@case(69)
def test_a_document_without_a_name_gets_one():
    out, _ = said(Blob("document", "application/pdf", PDF))
    assert isinstance(out, dict)
    assert out["filename"] == "document.pdf"


@case(31, 71)
@pytest.mark.parametrize(
    "part",
    [
        Blob("video", "video/mp4", "AAAA"),
        Blob("audio", "audio/flac", "AAAA"),
        Uri("audio", "https://a.example"),
        Generic("x", "other", Raw(b"{}")),
    ],
)
def test_what_has_no_place_is_a_loss_of_content(part: object):
    out, losses = said(part)
    assert out is None
    assert [(loss.path, loss.kind) for loss in losses] == [("/p", "content")]


def test_media_that_the_model_does_not_take_are_a_loss():
    out, losses = said(Blob("image", "image/png", PNG), takes=frozenset())
    assert out is None
    assert losses[0].kind == "content"


@case(69)
def test_an_upload_to_the_same_provider_stays_and_any_other_is_refused():
    assert said(File("document", "file-1", "openai.chat"))[0] == {
        "type": "input_file",
        "file_id": "file-1",
    }
    with pytest.raises(InvalidRequest, match="anthropic"):
        said(File("document", "file-1", "anthropic.messages"))


@case(63)
def test_marks_of_another_wire_are_lost():
    cached = Text("a", cache_control=CacheControl("5m"), extra=Extra("o", {"/x": Raw(b"1")}, "/m"))
    out, losses = said(cached)
    assert out == {"type": "input_text", "text": "a"}
    assert [loss.path for loss in losses] == ["/p/cache_control", "/m/x"]


def test_a_refusal_in_a_users_mouth_is_text():
    assert said(Refusal("no"))[0] == {"type": "input_text", "text": "no"}


def test_parts_are_described_for_callers():
    assert content.describe(Blob("image", "image/png", PNG)) == "image/png"
    assert content.describe(Uri("image", "u")) == "image by address"
    assert content.describe(Generic("t", NAME, Raw())) == f"{NAME}'s t"
    assert content.describe(Text()) == "Text"


def test_an_output_is_a_string_or_parts():
    assert content.text_of(Raw(b'"a"')) == "a"
    assert content.text_of(Raw(b"[1]")) == [Raw(b"1")]
