from pathlib import Path

import msgspec
import pytest

from modelmux.config.credentials import service_account, service_account_file

WHOLE = {
    "type": "service_account",
    "project_id": "p",
    "private_key_id": "1",
    "private_key": "-----BEGIN PRIVATE KEY-----\nsentinel\n-----END PRIVATE KEY-----\n",
    "client_email": "a@p.iam.gserviceaccount.com",
    "client_id": "2",
    "auth_uri": "https://accounts.google.com/o/oauth2/auth",
    "token_uri": "https://oauth2.googleapis.com/token",
}


def text(**changes: object) -> str:
    return msgspec.json.encode({**WHOLE, **changes}).decode()


def test_a_whole_key_is_fine():
    found = service_account(text())
    assert (found.error, found.warnings) == ("", ())


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_each_field_is_needed(name: str):
    assert service_account(text(**{name: ""})).error == f"the service account has no {name}"
    assert service_account(text(**{name: None})).error == f"the service account has no {name}"


@pytest.mark.parametrize(
    ("json", "error"),
    [
        ("", "expected the JSON object of a service account"),
        ("[]", "expected the JSON object of a service account"),
        (text(type="authorized_user"), "expected the type service_account, got 'authorized_user'"),
        (
            text(private_key="sentinel"),
            "expected a private key in PEM (-----BEGIN PRIVATE KEY-----)",
        ),
    ],
)
def test_another_kind_of_credential_is_told_apart(json: str, error: str):
    found = service_account(json)
    assert found.error == error
    assert "sentinel" not in found.hint


def test_a_foreign_address_is_a_warning():
    assert service_account(text(client_email="a@b.c")).warnings


def test_a_file_is_judged_by_content_and_by_who_can_read_it(tmp_path: Path):
    path = tmp_path / "sa.json"
    path.write_text(text())
    path.chmod(0o600)
    assert service_account_file(path).warnings == ()
    path.chmod(0o640)
    (warning,) = service_account_file(path).warnings
    assert "chmod 600" in warning


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path):
    assert "cannot be read: No such file" in service_account_file(tmp_path / "none").error
    (tmp_path / "bytes").write_bytes(b"\xff")
    assert "not UTF-8" in service_account_file(tmp_path / "bytes").error
