"""Calls that belong together go to the same candidate, so that its prompt cache stays warm.

Rendezvous hashing: each candidate draws a number for the call's key, and the highest wins. When a
candidate goes, only its calls move; when it comes back, they come back.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from math import log
from typing import Final

from modelmux.ir.parts import Text
from modelmux.target.call import Call
from modelmux.target.candidate import Candidate
from modelmux.target.facts import request_of
from modelmux.target.strategy import Strategy

SESSION_HEADER: Final = b"x-modelmux-session"
"""By which a caller says which of its calls belong together."""

MAX_PREFIX_CHARS: Final = 4096
"""How much of a prompt's beginning is looked at: providers cache from 1024 tokens on."""

Key = Callable[[Call], str]
"""What the calls that belong together have in common; empty: this one belongs to no others."""


class Affinity:
    """Sends calls with the same key to the same candidate, and those without as another says."""

    def __init__(self, key: Key, others: Strategy) -> None:
        """Use `key`, and `others` where there is none."""
        self._key = key
        self._others = others

    def choose(self, call: Call, among: Sequence[Candidate]) -> Candidate:
        key = self._key(call)
        if not key:
            return self._others.choose(call, among)
        return max(among, key=lambda each: _draw(key, each))


def session(call: Call) -> str:
    """The caller's session: what its header says, or the end user the request names."""
    for name, value in call.fields:
        if name == SESSION_HEADER:
            # Sessions are the caller's own: two keys may use the same word.
            return f"{call.caller.name}\n{value.decode('latin-1')}"
    request = request_of(call)
    if request is None or not request.user:
        return ""
    return f"{call.caller.name}\n{request.user}"


def prompt(call: Call) -> str:
    """The beginning of the prompt: system and first question, which turns that follow repeat."""
    request = request_of(call)
    if request is None:
        return ""
    pieces: list[str] = []
    for message in request.messages:
        pieces += [part.text for part in message.parts if isinstance(part, Text)]
        if message.role == "user":
            break
    return f"{call.caller.name}\n" + "\n".join(pieces)[:MAX_PREFIX_CHARS]


def _draw(key: str, candidate: Candidate) -> float:
    """The candidate's number for the key: higher on average with its weight."""
    digest = blake2b(f"{candidate.name}\n{key}".encode("utf-8", "replace"), digest_size=8).digest()
    # From 0 to 1, without its ends. Weighted rendezvous hashing: -w / ln(h).
    share = (int.from_bytes(digest, "big") + 0.5) / 2**64
    return -candidate.weight / log(share)
