"""Masks secrets in whatever the gateway says of itself: log lines, error texts, wire dumps.

A secret is masked wherever it stands if it was registered, which the configuration does with all
of its own, also where it was escaped, URL-encoded or Base64-encoded on the way. What was never
registered is masked by its place (a header, a query parameter) or by its looks (`sk-…`, a JWT).
"""

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple
from urllib.parse import quote, quote_plus

import msgspec

MASK: Final = "***"

MIN_SECRET_CHARS: Final = 4
"""A shorter value cannot be registered: it protects nothing, and would be found everywhere."""

_MIN_ENCODED_BYTES = 8
"""Below this the Base64 form is so short that other text has it by chance."""

_SECRET_HEADER = re.compile(
    r"(?:authorization|cookie|key|password|secret|signature|token|credentials?)$"
)
_OPEN_HEADERS = frozenset({"idempotency-key", "sec-websocket-key"})

_SCHEME = re.compile(r"(?:Basic|Bearer|Digest|Negotiate)\b", re.IGNORECASE)

_PARAMETER = (
    r"(?:key|api[-_]?key|(?:access|auth|id|refresh)?[-_]?token|(?:client[-_]?)?secret|password"
    r"|sig|signature|x-amz-(?:credential|security-token|signature)|x-goog-signature)"
)


class _Look(NamedTuple):
    """What a secret of one kind looks like."""

    hints: tuple[str, ...]
    """It is not in a text that has none of these in lower case, which is quick to find out."""
    pattern: re.Pattern[str]
    replacement: str = MASK


_LOOKS = (
    _Look(
        ("private key",),
        # The end is missing where a text was cut; a quote ends the string that the key stands in.
        re.compile(
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[^\"]*?"
            r"(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|(?=\")|\Z)"
        ),
    ),
    _Look(
        ("bearer", "basic"),
        re.compile(r"\b(bearer|basic)(\s+)[\w.~+/=-]{8,}", re.IGNORECASE | re.ASCII),
        rf"\1\2{MASK}",
    ),
    _Look(
        ("=",),
        re.compile(rf"([?&]{_PARAMETER}=)[^&\s\"'#]+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    # OpenAI, Anthropic, OpenRouter, DeepSeek, and those who copied them.
    _Look(("sk-",), re.compile(r"(?<![A-Za-z0-9])sk-[\w-]{16,}", re.ASCII)),
    # Google: API keys, OAuth tokens.
    _Look(
        ("aiza", "ya29."),
        re.compile(r"(?<![\w-])(?:AIza[\w-]{20,}|ya29\.[\w-]{16,})", re.ASCII),
    ),
    _Look(("akia", "asia"), re.compile(r"(?<![\w-])(?:AKIA|ASIA)[A-Z0-9]{16}", re.ASCII)),
    # Groq, xAI, Perplexity, Hugging Face, GitHub.
    _Look(
        ("gsk_", "xai-", "pplx-", "hf_", "github_pat_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
        re.compile(r"(?<![\w-])(?:gsk_|xai-|pplx-|hf_|gh[pousr]_|github_pat_)[\w-]{16,}", re.ASCII),
    ),
    # JSON Web Tokens: `eyJ` is `{"` in Base64.
    _Look(("eyj",), re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?", re.ASCII)),
)


class Redactor:
    """Knows the secrets. One for the process; registering is for load time."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Start with `secrets`."""
        self.generation = 0
        """Changes with what is known: whoever keeps masked text masks it again then."""
        self._plain: tuple[str, ...] = ()
        self._shortest = 0
        self._forms: frozenset[str] = frozenset()
        self._registered: re.Pattern[str] | None = None
        self.register(secrets)

    def register(self, secrets: Iterable[str]) -> None:
        """Mask these values from now on, beside those registered before.

        Values shorter than `MIN_SECRET_CHARS` are left out.
        """
        long_enough = [secret for secret in secrets if len(secret) >= MIN_SECRET_CHARS]
        if not long_enough:
            return
        self.generation += 1
        plain = {form for secret in long_enough for form in _plain_forms(secret)}
        self._plain = tuple(plain.union(self._plain))
        self._shortest = min(map(len, self._plain))
        self._forms |= plain.union(*map(_encoded_forms, long_enough))
        self._compile()

    def forget(self, secrets: Iterable[str]) -> None:
        """Mask these values no more, unless they look like secrets.

        Whoever has others with a form in common registers them again.
        """
        gone = list(secrets)
        forms = {form for secret in gone for form in _plain_forms(secret)}
        encoded = {form for secret in gone for form in _encoded_forms(secret)}
        self.generation += 1
        self._plain = tuple(form for form in self._plain if form not in forms)
        self._forms = self._forms - forms - encoded
        self._compile()

    def holds_registered(self, text: str) -> bool:
        """Whether a registered secret stands in `text` as it is, or escaped.

        The quick question, for text that is made of names and numbers: it looks for no encoded
        forms, and for nothing by its looks.
        """
        # Most texts are ids, shorter than any key.
        return len(text) >= self._shortest and any(map(text.__contains__, self._plain))

    def text(self, text: str) -> str:
        """`text` with every secret in it masked."""
        masked = self._mask_registered(text)
        lower = masked.lower()
        for look in _LOOKS:
            if any(map(lower.__contains__, look.hints)):
                masked = look.pattern.sub(look.replacement, masked)
        return self._mask_registered(masked) if masked != text else text

    def header(self, name: str, value: str) -> str:
        """The value of a header field as it may be shown; its scheme is, its secret is not."""
        lower = name.lower()
        if _SECRET_HEADER.search(lower) and lower not in _OPEN_HEADERS:
            scheme = _SCHEME.match(value)
            return f"{scheme.group()} {MASK}" if scheme else MASK
        return self.text(value)

    def _compile(self) -> None:
        longest_first = sorted(self._forms, key=len, reverse=True)
        pattern = "|".join(map(re.escape, longest_first))
        self._registered = re.compile(pattern) if pattern else None

    def _mask_registered(self, text: str) -> str:
        # One search for each form is quicker than one expression for all of them.
        if self._registered is None or not any(map(text.__contains__, self._forms)):
            return text
        # Again until nothing is found: what a mask joins might be a secret. It ends, because a
        # mask is shorter than anything registered.
        while (masked := self._registered.sub(MASK, text)) != text:
            text = masked
        return text


def printable(text: str) -> str:
    r"""`text` on one line: what a terminal would not print is escaped, as `\n` or `\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def _plain_forms(secret: str) -> Iterator[str]:
    """The ways in which a secret stands in a line of ours."""
    yield secret
    yield printable(secret)
    yield repr(secret)[1:-1]
    with suppress(UnicodeEncodeError):  # half of a surrogate pair: no JSON says it
        yield msgspec.json.encode(secret).decode()[1:-1]


def _encoded_forms(secret: str) -> Iterator[str]:
    """The ways in which others write it."""
    encoded = secret.encode(errors="surrogatepass")
    yield quote(encoded, safe="")
    yield quote_plus(encoded)
    if len(encoded) < _MIN_ENCODED_BYTES:
        return
    # What precedes the secret shifts its bits by 0, 2 or 4: three forms, without the first and
    # last characters, which also hold bits of the neighbours.
    for shift in range(3):
        start = (shift * 8 + 5) // 6
        end = (shift + len(encoded)) * 8 // 6
        padded = b"\0" * shift + encoded
        yield b64encode(padded)[start:end].decode()
        yield urlsafe_b64encode(padded)[start:end].decode()
