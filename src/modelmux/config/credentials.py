"""What is wrong with a Google service account's key, seen without asking Google."""

import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

_FIELDS = (
    "type",
    "project_id",
    "private_key_id",
    "private_key",
    "client_email",
    "client_id",
    "auth_uri",
    "token_uri",
)
# PKCS #8 is what Google hands out; PKCS #1 is read as well.
_PEM = ("-----BEGIN PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----")
_DEFAULT_CREDENTIALS = "leave it out to use application default credentials"


class Findings(Struct, frozen=True):
    """Messages to the operator; none of them quotes the key."""

    error: str = ""
    hint: str = ""
    warnings: tuple[str, ...] = ()


def service_account_file(path: Path) -> Findings:
    """What is wrong with a service account's file: its content, and who can read it."""
    try:
        text = path.read_text(encoding="utf-8")
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        return Findings(f"the file {str(path)!r} cannot be read: {reason}", _DEFAULT_CREDENTIALS)
    found = service_account(text)
    warnings = list(found.warnings)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        warnings.append(f"other users can reach {str(path)!r}: chmod 600 it")
    return Findings(found.error, found.hint, tuple(warnings))


def service_account(text: str) -> Findings:
    """What is wrong with a service account's JSON."""
    try:
        key = msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError:
        return Findings("expected the JSON object of a service account", _DEFAULT_CREDENTIALS)
    missing = [name for name in _FIELDS if not _text(key, name)]
    if missing:
        hint = "download the key again: Google Cloud console, IAM, service accounts, keys"
        return Findings(f"the service account has no {', '.join(missing)}", hint)
    if _text(key, "type") != "service_account":
        return Findings(
            f"expected the type service_account, got {_text(key, 'type')!r}", _DEFAULT_CREDENTIALS
        )
    if not _text(key, "private_key").lstrip().startswith(_PEM):
        return Findings("expected a private key in PEM (-----BEGIN PRIVATE KEY-----)")
    if not _text(key, "client_email").endswith(".gserviceaccount.com"):
        return Findings(warnings=("the client_email is not of gserviceaccount.com",))
    return Findings()


def _text(key: Mapping[str, object], name: str) -> str:
    value = key.get(name)
    return value if isinstance(value, str) else ""
