"""A name server that knows no name, and remembers what it was asked."""

from typing import Final

MAX_MESSAGE_BYTES: Final = 512
"""A question over UDP is not longer (RFC 1035, 4.2.1); a longer one is cut, and its end is not
needed."""

_HEADER_BYTES: Final = 12
_MAX_NAME_BYTES: Final = 255


def question(message: bytes) -> str:
    """The name that is asked for, as printable ASCII; empty if it is no question."""
    if len(message) < _HEADER_BYTES or message[2] & 0x80:
        return ""
    labels: list[str] = []
    at = _HEADER_BYTES
    while at < len(message) and at - _HEADER_BYTES <= _MAX_NAME_BYTES:
        length = message[at]
        if length == 0:
            return ".".join(labels)
        if length & 0xC0 or at + 1 + length > len(message):
            return ""
        label = message[at + 1 : at + 1 + length]
        labels.append("".join(chr(each) if 0x20 < each < 0x7F else "?" for each in label))
        at += 1 + length
    return ""


def no_such_name(message: bytes) -> bytes:
    """The answer to a question: there is no such name. Empty if it is no question."""
    if not question(message):
        return b""
    end = _HEADER_BYTES
    while message[end]:
        end += 1 + message[end]
    asked = message[_HEADER_BYTES : end + 5]  # the name's end, type and class
    # A response, recursion available, NXDOMAIN; what else was asked for (EDNS) is left out.
    flags = bytes((0x80 | (message[2] & 0x79), 0x83))
    return message[:2] + flags + b"\0\1\0\0\0\0\0\0" + asked
