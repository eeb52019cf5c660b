import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux import errors
from modelmux.ir.response import Failure
from modelmux.provider.errors import MAX_ERROR_BODY_BYTES, error_from

NOW = 1_795_000_000.0


class PlainWire:
    """Knows `{"error": {"kind", "message", "code"}}` and quotes the rest."""

    name = "plain"

    def encode_error(self, failure: Failure) -> bytes:
        return msgspec.json.encode({"error": {"kind": failure.kind, "message": failure.message}})

    def decode_error(self, status: int, body: bytes) -> Failure:
        try:
            said = msgspec.json.decode(body)["error"]
            return Failure(said["kind"], said["message"], said.get("code", ""), said.get("param"))
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
            kind = "internal" if status >= 500 else "invalid_request"
            return Failure(kind, body.decode("utf-8", "replace"))


WIRE = PlainWire()


def answer(kind: str = "invalid_request", message: str = "no", **more: object) -> bytes:
    return msgspec.json.encode({"error": {"kind": kind, "message": message, **more}})


def error(status: int, body: bytes = b"", headers=(), **options: object) -> errors.TargetError:
    fields = [(name.encode(), value.encode()) for name, value in headers]
    return error_from(status, fields, body, WIRE, unix_time=NOW, **options)


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "invalid_request", errors.Rejected),
        (400, "content_filter", errors.Rejected),
        (400, "billing", errors.CredentialRefused),  # Anthropic: the credit is used up
        (400, "authentication", errors.CredentialRefused),  # Google: the key is not valid
        (400, "internal", errors.Rejected),
        (401, "authentication", errors.CredentialRefused),
        (401, "invalid_request", errors.CredentialRefused),
        (402, "invalid_request", errors.CredentialRefused),
        (403, "permission", errors.CredentialRefused),
        (403, "internal", errors.CredentialRefused),
        (403, "not_found", errors.Rejected),  # OpenAI: the project has not this model
        (404, "not_found", errors.Rejected),
        (405, "invalid_request", errors.Rejected),
        (408, "invalid_request", errors.TargetTimeout),
        (409, "invalid_request", errors.TargetError),
        (413, "too_large", errors.Rejected),
        (415, "invalid_request", errors.Rejected),
        (418, "unavailable", errors.Rejected),
        (422, "invalid_request", errors.Rejected),
        (429, "rate_limit", errors.RateLimited),
        (429, "invalid_request", errors.RateLimited),
        (429, "billing", errors.CredentialRefused),  # OpenAI: insufficient_quota
        (451, "permission", errors.Rejected),
        (500, "internal", errors.TargetError),
        (500, "invalid_request", errors.TargetError),
        (500, "overloaded", errors.Overloaded),
        (500, "authentication", errors.TargetError),
        (502, "internal", errors.TargetError),
        (503, "internal", errors.Overloaded),
        (504, "internal", errors.TargetTimeout),
        (520, "internal", errors.TargetError),
        (529, "overloaded", errors.Overloaded),
    ],
)
def test_the_status_decides_and_the_body_where_it_leaves_a_choice(status, kind, expected):
    raised = error(status, answer(kind))
    assert type(raised) is expected
    assert raised.upstream_status == status
    assert raised.retryable == (expected is not errors.Rejected)


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_said_to_be_one(status):
    raised = error(status, b"", [("location", "https://evil.example/")])
    assert type(raised) is errors.ProtocolViolation
    assert "redirects are not followed" in raised.message
    assert raised.upstream_status == status


@pytest.mark.parametrize("status", [100, 199, 600, 999])
def test_what_is_no_status_of_an_answer_breaks_the_wire(status):
    assert type(error(status)) is errors.ProtocolViolation


def test_a_refusal_goes_to_the_caller_as_it_was_sent():
    body = answer("not_found", "no such model", code="model_not_found", param="model")
    raised = error(404, body)
    assert isinstance(raised, errors.Rejected)
    assert (raised.status, raised.kind, raised.param) == (404, "not_found", "model")
    assert (raised.body, raised.wire) == (body, "plain")
    assert raised.upstream_code == "model_not_found"


def test_a_page_of_html_is_quoted_and_not_passed_on_whole():
    body = b"<html>" + b"x" * 2 * MAX_ERROR_BODY_BYTES
    raised = error(404, body)
    assert isinstance(raised, errors.Rejected)
    assert raised.body == b""
    assert len(raised.message) <= 1000


