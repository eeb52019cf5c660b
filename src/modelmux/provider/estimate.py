"""Counted tokens for targets that do not count: a guess that says so."""

from modelmux.ir.request import Loss, Request
from modelmux.target.estimate import input_tokens
from modelmux.target.reply import Reply, Whole
from modelmux.wire.base import Wire


def counted(request: Request, wire: Wire, target: str) -> Reply:
    """An answer to a request to count tokens, which says that it is a guess.

    Args:
        request: What is to be counted.
        wire: What the caller speaks.
        target: Who does not count.
    """
    body = wire.encode_token_count(input_tokens(request))
    loss = Loss("/input_tokens", f"{target} does not count tokens: this is an estimate")
    return Reply(Whole(wire, body, opaque=True), target=target, losses=(loss,))
