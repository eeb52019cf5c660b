"""Who calls: keys of the configuration, found by their hash."""

import hmac
from collections.abc import Iterator, Mapping
from hashlib import sha256
from urllib.parse import parse_qs

from msgspec.structs import replace

from modelmux.errors import Unauthenticated
from modelmux.ingress.entrance import Identity
from modelmux.ingress.http import HttpRequest
from modelmux.target.call import ANONYMOUS, Caller

CREDENTIALS = ("authorization", "x-api-key", "x-goog-api-key")
"""Header fields in which a key may come."""


MAX_KEPT = 1024
"""Callers kept as listeners make them: sandboxes come and go, so there must be an end to it."""


class Keyring:
    """Callers by the SHA-256 of their secret. Without any, everybody is let in as nobody."""

    def __init__(self, callers: Mapping[bytes, Caller]) -> None:
        """Take callers by digest; the secrets themselves are not kept."""
        self._callers = {digest: (digest, caller) for digest, caller in callers.items()}
        self._named = {caller.name: caller for caller in callers.values()}
        self._kept: dict[tuple[int, int], tuple[Identity, Caller, Caller]] = {}

    def identify(self, request: HttpRequest) -> Caller:
        """Who sent `request`, as the listener has it that it came in by.

        Raises:
            Unauthenticated: No key came that is known, and the listener asks for one.
        """
        identity = request.entrance.identity
        if not identity.changes_callers:
            return self._by_secret(request)
        if identity.key:
            caller = self._by_name(identity.key)
        elif not identity.asks:
            caller = ANONYMOUS
        else:
            caller = self._by_secret(request)
        return self._at(identity, caller)

    def has(self, name: str) -> bool:
        """Whether there is a key of that name."""
        return name in self._named

    def _by_name(self, name: str) -> Caller:
        caller = self._named.get(name)
        if caller is None:
            raise Unauthenticated(
                f"calls count here as the key {name!r}, which is not in the configuration any more"
            )
        return caller

    def _at(self, identity: Identity, caller: Caller) -> Caller:
        """`caller` as somebody who came in by a listener of that identity."""
        # By object: neither can be hashed, and both live as long as they are kept here.
        where = (id(identity), id(caller))
        kept = self._kept.get(where)
        if kept is None:
            tags = {**caller.tags, **identity.tags}
            made = replace(caller, tags=tags, within=identity.models)
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            kept = self._kept[where] = (identity, caller, made)
        return kept[2]

    def _by_secret(self, request: HttpRequest) -> Caller:
        if not self._callers:
            return ANONYMOUS
        came = False
        for secret in _secrets(request):
            came = True
            digest = sha256(secret).digest()
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

    def not_ours(self, request: HttpRequest) -> dict[str, str]:
        """Fields of `CREDENTIALS` that came with an identified request and hold no key of ours.

        They are the caller's for somebody else. A key of this gateway's must never travel on.
        """
        headers = request.headers
        came = {name: headers[name] for name in CREDENTIALS if name in headers}
        if not self._callers:
            return came
        if len(came) == 1 and not request.query:
            return {}  # it is the one by which the caller is known
        return {name: value for name, value in came.items() if not self._holds_ours(name, value)}

    def _holds_ours(self, name: str, value: str) -> bool:
        fields = value.split(", ")  # several of a name
        secrets = [secret for each in fields for secret in _secret(name, each)]
        return any(sha256(secret).digest() in self._callers for secret in secrets)


def _secrets(request: HttpRequest) -> Iterator[bytes]:
    """Every key that came, in whatever form a client sends it."""
    for name in CREDENTIALS:
        if value := request.headers.get(name):
            yield from _secret(name, value)
    if b"key=" in request.query:
        for key in parse_qs(request.query.decode("latin-1")).get("key", ()):
            yield key.encode()


def _secret(name: str, value: str) -> Iterator[bytes]:
    """The key in one field, in the bytes that came: fields are no text of any encoding."""
    if name == "authorization":
        scheme, _, value = value.partition(" ")
        if scheme.lower() != "bearer":
            return
    if secret := value.strip(" \t"):
        yield secret.encode("latin-1")