def test_an_empty_answer_still_says_something():
    assert error(502).message == "it answered with status 502"


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refusal_of_the_callers_own_key_is_the_callers(status):
    raised = error(status, answer("authentication", "bad key"), passthrough=True)
    assert isinstance(raised, errors.Rejected)
    assert (raised.status, raised.kind) == (status, "authentication")
    assert raised.body == answer("authentication", "bad key")


def test_a_key_that_the_provider_repeats_is_not_in_our_message():
    secret = "sk-proj-0123456789abcdef"
    raised = error(401, answer("authentication", f"Incorrect API key provided: {secret}"))
    assert secret not in raised.message
    assert "Incorrect API key" in raised.message


def test_when_to_come_back_is_read_from_the_header():
    assert error(429, answer("rate_limit"), [("retry-after", "7")]).retry_after_s == 7.0
    assert error(503, b"", [("retry-after-ms", "250")]).retry_after_s == 0.25
    assert error(429, answer("rate_limit")).retry_after_s is None


# Google's own front end.


def google(status: str, code: int, **more: object) -> dict[str, object]:
    return {"error": {"code": code, "message": "said Google", "status": status, **more}}


@pytest.mark.parametrize("wrap", [lambda body: body, lambda body: [body]])
@pytest.mark.parametrize(
    ("status", "code", "expected", "kind"),
    [
        ("RESOURCE_EXHAUSTED", 429, errors.RateLimited, "rate_limit"),
        ("UNAUTHENTICATED", 401, errors.CredentialRefused, "authentication"),
        ("PERMISSION_DENIED", 403, errors.CredentialRefused, "authentication"),
        ("NOT_FOUND", 404, errors.Rejected, "not_found"),
        ("INVALID_ARGUMENT", 400, errors.Rejected, "invalid_request"),
        ("FAILED_PRECONDITION", 400, errors.Rejected, "invalid_request"),
        ("UNAVAILABLE", 503, errors.Overloaded, "overloaded"),
        ("INTERNAL", 500, errors.TargetError, "unavailable"),
        ("DEADLINE_EXCEEDED", 504, errors.TargetTimeout, "timeout"),
        ("SOMETHING_NEW", 400, errors.Rejected, "invalid_request"),
    ],
)
def test_googles_errors_are_understood_also_inside_a_list(wrap, status, code, expected, kind):
    raised = error(code, msgspec.json.encode(wrap(google(status, code))))
    assert type(raised) is expected
    assert raised.message == "said Google"
    assert raised.upstream_code == status
    if expected is errors.Rejected:
        assert raised.kind == kind
        # It is not of the wire's shape, so the wire's own words are used for it.
        assert (raised.body, raised.wire) == (b"", "")


def test_google_says_in_the_body_when_to_come_back():
    details = [{"@type": "x", "reason": "y"}, {"@type": "RetryInfo", "retryDelay": "13s"}]
    body = msgspec.json.encode(google("RESOURCE_EXHAUSTED", 429, details=details))
    assert error(429, body).retry_after_s == 13.0
    assert error(429, body, [("retry-after", "2")]).retry_after_s == 2.0


def test_an_error_of_the_wire_inside_a_list_is_unwrapped():
    raised = error(400, b"[" + answer("invalid_request", "inner") + b"]")
    assert isinstance(raised, errors.Rejected)
    assert raised.message == "inner"
    assert raised.body == answer("invalid_request", "inner")


@pytest.mark.parametrize("body", [b"[]", b"[", b"[1]", b"\xff\xfe", b'{"error":"x"}', b"null"])
def test_any_body_gives_an_error_of_ours(body):
    assert isinstance(error(400, body), errors.Rejected)


@given(st.integers(300, 599), st.binary(max_size=200))
def test_no_answer_makes_it_fail(status, body):
    assert isinstance(error(status, body), errors.TargetError)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":"a message and no object"}',
        b'{"message":"another shape"}',
        b"<html>a proxy's page</html>",
        b'{"error":{"kind":"invalid_request","message":"no such key: sk-abcdefghijkl"}}',
    ],
    ids=["message", "other shape", "no JSON", "a key"],
)
def test_a_body_that_is_not_fit_for_callers_is_said_again(body: bytes) -> None:
    refused = error(400, body)
    assert isinstance(refused, errors.Rejected)
    assert (refused.body, refused.wire) == (b"", "")
