from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from modelmux.provider.auth.sigv4 import MAX_SKEW_S, AwsKeys, SigV4

NOW = 1_795_000_000.0
KEYS = AwsKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
HOST = "bedrock-runtime.us-east-1.amazonaws.com"


def head(path: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n"
        "user-agent: modelmux/1\r\n"
    ).encode()


def fields(signed: bytes) -> dict[str, str]:
    lines = signed.decode().removesuffix("\r\n").split("\r\n")
    return dict(line.split(": ", 1) for line in lines)


def amazons(path: str, body: bytes, keys: AwsKeys) -> str:
    """The `authorization` that Amazon's own library makes."""
    credentials = Credentials(
        keys.access_key_id, keys.secret_access_key, keys.session_token or None
    )
    auth = SigV4Auth(credentials, "bedrock", "us-east-1")
    request = AWSRequest(
        "POST",
        f"https://{HOST}{path}",
        headers={"host": HOST, "content-type": "application/json"},
        data=body,
    )
    stamp = datetime.fromtimestamp(NOW, UTC).strftime("%Y%m%dT%H%M%SZ")
    request.context["timestamp"] = stamp
    request.headers["X-Amz-Date"] = stamp
    if keys.session_token:
        request.headers["X-Amz-Security-Token"] = keys.session_token
    text = auth.string_to_sign(request, auth.canonical_request(request))
    signature = auth.signature(text, request)
    return (
        f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders="
        f"{auth.signed_headers(auth.headers_to_sign(request))}, Signature={signature}"
    )


@pytest.mark.parametrize("keys", [KEYS, AwsKeys("AKID", "secret", "token+/=")], ids=repr)
@pytest.mark.parametrize(
    "path",
    [
        "/model/amazon.nova-lite-v1%3A0/converse",
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/invoke",
        "/model/plain/converse-stream",
    ],
)
def test_signatures_are_those_of_amazons_own_library(keys: AwsKeys, path: str):
    sign = SigV4("us-east-1", unix_time=lambda: NOW)
    found = fields(sign(head(path), b'{"a":1}', keys.block()))
    assert found["authorization"] == amazons(path, b'{"a":1}', keys)
    assert found.get("x-amz-security-token", "") == keys.session_token


@given(st.binary(max_size=100), st.text("abcz09-._~", min_size=1, max_size=20))
def test_every_body_and_model_is_signed_as_amazons_library_does(body: bytes, model: str):
    sign = SigV4("us-east-1", unix_time=lambda: NOW)
    path = f"/model/m{model}/converse"
    assert fields(sign(head(path), body, KEYS.block()))["authorization"] == amazons(
        path, body, KEYS
    )


def test_the_secret_is_never_sent_nor_shown():
    sign = SigV4("us-east-1", unix_time=lambda: NOW)
    assert KEYS.secret_access_key.encode() not in sign(head("/x"), b"", KEYS.block())
    assert repr(KEYS) == "AwsKeys(…)"


def refusal(at: float) -> list[tuple[bytes, bytes]]:
    return [(b"date", format_datetime(datetime.fromtimestamp(at, UTC), usegmt=True).encode())]


def test_a_clock_that_is_wrong_is_set_by_amazons_once():
    sign = SigV4("us-east-1", unix_time=lambda: NOW)
    before = fields(sign(head("/x"), b"", KEYS.block()))["x-amz-date"]
    assert sign.learn(403, refusal(NOW + 3600))
    after = fields(sign(head("/x"), b"", KEYS.block()))["x-amz-date"]
    assert (datetime.fromisoformat(after) - datetime.fromisoformat(before)).total_seconds() == 3600
    assert not sign.learn(403, refusal(NOW + 3600))


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (400, refusal(NOW + 3600)),
        (403, refusal(NOW + MAX_SKEW_S / 2)),
        (403, []),
        (403, [(b"date", b"yesterday")]),
    ],
)
def test_other_refusals_are_what_they_are(status: int, headers: list[tuple[bytes, bytes]]):
    assert not SigV4("us-east-1", unix_time=lambda: NOW).learn(status, headers)
