from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import ErrorKind
from modelmux.ir.response import Failure
from modelmux.wire.anthropic_messages import errors
from tests.support.cases import case


def body(type_: str, message: str = "no") -> bytes:
    return msgspec.json.encode({"type": "error", "error": {"type": type_, "message": message}})


TYPES = [
    (400, "invalid_request_error", "invalid_request"),
    (401, "authentication_error", "authentication"),
    (402, "billing_error", "billing"),
    (403, "permission_error", "permission"),
    (404, "not_found_error", "not_found"),
    (409, "conflict_error", "invalid_request"),
    (413, "request_too_large", "too_large"),
    (429, "rate_limit_error", "rate_limit"),
    (500, "api_error", "internal"),
    (504, "timeout_error", "timeout"),
    (529, "overloaded_error", "overloaded"),
]


@case(102)
@pytest.mark.parametrize(("status", "type_", "kind"), TYPES)
def test_errors_of_the_api_have_neutral_words(status, type_, kind):
    failure = errors.decode(status, body(type_))
    assert (failure.kind, failure.message, failure.code, failure.status) == (
        kind,
        "no",
        type_,
        status,
    )


@case(92)
@pytest.mark.parametrize(("status", "type_", "kind"), TYPES)
def test_an_error_in_a_stream_has_the_status_of_its_type(status, type_, kind):
    failure = errors.decode(200, body(type_))
    assert (failure.kind, failure.status) == (kind, status)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request"),
        (401, "authentication"),
        (402, "billing"),
        (403, "permission"),
        (404, "not_found"),
        (408, "timeout"),
        (413, "too_large"),
        (418, "invalid_request"),
        (429, "rate_limit"),
        (500, "internal"),
        (502, "unavailable"),
        (503, "unavailable"),
        (504, "timeout"),
        (529, "overloaded"),
    ],
)
def test_an_error_of_unknown_type_is_judged_by_its_status(status, kind):
    assert errors.decode(status, body("novel_error")).kind == kind
    assert errors.decode(status, b"<html>Bad gateway</html>").kind == kind


def test_the_type_says_more_than_the_status():
    assert errors.decode(400, body("overloaded_error")).kind == "overloaded"


def test_the_apis_own_code_and_request_are_kept():
    failure = errors.decode(
        429,
        b'{"type":"error","error":{"type":"rate_limit_error","message":"m",'
        b'"details":{"error_code":"ramp_limit_exceeded"}},"request_id":"req_1"}',
    )
    assert (failure.code, failure.request_id) == ("ramp_limit_exceeded", "req_1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"error":"out of paper"}', "out of paper"),
        (b'{"error":{"message":"no quota","code":429,"status":"EXHAUSTED"}}', "no quota"),
        (b'{"type":"error","error":{"type":"api_error"}}', '{"type":"error","error":{"type":"api'),
        (b"<html>Bad gateway</html>", "<html>Bad gateway</html>"),
        (b"", "an empty error"),
        (b"[]", "[]"),
        (b'{"error":[]}', '{"error":[]}'),
        (b"\xff\xfe", "\ufffd"),
    ],
)
def test_what_is_not_in_the_apis_form_is_quoted(text, message):
    assert message in errors.decode(500, text).message


def test_a_quote_is_bounded():
    assert len(errors.decode(500, b"x" * 100_000).message) < errors.MAX_QUOTE_BYTES + 100


@given(st.integers(100, 599), st.binary(max_size=100))
def test_no_error_is_too_strange_to_be_read(status, noise):
    assert errors.decode(status, noise).status >= 400


@case(102)
@pytest.mark.parametrize("kind", get_args(ErrorKind))
def test_every_failure_has_a_type_of_the_apis(kind):
    said = msgspec.json.decode(errors.encode(Failure(kind, "m", request_id="req_1")))
    assert said["type"] == "error"
    assert said["error"]["message"] == "m"
    assert said["request_id"] == "req_1"
    assert said["error"]["type"] in {type_ for _, type_, _ in TYPES}


@pytest.mark.parametrize(("status", "type_", "kind"), TYPES)
def test_a_failure_survives_the_wire(status, type_, kind):
    failure = Failure(kind, "m", type_, status=status)
    assert errors.decode(status, errors.encode(failure)).kind == kind


@pytest.mark.parametrize(
    "text",
    [
        body("overloaded_error"),
        body("conflict_error"),
        body("novel_error"),
        b'{"type":"error","error":{"type":"api_error","message":"m","details":null,"x":1},"y":2}',
        b'{"type":"error","error":{"type":"billing_error","message":"m",'
        b'"details":{"error_code":"c","z":1}},"request_id":"r"}',
    ],
)
def test_an_error_of_the_apis_comes_back_as_it_came(text):
    again = errors.encode(errors.decode(500, text))
    assert msgspec.json.decode(again) == msgspec.json.decode(text)


def test_a_stable_code_of_ours_stands_where_sdks_look_for_it():
    said = msgspec.json.decode(errors.encode(Failure("not_found", "m", "model_not_found")))
    assert said["error"]["details"] == {"error_code": "model_not_found"}


@case(103)
@pytest.mark.parametrize("status", [429, 503, 529])
def test_an_overload_is_529_whatever_it_was_elsewhere(status):
    assert errors.status(Failure("overloaded", "m", status=status)) == 529


@pytest.mark.parametrize(("status", "told"), [(404, 404), (200, 500)])
def test_other_failures_keep_their_status(status, told):
    assert errors.status(Failure("not_found", "m", status=status)) == told
