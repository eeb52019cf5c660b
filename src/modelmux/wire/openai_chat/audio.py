"""Spoken answers: a message's `audio`, which is a transcript and the sound of it.

The transcript is a `Text`, so that a wire without sound says it all the same, and the sound a
`Blob` after it.
"""

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.parts import Blob, Extra, Text
from modelmux.wire import extra
from modelmux.wire.openai import media
from modelmux.wire.openai.values import NULL, objects
from modelmux.wire.openai_chat.schema import NAME

SPOKEN = Extra(NAME, {"/audio": NULL})
"""Marks a text as the transcript of the sound that follows; the value is not written."""


class _Audio(Struct):
    data: str | None = None
    transcript: str | None = None


_audio = msgspec.json.Decoder(_Audio)
_SAID = frozenset({"data", "transcript"})


def decode(raw: Raw) -> list[Text | Blob]:
    """The parts in a message's `audio`; none where it is of another shape."""
    try:
        found = _audio.decode(raw)
        fields = objects.decode(raw)
    except extra.MALFORMED:
        return []
    out: list[Text | Blob] = []
    if found.transcript:
        out.append(Text(found.transcript, extra=SPOKEN))
    kept = {f"/{extra.escape(k)}": v for k, v in fields.items() if k not in _SAID}
    if found.data:
        out.append(sound(found.data, extra.keep(kept, NAME)))
    return out


def sound(content: str, kept: Extra | None = None) -> Blob:
    """The part for the sound of an answer."""
    return Blob("audio", media.spoken(content), content, extra=kept)


def is_transcript(part: Text) -> bool:
    """Whether a text is said by the sound that follows."""
    return part.extra is not None and part.extra.wire == NAME and "/audio" in part.extra.fields


def encode(part: Blob, transcript: str) -> dict[str, object]:
    """A message's `audio`. The id, by which a next turn may name it, is the target's own."""
    out: dict[str, object] = {
        "id": "",
        "data": part.content,
        "expires_at": 0,
        "transcript": transcript,
    }
    return extra.merge(out, part.extra, NAME)
