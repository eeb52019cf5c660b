import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.ir.parts import Modality
from modelmux.wire.bedrock_converse import media
from tests.support import amazon
from tests.support.cases import case


@pytest.mark.parametrize(
    ("modality", "shape"),
    [
        ("image", "ImageFormat"),
        ("document", "DocumentFormat"),
        ("video", "VideoFormat"),
    ],
)
def test_every_format_of_the_api_is_known_and_comes_back(modality: Modality, shape: str):
    formats = amazon.operation("Converse").service_model.shape_for(shape).enum
    for each in formats:
        assert media.format_of(modality, media.mime_type(modality, each)) == each


@case(68)
@pytest.mark.parametrize(
    ("modality", "mime", "said"),
    [
        ("image", "image/jpg", "jpeg"),
        ("image", "IMAGE/PNG; charset=x", "png"),
        ("audio", "audio/mp3", "mp3"),
        ("document", "text/x-python", "txt"),
        ("image", "image/bmp", None),
        ("document", "application/zip", None),
    ],
)
def test_a_type_is_said_as_a_format(modality: Modality, mime: str, said: str | None):
    assert media.format_of(modality, mime) == said


def test_a_format_that_is_not_known_comes_back_to_its_own_api():
    mime = media.mime_type("image", "holo")
    assert media.format_of("image", mime) is None
    assert media.format_of("image", mime, as_said=True) == "holo"


@case(70)
def test_names_of_documents_are_made_to_fit_and_told_apart():
    names = media.DocumentNames()
    assert names.say("report_2026.pdf") == "report-2026-pdf"
    assert names.say("report/2026?pdf") == "report-2026-pdf-2"
    assert names.say(None) == "document"
    assert names.say("   ") == "document-2"


@given(st.lists(st.text(max_size=300), max_size=6))
def test_every_name_is_allowed_and_stands_once(given_names: list[str]):
    names = media.DocumentNames()
    said = [names.say(name) for name in given_names]
    assert len(set(said)) == len(said)
    assert all(re.fullmatch(r"[a-zA-Z0-9\s\-()\[\]]{1,200}", name) for name in said)
