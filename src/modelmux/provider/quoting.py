"""Other people's words in our messages: bounded, in one line, and without secrets."""

import re
from typing import Final

MAX_CHARS: Final = 1000
"""Longest quotation: enough for the longest explanations, too little for a page of HTML."""

_SPACE: Final = re.compile(r"[\s\x00-\x1f\x7f]+")
_KEY: Final = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf|AIza|ya29|AKIA|ASIA|eyJ)[-_.]?[A-Za-z0-9+/_.*-]{6,}"
    r"|(?i:\bbearer\s+)[^\s,;\"']+"
)
_MIXED: Final = re.compile(
    # From the start of a run only: else a long one would be looked through again and again.
    r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]*[a-z])(?=[A-Za-z0-9_-]*[A-Z])(?=[A-Za-z0-9_-]*\d)"
    r"[A-Za-z0-9_-]{20,}"
)
"""Long, and mixing cases and digits, as keys are and names of models and resources are not."""


def quoted(text: str, *, about_keys: bool = False) -> str:
    """`text` for a message: at most `MAX_CHARS` characters, with `…` for what looks like a key.

    Where it is `about_keys`, ids that only look like one go too: better that than the other way
    round.
    """
    # Cut first: patterns must not run over a page of text.
    line = _SPACE.sub(" ", text[: 2 * MAX_CHARS]).strip()
    line = _KEY.sub("…", line)
    if about_keys:
        line = _MIXED.sub("…", line)
    return line if len(line) <= MAX_CHARS else line[: MAX_CHARS - 1] + "…"


def shows_key(text: bytes) -> bool:
    """Whether something in `text` looks like a key."""
    return _KEY.search(text.decode("latin-1")) is not None
