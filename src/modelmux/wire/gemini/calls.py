"""Ids of function calls, which Gemini mostly does not give.

It pairs calls with their results by place; other APIs need an id for each call. An id that was
made here says so, and goes back as none. `ir.signed_ids` puts the signature of a call into it.
"""

import re
from typing import NamedTuple

from modelmux.ir import signed_ids

MADE = "gem_"

_NOT_ID = re.compile(r"[^A-Za-z0-9-]")

SKIP_VALIDATION = "skip_thought_signature_validator"
"""In place of a signature that nobody has: the call was another model's.

https://ai.google.dev/gemini-api/docs/thought-signatures, read 2026-11-20
"""


class CallId(NamedTuple):
    """What an id says."""

    id: str | None
    """The API's own id; `None`: it gave none."""
    signature: str | None


def made(response_id: str, number: int) -> str:
    """An id for a call that has none: the same whenever the same answer is read."""
    return f"{MADE}{_NOT_ID.sub('', response_id)}_{number}"


def split(id_: str) -> CallId:
    """What an id says, whoever made it."""
    base, signature = signed_ids.split(id_)
    return CallId(None if base.startswith(MADE) else base, signature)
