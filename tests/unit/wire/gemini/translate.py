"""Requests of another wire on their way to this one."""

import msgspec

from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Encoded, Request
from modelmux.wire.gemini import request_encode

Body = dict[str, object]


def encoded(request: Request, profile: Profile = UNKNOWN) -> Encoded:
    return request_encode.encode(request, profile)


def body(request: Request, profile: Profile = UNKNOWN) -> Body:
    """The body that `request` becomes."""
    return msgspec.json.decode(encoded(request, profile).body, type=Body)


def lost(request: Request, profile: Profile = UNKNOWN) -> list[str]:
    """Paths of what is lost of `request`."""
    return [loss.path for loss in encoded(request, profile).losses]
