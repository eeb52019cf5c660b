from typing import get_args

import pytest

from modelmux import errors
from modelmux.errors import ErrorKind, GatewayError
from modelmux.ir.response import Failure
from modelmux.target.failures import error_of, failure_of

KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_failure_has_an_error(kind: ErrorKind):
    error = error_of(Failure(kind, "words", "their_code", "/x", retry_after_s=3.0), status=418)
    assert error.message == "words"
    assert error.upstream_code == "their_code"
    assert (error.param, error.retry_after_s, error.upstream_status) == ("/x", 3.0, 418)


@pytest.mark.parametrize("kind", ["invalid_request", "not_found", "too_large", "content_filter"])
def test_a_refusal_keeps_its_kind_and_status_and_is_not_retryable(kind: ErrorKind):
    error = error_of(Failure(kind, "no"), status=422)
    assert isinstance(error, errors.Rejected)
    assert (error.kind, error.status, error.retryable) == (kind, 422, False)


def test_a_refusal_inside_a_200_has_the_failures_own_status():
    assert error_of(Failure("invalid_request", "no", status=400)).status == 400
    assert error_of(Failure("invalid_request", "no", status=400), status=200).status == 400


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("authentication", errors.CredentialRefused),
        ("billing", errors.CredentialRefused),
        ("permission", errors.CredentialRefused),
        ("rate_limit", errors.RateLimited),
        ("overloaded", errors.Overloaded),
        ("timeout", errors.TargetTimeout),
    ],
)
def test_what_another_try_may_mend_is_retryable(kind: ErrorKind, expected: type[GatewayError]):
    error = error_of(Failure(kind, "x"))
    assert type(error) is expected
    assert error.retryable


def test_a_targets_failure_says_who_failed_in_the_gateways_own_code():
    error = errors.Unreachable("connection refused", upstream_code="ECONNREFUSED")
    error.target = "p/m"
    failure = failure_of(error)
    assert failure.message == "p/m: connection refused"
    assert (failure.code, failure.status, failure.target) == ("unreachable", 502, "p/m")


def test_a_refusal_is_told_with_the_targets_code():
    error = errors.Rejected("no", upstream_code="context_length_exceeded")
    assert failure_of(error).code == "context_length_exceeded"
    assert failure_of(errors.Rejected("no")).code == "rejected"


def test_a_callers_mistake_names_the_field():
    failure = failure_of(errors.InvalidRequest("expected a list", param="messages"))
    assert (failure.kind, failure.code, failure.param, failure.status) == (
        "invalid_request",
        "invalid_request",
        "messages",
        400,
    )


def test_a_limit_says_when_to_come_back():
    assert failure_of(errors.LimitExceeded("too many", retry_after_s=7.0)).retry_after_s == 7.0
    assert failure_of(errors.RateLimited("too many", retry_after_s=8.0)).retry_after_s == 8.0
    assert failure_of(errors.InvalidRequest("no")).retry_after_s is None
