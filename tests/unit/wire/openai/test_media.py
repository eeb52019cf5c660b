import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Blob, File, Uri
from modelmux.wire.openai import media
from modelmux.wire.openai.media import FileFile
from tests.support.cases import case
from tests.unit.wire.openai_chat.chat import PDF, PNG

NAME = "openai.chat"
AT = "/messages/0/content/1/image_url/url"


@case(68)
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"data:image/png;base64,{PNG}", ("image/png", PNG)),
        (f"DATA:IMAGE/PNG;BASE64,{PNG}", ("image/png", PNG)),
        (f" data:image/png ; base64,{PNG}", ("image/png", PNG)),
        ("data:text/plain;charset=utf-8;base64,w7w=", ("text/plain", "w7w=")),
        (f"data:;base64,{PNG}", ("image/png", PNG)),
        (f"data:application/octet-stream;base64,{PDF}", ("application/pdf", PDF)),
        ("data:;base64,AAAA", ("text/plain", "AAAA")),
        ("data:application/octet-stream;base64,AAAA", ("application/octet-stream", "AAAA")),
        ("data:image/png;base64,-_-_", ("image/png", "+/+/")),
        ("data:image/png;base64,AA", ("image/png", "AA==")),
        ("data:image/png;base64,AA\n AA\r\n", ("image/png", "AAAA")),
        ("data:image/png;base64,AAA%3D", ("image/png", "AAA=")),
        ("data:image/svg+xml,%3Csvg/%3E", ("image/svg+xml", base64.b64encode(b"<svg/>").decode())),
        ("https://a.example/data:image/png;base64,AA", None),
    ],
)
def test_data_urls_are_read_in_all_their_forms(url: str, expected: object) -> None:
    assert media.parse_data_url(url, AT) == expected


@case(68)
@pytest.mark.parametrize(
    "url", ["data:image/png;base64,", "data:image/png;base64,!", "data:", "data:image/png;base64,ü"]
)
def test_a_data_url_without_data_is_refused_with_its_field(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        media.parse_data_url(url, AT)
    assert caught.value.param == "messages[0].content[1].image_url.url"


@given(st.binary(min_size=1, max_size=40))
def test_base64_of_any_kind_means_the_same_bytes(data: bytes) -> None:
    standard = base64.b64encode(data).decode()
    url_safe = base64.urlsafe_b64encode(data).decode()
    for text in (standard, url_safe, standard.rstrip("="), "\n".join(standard)):
        assert media.standard_base64(text, AT) == standard


@case(67)
def test_an_image_is_by_value_or_by_address() -> None:
    assert media.image(f"data:image/png;base64,{PNG}", "low", AT) == Blob(
        "image", "image/png", PNG, detail="low"
    )
    assert media.image("https://a.example", None, AT) == Uri("image", "https://a.example")


def test_a_document_in_an_images_place_is_a_document() -> None:
    part = media.image(f"data:application/pdf;base64,{PDF}", None, AT)
    assert part == Blob("document", "application/pdf", PDF)


@case(69)
@pytest.mark.parametrize(
    ("given_file", "part"),
    [
        (FileFile(file_id="file-1", filename="a"), File("document", "file-1", NAME, name="a")),
        (
            FileFile(f"data:application/pdf;base64,{PDF}", filename="a.pdf"),
            Blob("document", "application/pdf", PDF, name="a.pdf"),
        ),
        (FileFile(PDF), Blob("document", "application/pdf", PDF)),
        (FileFile(PNG, filename="a.TXT"), Blob("document", "text/plain", PNG, name="a.TXT")),
        (FileFile(PNG), Blob("image", "image/png", PNG)),
        (FileFile("AAAA"), Blob("document", "application/pdf", "AAAA")),
        (FileFile("https://a.example/a.pdf"), Uri("document", "https://a.example/a.pdf")),
    ],
)
def test_files_come_by_id_by_value_or_by_address(given_file: FileFile, part: object) -> None:
    assert media.file(given_file, "/f", NAME) == part


@pytest.mark.parametrize("given_file", [FileFile(), FileFile(""), FileFile("no base64!")])
def test_a_file_without_content_is_refused(given_file: FileFile) -> None:
    with pytest.raises(InvalidRequest) as caught:
        media.file(given_file, "/messages/0/content/0/file", NAME)
    assert caught.value.param == "messages[0].content[0].file"


@case(71)
@pytest.mark.parametrize("format_", ["wav", "mp3", "flac", "opus", "pcm16"])
def test_audio_formats_are_media_types_and_back(format_: str) -> None:
    assert media.audio_format(media.audio_type(format_)) == format_


@case(71)
@pytest.mark.parametrize("mime_type", ["audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"])
def test_a_format_goes_by_many_names(mime_type: str) -> None:
    assert media.audio_format(mime_type) == "wav"


@pytest.mark.parametrize(
    ("content", "mime_type"),
    [
        ("UklGRiQA", "audio/wav"),
        ("SUQzBAAA", "audio/mpeg"),
        ("ZkxhQw", "audio/flac"),
        ("AAAA", "audio/pcm"),
    ],
)
def test_the_format_of_an_answer_is_told_by_its_first_bytes(content: str, mime_type: str) -> None:
    assert media.spoken(content) == mime_type


@pytest.mark.parametrize(
    ("mime_type", "modality"),
    [
        ("image/png", "image"),
        ("audio/wav", "audio"),
        ("video/mp4", "video"),
        ("text/csv", "document"),
        ("application/pdf", "document"),
    ],
)
def test_a_media_type_says_what_kind_of_thing_it_is(mime_type: str, modality: str) -> None:
    assert media.modality(mime_type) == modality


def test_a_media_type_says_what_a_files_name_ends_in() -> None:
    assert media.extension("application/pdf") == "pdf"
    assert media.extension("application/x-tar") == "x-tar"


def test_a_blob_as_a_data_url_reads_as_the_blob() -> None:
    blob = Blob("image", "image/png", PNG)
    assert media.parse_data_url(media.data_url(blob), AT) == ("image/png", PNG)
