import msgspec
import pytest

from modelmux.errors import ErrorKind
from modelmux.ir.response import Failure
from modelmux.wire.cohere_chat import errors
from tests.support.cases import case


@case(102)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request"),
        (401, "authentication"),
        (402, "billing"),
        (403, "permission"),
        (404, "not_found"),
        (422, "invalid_request"),
        (429, "rate_limit"),
        (498, "authentication"),
        (418, "invalid_request"),
        (500, "internal"),
        (503, "overloaded"),
        (504, "timeout"),
        (599, "internal"),
    ],
)
def test_the_status_says_what_went_wrong(status: int, kind: ErrorKind):
    found = errors.decode(status, b'{"message":"words","id":"1"}')
    assert (found.kind, found.message, found.status) == (kind, "words", status)


def test_an_error_with_a_success_is_the_providers():
    found = errors.decode(200, b'{"message":"words"}')
    assert (found.kind, found.status) == ("internal", 500)


@pytest.mark.parametrize("body", [b"<h1>Bad gateway</h1>", b'{"detail":"words"}'])
def test_what_is_not_understood_is_quoted(body: bytes):
    assert body.decode() in errors.decode(502, body).message


def test_nothing_is_said_to_be_nothing():
    assert errors.decode(502, b"").message == "an empty error"


def test_an_error_is_a_message_and_the_requests_id():
    failure = Failure("rate_limit", "slow", status=429, request_id="r1")
    assert msgspec.json.decode(errors.encode(failure)) == {"message": "slow", "id": "r1"}
    assert errors.status(failure) == 429
    assert errors.status(Failure("internal", "", status=200)) == 500


def test_a_stream_that_failed_may_not_say_why():
    assert errors.in_stream("words").message == "words"
    assert errors.in_stream(None).message
