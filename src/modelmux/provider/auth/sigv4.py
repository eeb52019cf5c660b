"""Amazon's signatures, version 4: a request is signed whole, and the secret is never sent.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html,
read 2026-11-20. Signing is last: it covers the very bytes that are sent, to the host that is
dialled, at the time at which they are; so every try is signed anew.
"""

import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Struct
from typing_extensions import override

from modelmux.transport.base import Headers

ALGORITHM: Final = "AWS4-HMAC-SHA256"
MAX_SKEW_S: Final = 240.0
"""A clock that differs by more is corrected: Amazon refuses at five minutes."""

_SIGNED: Final = frozenset({"content-type", "host"})


class AwsKeys(Struct, frozen=True):
    """What Amazon's requests are signed with."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""

    @override
    def __repr__(self) -> str:
        return "AwsKeys(…)"

    def block(self) -> bytes:
        """The keys as a credential's block, which a `Signer` reads and nobody sends."""
        return msgspec.json.encode(self)


_keys = msgspec.json.Decoder(AwsKeys)


class SigV4:
    """Signs requests to one service in one region. For one event loop."""

    def __init__(
        self, region: str, *, service: str = "bedrock", unix_time: Callable[[], float]
    ) -> None:
        self._region = region
        self._service = service
        self._unix_time = unix_time
        self._ahead_s = 0.0  # how much Amazon's clock is ahead of ours

    def __call__(self, head: bytes, body: bytes, block: bytes) -> bytes:
        """Header fields that sign a request, each ended by CRLF.

        Args:
            head: Request line and header fields, `host` among them, each ended by CRLF.
            body: The body, as it will be sent.
            block: `AwsKeys.block`.
        """
        keys = _keys.decode(block)
        now = datetime.fromtimestamp(self._unix_time() + self._ahead_s, UTC)
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        scope = f"{stamp[:8]}/{self._region}/{self._service}/aws4_request"
        method, path, fields = _parts(head)
        fields["x-amz-date"] = stamp
        if keys.session_token:
            fields["x-amz-security-token"] = keys.session_token
        names = sorted(fields)
        signed = ";".join(names)
        where, _, query = path.partition("?")
        request = "\n".join(
            (
                method,
                quote(where, safe="/~"),  # which is encoded already: Amazon wants it once more
                "&".join(sorted(query.split("&"))),
                "".join([f"{name}:{fields[name]}\n" for name in names]),
                signed,
                sha256(body).hexdigest(),
            )
        )
        digest = sha256(request.encode()).hexdigest()
        text = "\n".join((ALGORITHM, stamp, scope, digest)).encode()
        key = _signing_key(keys.secret_access_key, stamp[:8], self._region, self._service)
        signature = hmac.new(key, text, sha256).hexdigest()
        shown = f"x-amz-date: {stamp}\r\n"
        if keys.session_token:
            shown += f"x-amz-security-token: {keys.session_token}\r\n"
        return (
            f"{shown}authorization: {ALGORITHM} Credential={keys.access_key_id}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature}\r\n"
        ).encode("latin-1")

    def learn(self, status: int, headers: Headers) -> bool:
        """Set our clock by Amazon's after a refusal, if it differs enough to be the reason."""
        if status != 403:
            return False
        told = next((value for name, value in headers if name == b"date"), b"")
        try:
            theirs = parsedate_to_datetime(told.decode("latin-1")).timestamp()
        except ValueError:
            return False
        ahead_s = theirs - self._unix_time()
        if abs(ahead_s - self._ahead_s) <= MAX_SKEW_S:
            return False
        self._ahead_s = ahead_s
        return True


def _parts(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Method, path, and those header fields that are signed."""
    line, *rest = head.decode("latin-1").split("\r\n")
    method, path, _ = line.split(" ", 2)
    fields: dict[str, str] = {}
    for each in rest:
        name, _, value = each.partition(":")
        if name in _SIGNED:
            fields[name] = " ".join(value.split())
    return method, path, fields


@lru_cache(maxsize=64)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key of one day, which is made of four signatures."""
    key = f"AWS4{secret}".encode()
    for step in (date, region, service, "aws4_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    return key
