"""Signatures of tool calls, in the ids of the calls.

A target may want back, with a call, the signature of the thought that led to it. Other APIs have
no field for that, but their callers send ids back as they came, in calls and in results. So an id
of an answer holds the signature too, in letters that every API takes in an id:

```
gem_RESPONSE_2__thought_U2lnbmF0dXJl
```

Only the wire that wrote such an id reads it. Other targets are sent the part before it, because
some refuse ids that are long.
"""

import base64
import binascii

from msgspec.structs import replace

from modelmux.ir.parts import Part, ToolCall, ToolResult
from modelmux.ir.request import Message, Request

MARK = "__thought_"
_OTHERWISE = "__thoughtx_"
"""Before a signature that is not Base64 in its usual form, and so encoded once more."""
BEGINNING = b"__thought"
"""What a body holds that holds such an id."""


def join(id_: str, signature: str) -> str:
    """`id_` with the signature in it."""
    letters = signature.rstrip("=").replace("+", "-").replace("/", "_")
    if _usual(letters) == signature and letters.isascii():
        return f"{id_}{MARK}{letters}"
    encoded = base64.urlsafe_b64encode(signature.encode()).decode().rstrip("=")
    return f"{id_}{_OTHERWISE}{encoded}"


def split(id_: str) -> tuple[str, str | None]:
    """The id and the signature that `join` put together."""
    base, found, letters = id_.partition(MARK)
    if found:
        return base, _usual(letters)
    base, found, letters = id_.partition(_OTHERWISE)
    return base, _decoded(letters) if found else None


def without_signatures(request: Request) -> Request:
    """`request` with the ids alone, for targets that want no signature in them."""
    return replace(request, messages=tuple([_message(message) for message in request.messages]))


def _message(message: Message) -> Message:
    return replace(message, parts=tuple([_plain(part) for part in message.parts]))


def _plain(part: Part) -> Part:
    if isinstance(part, ToolCall | ToolResult):
        return replace(part, id=split(part.id)[0])
    return part


def _usual(letters: str) -> str:
    """Base64 in the usual letters, with its padding."""
    return letters.replace("-", "+").replace("_", "/") + "=" * (-len(letters) % 4)


def _decoded(letters: str) -> str | None:
    try:
        return base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None  # a caller cut it short
