"""Images, which the API has as Base64 without a word on what they are."""

from modelmux.ir.parts import Blob

_BEGINNINGS = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
)
UNKNOWN = "image/png"
"""What an image is taken for whose beginning says nothing: readers look for themselves."""


def decode(content: str) -> Blob:
    """An image, with its type from how its content begins."""
    for beginning, mime_type in _BEGINNINGS:
        if content.startswith(beginning):
            return Blob("image", mime_type, content)
    return Blob("image", UNKNOWN, content)
