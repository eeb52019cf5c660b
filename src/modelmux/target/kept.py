"""An answer as it is kept, and the key under which it is found.

Kept is the neutral form of an answer, so that one entry serves callers of every wire, whole and
streamed. The key is a digest of the neutral form of the request, for the same reason: it holds
everything that changes an answer, and nothing of how it was asked.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from modelmux.ir.request import Loss, Message, Request
from modelmux.ir.response import Response

VERSION: Final = 1
"""Of the form in which answers are kept: others are not understood, and so are not there."""

KEY_BYTES: Final = 20
"""Nobody can look for two requests with the same key of that length."""


class Kept(Struct, frozen=True, omit_defaults=True):
    """One answer."""

    response: Response
    target: str
    """Who gave it."""
    kept_at_s: float
    """Unix time."""
    losses: tuple[Loss, ...] = ()
    """What of the request the target did not hear."""
    version: int = VERSION


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Kept)


def encode(kept: Kept) -> bytes:
    """`kept` as bytes."""
    return _encoder.encode(kept)


def decode(data: bytes) -> Kept | None:
    """What was kept; `None` if it was kept by another version, or is damaged."""
    try:
        kept = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return kept if kept.version == VERSION else None


def key(request: Request, scope: Sequence[str]) -> str:
    """The key of a request.

    Args:
        request: What is asked, under the name that the caller gave the model.
        scope: What else must be the same: who asks, and who would answer.
    """
    asked = replace(
        request,
        messages=tuple(_plain(message) for message in request.messages),
        # How it is asked and answered, and not what:
        stream=False,
        include_usage=True,
        wire="",
        spelling=frozenset(),
    )
    digest = blake2b(_encoder.encode((VERSION, scope)), digest_size=KEY_BYTES)
    digest.update(_encoder.encode(asked))
    return digest.hexdigest()


def alias(wire: str, raw: bytes, scope: Sequence[str]) -> bytes:
    """A digest of a request as it came, by which its key is remembered."""
    digest = blake2b(_encoder.encode((wire, scope)), digest_size=KEY_BYTES)
    digest.update(raw)
    return digest.digest()


def _plain(message: Message) -> Message:
    return replace(message, bare=False) if message.bare else message
