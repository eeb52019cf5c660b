import msgspec
import pytest

from modelmux.errors import ErrorKind
from modelmux.ir.response import Failure
from modelmux.wire.bedrock_converse import errors
from modelmux.wire.framing.eventstream import Frame
from tests.support.cases import case


@case(102, 104)
@pytest.mark.parametrize(
    ("status", "type_", "kind"),
    [
        (400, "ValidationException", "invalid_request"),
        (403, "AccessDeniedException", "permission"),
        (404, "ResourceNotFoundException", "not_found"),
        (408, "ModelTimeoutException", "timeout"),
        (424, "ModelErrorException", "unavailable"),
        (429, "ThrottlingException", "rate_limit"),
        (429, "ModelNotReadyException", "overloaded"),
        (500, "InternalServerException", "internal"),
        (503, "ServiceUnavailableException", "overloaded"),
        (403, "ExpiredTokenException", "authentication"),
    ],
)
def test_the_type_says_what_went_wrong(status: int, type_: str, kind: ErrorKind):
    found = errors.decode(status, b'{"message":"words"}', type_)
    assert (found.kind, found.message, found.code, found.status) == (kind, "words", type_, status)


@pytest.mark.parametrize(
    "written",
    ["ThrottlingException", "com.amazon#ThrottlingException", "ThrottlingException:http://x/"],
)
def test_a_type_is_found_in_whatever_way_it_is_written(written: str):
    body = msgspec.json.encode({"__type": written, "Message": "slow"})
    found = errors.decode(429, body)
    assert (found.kind, found.code, found.message) == ("rate_limit", "ThrottlingException", "slow")


def test_without_a_type_the_status_says():
    assert errors.decode(429, b"{}").kind == "rate_limit"
    assert errors.decode(418, b"{}").kind == "invalid_request"
    assert errors.decode(599, b"").kind == "internal"


def test_what_is_not_understood_is_quoted_and_not_at_length():
    found = errors.decode(502, b"<html>" + b"x" * 5000)
    assert found.message.startswith("the answer is no error of bedrock.converse: <html>")
    assert len(found.message) < 600


@case(92, 100)
def test_an_exception_frame_has_the_status_of_its_kind():
    frame = Frame(
        {":message-type": "exception", ":exception-type": "throttlingException"},
        b'{"message":"slow"}',
    )
    found = errors.of_frame(frame)
    assert (found.kind, found.status, found.message) == ("rate_limit", 429, "slow")


def test_an_error_frame_has_its_words_in_a_header():
    headers = {":message-type": "error", ":error-code": "InternalServerException"}
    found = errors.of_frame(Frame({**headers, ":error-message": "boom"}, b""))
    assert (found.kind, found.message) == ("internal", "boom")


@pytest.mark.parametrize("kind", sorted(errors._TYPES))
def test_every_kind_has_a_type_and_an_exception_of_a_stream(kind: ErrorKind):
    failure = Failure(kind, "m", status=500)
    assert errors.type_of(failure) in errors.MEANINGS
    assert errors.in_stream(failure).endswith("Exception")


def test_amazons_own_type_comes_back():
    failure = errors.decode(429, b'{"message":"m"}', "ModelNotReadyException")
    assert msgspec.json.decode(errors.encode(failure))["__type"] == "ModelNotReadyException"


def test_the_status_is_that_of_the_failure():
    assert errors.status(Failure("rate_limit", "m", status=429)) == 429
    assert errors.status(Failure("internal", "m", status=0)) == 500
