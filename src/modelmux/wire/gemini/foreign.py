"""Signatures of other providers' thoughts, in the field where Gemini's callers keep Gemini's.

The field is bytes to the SDKs, written in Base64: so is the sealed string in it.
"""

import base64
import binascii

from modelmux.ir.parts import Reasoning
from modelmux.wire import sealed
from modelmux.wire.gemini.schema import NAME

START = base64.b64encode(sealed.PREFIX.encode()).decode()
"""What every such signature begins with: nine bytes are twelve letters without padding."""


def signature(part: Reasoning) -> str | None:
    """What to write as the signature of `part`; `None`: nothing."""
    if part.origin == NAME:
        return part.signature
    opaque = sealed.seal(part)
    return base64.b64encode(opaque.encode()).decode() if opaque is not None else None


def read(text: str, found: str | None) -> Reasoning:
    """The thought with the text and the signature of a part."""
    if found is not None and found.startswith(START):
        try:
            opaque = base64.b64decode(found, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            opaque = None
        if (foreign := sealed.unseal(text, opaque)) is not None:
            return foreign
    return Reasoning(text, found, origin=NAME)
