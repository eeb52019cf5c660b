import pytest

from modelmux.wire.ollama_chat import images
from tests.support.cases import case


@case(67)
@pytest.mark.parametrize(
    ("content", "mime_type"),
    [
        ("iVBORw0KGgoAAAA=", "image/png"),
        ("/9j/4AAQ", "image/jpeg"),
        ("R0lGODlh", "image/gif"),
        ("UklGRiQA", "image/webp"),
        ("AAAA", "image/png"),
    ],
)
def test_an_image_s_beginning_says_what_it_is(content: str, mime_type: str) -> None:
    assert images.decode(content).mime_type == mime_type
