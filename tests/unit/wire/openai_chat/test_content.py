import base64

import pytest
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import (
    Blob,
    CacheControl,
    Citation,
    Extra,
    File,
    Generic,
    Part,
    Refusal,
    ServerToolCall,
    Text,
    Uri,
)
from modelmux.ir.request import Loss
from modelmux.wire.openai_chat import content
from modelmux.wire.openai_chat.content import Target
from modelmux.wire.openai_chat.schema import NAME
from tests.support.cases import case
from tests.unit.wire.openai_chat.chat import PDF, PNG, WAV, lost

SAME = Target(same=True)
FOREIGN = Target(same=False)
CSV = base64.b64encode("a,b\n1,ü".encode()).decode()


def said(part: Part, target: Target = FOREIGN) -> object:
    losses: list[Loss] = []
    out = content.encode(part, target, "/p", losses)
    assert losses == []
    return out


def refused(part: Part, target: Target = FOREIGN) -> list[Loss]:
    losses: list[Loss] = []
    assert content.encode(part, target, "/p", losses) is None
    assert [(loss.path, loss.kind) for loss in losses] == [("/p", "content")]
    return losses


@case(67, 72)
@pytest.mark.parametrize("target", [SAME, FOREIGN])
@pytest.mark.parametrize(
    ("part", "image_url"),
    [
        (Uri("image", "https://a.example"), {"url": "https://a.example"}),
        (
            Uri("image", "https://a.example", detail="low"),
            {"url": "https://a.example", "detail": "low"},
        ),
        (Blob("image", "image/png", PNG), {"url": f"data:image/png;base64,{PNG}"}),
    ],
)
def test_images_go_by_address_or_as_data_urls(
    target: Target, part: Part, image_url: object
) -> None:
    assert said(part, target) == {"type": "image_url", "image_url": image_url}


@case(71)
@pytest.mark.parametrize(("mime_type", "format_"), [("audio/wav", "wav"), ("audio/mpeg", "mp3")])
def test_audio_goes_in_the_formats_that_the_api_hears(mime_type: str, format_: str) -> None:
    out = said(Blob("audio", mime_type, WAV))
    assert out == {"type": "input_audio", "input_audio": {"data": WAV, "format": format_}}


@case(71)
def test_audio_in_another_format_is_a_loss_of_content() -> None:
    refused(Blob("audio", "audio/flac", WAV))


def test_a_caller_of_this_wire_may_send_audio_in_any_format() -> None:
    out = said(Blob("audio", "audio/flac", WAV), SAME)
    assert out == {"type": "input_audio", "input_audio": {"data": WAV, "format": "flac"}}


@case(69)
def test_a_pdf_is_a_file_with_a_name() -> None:
    data = f"data:application/pdf;base64,{PDF}"
    out = said(Blob("document", "application/pdf", PDF, name="a.pdf"))
    assert out == {"type": "file", "file": {"file_data": data, "filename": "a.pdf"}}
    out = said(Blob("document", "application/pdf", PDF))
    assert out == {"type": "file", "file": {"file_data": data, "filename": "document.pdf"}}


def test_a_file_of_this_wire_keeps_the_form_it_came_in() -> None:
    bare = Target(same=True, bare_files=True)
    assert said(Blob("document", "application/pdf", PDF), bare) == {
        "type": "file",
        "file": {"file_data": PDF},
    }
    assert said(Uri("document", "https://a.example/a.pdf"), SAME) == {
        "type": "file",
        "file": {"file_data": "https://a.example/a.pdf"},
    }


@case(69)
def test_a_document_that_is_text_goes_as_text() -> None:
    assert said(Blob("document", "text/csv", CSV)) == {"type": "text", "text": "a,b\n1,ü"}
    named = said(Blob("document", "text/plain", CSV, name="t.csv"))
    assert named == {"type": "text", "text": "t.csv:\na,b\n1,ü"}


@case(69)
def test_an_upload_goes_by_its_id_to_the_provider_it_was_sent_to() -> None:
    out = said(File("document", "file-1", NAME, name="a.pdf"))
    assert out == {"type": "file", "file": {"file_id": "file-1", "filename": "a.pdf"}}


@case(69)
def test_an_upload_to_another_provider_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="'file_1' was uploaded to"):
        content.encode(File("document", "file_1", "anthropic.messages"), FOREIGN, "/p", [])


@pytest.mark.parametrize(
    "part",
    [
        Uri("document", "https://a.example/a.pdf"),
        Uri("video", "https://a.example/v.mp4"),
        Blob("video", "video/mp4", WAV),
        Generic("search_result", "anthropic.messages", Raw(b"{}")),
        ServerToolCall("1", "web_search"),
    ],
    ids=lambda part: type(part).__name__,
)
@case(31)
def test_what_the_api_cannot_say_is_a_loss_of_content(part: Part) -> None:
    (loss,) = refused(part)
    assert content.describe(part) in loss.reason


def test_what_the_model_does_not_read_is_a_loss_of_content() -> None:
    blind = Target(same=False, modalities=frozenset({"audio"}))
    refused(Blob("image", "image/png", PNG), blind)
    refused(Uri("image", "https://a.example"), blind)
    refused(Blob("document", "application/pdf", PDF), blind)
    assert said(Blob("document", "text/csv", CSV), blind) == {"type": "text", "text": "a,b\n1,ü"}
    assert said(Blob("audio", "audio/wav", WAV), blind) is not None


def test_a_part_of_this_wire_that_nobody_knows_goes_back_as_it_came() -> None:
    raw = Raw(b'{"type":"video_url"}')
    assert said(Generic("video_url", NAME, raw)) is raw


def test_unknown_fields_go_back_into_the_objects_they_stood_in() -> None:
    kept = Extra(NAME, {"/image_url/x": Raw(b"1"), "/y": Raw(b"2")})
    out = said(Uri("image", "https://a.example", extra=kept), SAME)
    url = {"url": "https://a.example", "x": Raw(b"1")}
    assert out == {"type": "image_url", "image_url": url, "y": Raw(b"2")}


@case(63)
def test_marks_and_fields_of_another_wire_are_losses_of_tuning() -> None:
    losses: list[Loss] = []
    kept = Extra("other", {"/x": Raw(b"1")}, "/messages/0")
    cache = CacheControl("5m", Extra("other", {"/scope": Raw(b"1")}, "/messages/0/cache_control"))
    part = Text("hi", (Citation("https://a.example"),), cache, kept)
    assert content.encode(part, FOREIGN, "/p", losses) == {"type": "text", "text": "hi"}
    assert all(loss.kind == "tuning" for loss in losses)
    assert lost(losses) == [
        "/p/cache_control",
        "/messages/0/cache_control/scope",
        "/messages/0/x",
        "/p/citations",
    ]


@case(63)
def test_a_cache_marker_of_this_wire_goes_back() -> None:
    out = said(Text("hi", cache_control=CacheControl("1h")), SAME)
    cache = {"type": "ephemeral", "ttl": "1h"}
    assert out == {"type": "text", "text": "hi", "cache_control": cache}


def test_a_refusal_in_a_list_is_a_part() -> None:
    kept = Extra(NAME, {"/x": Raw(b"1")})
    out = said(Refusal("no", kept), SAME)
    assert out == {"type": "refusal", "refusal": "no", "x": Raw(b"1")}
