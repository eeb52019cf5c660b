"""Why a target refused a call, where that says who else would take it."""

import re
from typing import Final, Literal

from modelmux.errors import Rejected

Reason = Literal["context_length", "content_policy", "capability"]
"""`context_length`: the prompt is too long for this model. `content_policy`: it will not answer
what it was asked. `capability`: it cannot be told all that was said, or cannot do it."""

_LENGTH_CODES: Final = frozenset({"context_length_exceeded", "context_window_exceeded"})
_POLICY_CODES: Final = frozenset(
    {"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"}
)
_TOO_LONG: Final = re.compile(
    r"""maximum\ context\ length             # OpenAI, and the servers that copy it
      | prompt\ is\ too\ long                # Anthropic
      | exceed\ context\ limit               # Anthropic, with max_tokens
      | input\ token\ count\b.{0,80}exceeds  # Gemini
      | context\ (?:window|size|length)\ (?:is\ )?exceeded
      | exceeds\ the\ (?:available\ |model's\ )?(?:maximum\ )?context
      | reduce\ the\ length\ of\ the\ (?:messages|prompt|input)
      | Input\ is\ too\ long\ for\ requested\ model  # Bedrock
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Most APIs have no code for it, and say it in words. As their documentation and answers had them,
read 2026-11-20."""


def reason_of(exc: Rejected) -> Reason | None:
    """Why `exc` was raised, if another target may take what this one refused."""
    if exc.kind == "content_filter" or exc.upstream_code in _POLICY_CODES:
        return "content_policy"
    if exc.upstream_code in _LENGTH_CODES or _TOO_LONG.search(exc.message):
        return "context_length"
    return None
