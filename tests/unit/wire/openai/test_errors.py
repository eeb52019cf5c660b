from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from modelmux.errors import ErrorKind
from modelmux.ir.parts import Extra
from modelmux.ir.response import Failure
from modelmux.wire.openai import errors
from modelmux.wire.openai.errors import DIALECT
from tests.support.cases import case

KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)


def error(**fields: object) -> bytes:
    return msgspec.json.encode({"error": fields})


def test_an_error_of_openais_own_is_understood() -> None:
    body = error(
        message="Incorrect API key provided",
        type="invalid_request_error",
        param=None,
        code="invalid_api_key",
    )
    failure = errors.decode(401, body)
    assert (failure.kind, failure.code, failure.status) == (
        "authentication",
        "invalid_api_key",
        401,
    )
    assert failure.message == "Incorrect API key provided"
    assert msgspec.json.decode(errors.encode(failure))["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request"),
        (401, "authentication"),
        (402, "billing"),
        (403, "permission"),
        (404, "not_found"),
        (408, "timeout"),
        (409, "unavailable"),
        (413, "too_large"),
        (418, "invalid_request"),
        (422, "invalid_request"),
        (429, "rate_limit"),
        (500, "internal"),
        (502, "unavailable"),
        (503, "overloaded"),
        (504, "timeout"),
        (520, "unavailable"),
        (529, "overloaded"),
    ],
)
@case(103)
def test_a_status_says_what_kind_of_error_it_is(status: int, kind: ErrorKind) -> None:
    assert errors.decode(status, error(message="m")).kind == kind
    assert errors.decode(status, error(message="m", type="invalid_request_error")).kind == kind


@pytest.mark.parametrize(
    ("status", "fields", "kind"),
    [
        (429, {"code": "insufficient_quota", "type": "insufficient_quota"}, "billing"),
        (429, {"type": "tokens", "code": "rate_limit_exceeded"}, "rate_limit"),
        (400, {"code": "model_not_found"}, "not_found"),
        (400, {"code": "context_length_exceeded"}, "invalid_request"),
        (400, {"code": "content_policy_violation"}, "content_filter"),
        (500, {"type": "overloaded_error"}, "overloaded"),
    ],
)
def test_a_code_or_type_may_say_more_than_the_status(
    status: int, fields: dict[str, object], kind: ErrorKind
) -> None:
    assert errors.decode(status, error(message="m", **fields)).kind == kind


@case(77)
def test_a_prompt_that_azures_filter_stopped_is_a_content_filter() -> None:
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}}
    failure = errors.decode(
        400, error(message="m", code="content_filter", param="prompt", innererror=inner)
    )
    assert (failure.kind, failure.code, failure.param) == (
        "content_filter",
        "content_filter",
        "prompt",
    )
    assert msgspec.json.decode(errors.encode(failure))["error"]["innererror"] == inner
    odd = errors.decode(400, error(message="m", innererror=inner))
    assert odd.kind == "content_filter"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":"model not loaded"}', "model not loaded"),
        (b'{"error":{"message":"m"}}', "m"),
        (b'{"object":"error","message":"m","type":"BadRequestError","code":400}', "m"),
        (b'{"detail":"Not Found"}', "Not Found"),
        (b'{"detail":[{"loc":["body"]}]}', '[{"loc":["body"]}]'),
        (b'{"message":{"detail":"x"}}', '{"detail":"x"}'),
        (b'{"error":["a"]}', '["a"]'),
        (b'{"error":[{"message":"wrapped"}]}', "wrapped"),
        (b'{"fault":1}', '{"fault":1}'),
        (b"<html>Bad Gateway</html>", "<html>Bad Gateway</html>"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"  ", "HTTP 500"),
        (b"[]", "[]"),
        (b"null", "null"),
        (b'{"error":5}', "5"),
    ],
)
@case(102)
def test_every_shape_of_error_gives_its_message(body: bytes, message: str) -> None:
    assert errors.decode(500, body).message == message


