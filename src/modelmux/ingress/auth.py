"""Who calls: keys of the configuration, found by their hash."""

import hmac
from collections.abc import Iterator, Mapping
from hashlib import sha256
from urllib.parse import parse_qs

from modelmux.errors import Unauthenticated
from modelmux.ingress.http import HttpRequest
from modelmux.target.call import ANONYMOUS, Caller


class Keyring:
    """Callers by the SHA-256 of their secret. Without any, everybody is let in as nobody."""

    def __init__(self, callers: Mapping[bytes, Caller]) -> None:
        """Take callers by digest; the secrets themselves are not kept."""
        self._callers = {digest: (digest, caller) for digest, caller in callers.items()}

    def identify(self, request: HttpRequest) -> Caller:
        """Who sent `request`. Raises `Unauthenticated`."""
        if not self._callers:
            return ANONYMOUS
        came = False
        for secret in _secrets(request):
            came = True
            digest = sha256(secret.encode()).digest()
            # Found by hash, so that the time of the search tells nothing of a secret, and
            # compared in constant time, so that this stays so whatever the table becomes.
            known = self._callers.get(digest)
            if known is not None and hmac.compare_digest(known[0], digest):
                return known[1]
        if came:
            raise Unauthenticated(
                "this gateway does not know the key; use a key of the gateway, not a provider's"
            )
        raise Unauthenticated(
            "expected a key in `authorization: Bearer …`, `x-api-key` or `x-goog-api-key`, got none"
        )


def _secrets(request: HttpRequest) -> Iterator[str]:
    """Every key that came, in whatever form a client sends it."""
    headers = request.headers
    if authorization := headers.get("authorization"):
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() == "bearer" and secret.strip():
            yield secret.strip()
    for name in ("x-api-key", "x-goog-api-key"):
        if key := headers.get(name):
            yield key
    if b"key=" in request.query:
        yield from parse_qs(request.query.decode("latin-1")).get("key", ())
