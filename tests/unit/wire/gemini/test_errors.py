import msgspec
import pytest

from modelmux.ir.response import Failure
from modelmux.wire.gemini import errors
from tests.support.cases import case


def error(status: str, code: int = 400, **more: object) -> bytes:
    return msgspec.json.encode({"error": {"code": code, "message": "no", "status": status, **more}})


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        (400, "INVALID_ARGUMENT", "invalid_request"),
        (401, "UNAUTHENTICATED", "authentication"),
        (403, "PERMISSION_DENIED", "permission"),
        (404, "NOT_FOUND", "not_found"),
        (429, "RESOURCE_EXHAUSTED", "rate_limit"),
        (500, "INTERNAL", "internal"),
        (503, "UNAVAILABLE", "overloaded"),
        (504, "DEADLINE_EXCEEDED", "timeout"),
    ],
)
def test_each_status_has_its_meaning(status: int, word: str, kind: str) -> None:
    failure = errors.decode(status, error(word, status))
    assert (failure.kind, failure.status, failure.message) == (kind, status, "no")
    assert msgspec.json.decode(errors.encode(failure)) == msgspec.json.decode(error(word, status))


@case(106)
def test_an_error_in_a_list_is_unwrapped() -> None:
    failure = errors.decode(429, b"[" + error("RESOURCE_EXHAUSTED", 429) + b"\n]")
    assert (failure.kind, failure.message) == ("rate_limit", "no")


def test_a_key_that_google_does_not_know_is_no_mistake_of_the_caller_s() -> None:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    failure = errors.decode(400, error("INVALID_ARGUMENT", details=[{"x": 1}, info]))
    assert (failure.kind, failure.code) == ("authentication", "API_KEY_INVALID")


def test_an_error_inside_a_200_has_the_status_it_says() -> None:
    assert errors.decode(200, error("UNAVAILABLE", 503)).status == 503


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"[]", b"", b'{"error":7}'])
def test_what_is_not_understood_is_quoted_or_empty(body: bytes) -> None:
    failure = errors.decode(502, body)
    assert failure.kind == "unavailable"
    assert body.decode() in failure.message or failure.message == "an empty error"


def test_an_error_that_is_a_string_is_its_message() -> None:
    assert errors.decode(500, b'{"error":"boom"}').message == "boom"


def test_our_own_code_is_told_as_a_reason() -> None:
    said = msgspec.json.decode(
        errors.encode(Failure("not_found", "no", "model_not_found", None, 404))
    )
    assert said["error"]["status"] == "NOT_FOUND"
    assert said["error"]["details"][0]["reason"] == "model_not_found"


@case(104)
def test_when_to_come_back_is_told_in_google_s_words() -> None:
    failure = Failure("rate_limit", "slow down", "RESOURCE_EXHAUSTED", None, 429, 16.2)
    details = msgspec.json.decode(errors.encode(failure))["error"]["details"]
    assert details == [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}]
