"""Reasoning of another wire, in the one opaque string that a caller's wire has room for.

A target may want its reasoning back: a signature, or what only it can read. Where the caller speaks
another wire, it goes out as a string of ours in the place where that wire has a string of its own,
and callers return it there, as their API tells them to. It is then read as reasoning of its origin
again, which nobody else is sent.
"""

from modelmux.ir.parts import Reasoning

PREFIX = "modelmux/"
"""What every such string begins with; the name of the origin follows."""

_SIGNATURE = "s"
_ENCRYPTED = "e"


def seal(part: Reasoning) -> str | None:
    """What `part.origin` wants back, in one string; `None` where that is nothing."""
    if part.encrypted is not None:
        return f"{PREFIX}{part.origin}:{_ENCRYPTED}:{part.encrypted}"
    if part.signature:
        return f"{PREFIX}{part.origin}:{_SIGNATURE}:{part.signature}"
    return None


def unseal(text: str, opaque: str | None) -> Reasoning | None:
    """The reasoning that `seal` made `opaque` of; `None` where it is the wire's own.

    Args:
        text: The thinking beside it.
        opaque: A string from the place where the wire has its own.
    """
    if opaque is None or not opaque.startswith(PREFIX):
        return None
    origin, _, rest = opaque[len(PREFIX) :].partition(":")
    kind, _, value = rest.partition(":")
    if kind == _ENCRYPTED:
        return Reasoning(text, encrypted=value, origin=origin)
    return Reasoning(text, value if kind == _SIGNATURE else None, origin=origin)