@case(106)
def test_an_error_that_google_wraps_in_a_list_is_unwrapped() -> None:
    body = b'[{"error":{"code":404,"message":"models/x is not found","status":"NOT_FOUND"}}]'
    failure = errors.decode(404, body)
    assert (failure.kind, failure.message, failure.code) == (
        "not_found",
        "models/x is not found",
        "",
    )


def test_what_is_not_understood_is_quoted_up_to_a_limit() -> None:
    for body in (b"x" * 5000, "ü".encode() * 5000, b'{"a":"' + b"x" * 5000 + b'"}'):
        assert len(errors.decode(500, body).message) == errors.MAX_QUOTED


def test_an_error_inside_an_answer_may_say_its_status_as_its_code() -> None:
    failure = errors.from_error(Raw(b'{"code":402,"message":"m","metadata":{"a":1}}'))
    assert (failure.kind, failure.status, failure.code) == ("billing", 402, "")
    again = msgspec.json.decode(errors.encode(failure))["error"]
    assert (again["code"], again["metadata"]) == (402, {"a": 1})


@pytest.mark.parametrize(
    ("error_", "kind", "status"),
    [
        (b'{"message":"m","type":"server_error"}', "internal", 500),
        (b'{"message":"m","type":"rate_limit_error"}', "rate_limit", 429),
        (b'{"message":"m"}', "unavailable", 502),
        (b'"m"', "unavailable", 502),
        (b'{"message":"m","code":"17"}', "unavailable", 502),
    ],
)
def test_an_error_inside_an_answer_has_the_status_of_its_kind(
    error_: bytes, kind: ErrorKind, status: int
) -> None:
    failure = errors.from_error(Raw(error_))
    assert (failure.kind, failure.status, failure.message) == (kind, status, "m")


def test_the_ids_that_a_body_gives_are_kept() -> None:
    assert errors.decode(500, error(message="m", request_id="req_1")).request_id == "req_1"


@case(102)
def test_an_error_has_the_shape_that_the_sdk_reads() -> None:
    failure = Failure("not_found", "no such model", "model_not_found", "model", 404)
    assert msgspec.json.decode(errors.encode(failure)) == {
        "error": {
            "message": "no such model",
            "type": "not_found_error",
            "param": "model",
            "code": "model_not_found",
        }
    }


@pytest.mark.parametrize("kind", KINDS)
@case(102)
def test_every_kind_of_failure_survives_the_wire(kind: ErrorKind) -> None:
    failure = Failure(kind, "m", "a_code", "p", errors.from_error(Raw(b'"m"')).status)
    body = errors.encode(failure)
    inside = errors.from_error(Raw(msgspec.json.encode(msgspec.json.decode(body)["error"])))
    assert (inside.kind, inside.code, inside.param) == (kind, "a_code", "p")
    whole = errors.decode(inside.status, body)
    assert whole == inside


def test_fields_of_another_wires_error_stay_there() -> None:
    failure = Failure("internal", "m", extra=Extra("other", {"/x": Raw(b"1")}))
    assert "x" not in msgspec.json.decode(errors.encode(failure))["error"]


def test_an_unknown_field_of_an_error_goes_back() -> None:
    failure = errors.decode(500, error(message="m", **{"a/b": 1}))
    assert failure.extra == Extra(DIALECT, {"/a~1b": Raw(b"1")})
    assert msgspec.json.decode(errors.encode(failure))["error"]["a/b"] == 1


@given(st.integers(100, 599), st.binary(max_size=64))
def test_no_body_makes_reading_an_error_fail(status: int, body: bytes) -> None:
    failure = errors.decode(status, body)
    assert failure.status == status
    assert failure.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "type", "code", "param", "innererror", "x"]), inner
        )
    ),
)


@given(JSON)
def test_no_json_makes_reading_an_error_fail(value: object) -> None:
    failure = errors.decode(500, msgspec.json.encode(value))
    errors.encode(failure)
