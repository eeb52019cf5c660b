import pytest

from modelmux.ir.response import Failure
from modelmux.wire.ollama_chat import errors


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request"),
        (401, "authentication"),
        (404, "not_found"),
        (429, "rate_limit"),
        (500, "internal"),
        (502, "unavailable"),
        (503, "overloaded"),
        (200, "internal"),
    ],
)
def test_the_status_says_what_went_wrong(status: int, kind: str) -> None:
    failure = errors.decode(status, b'{"error":"no"}')
    assert (failure.kind, failure.message) == (kind, "no")
    assert failure.status == (status if status >= 400 else 500)


def test_what_is_not_understood_is_quoted() -> None:
    assert errors.decode(502, b"<html>").message == "<html>"
    assert errors.decode(502, b"").message == "an empty error"
    assert errors.decode(502, b'{"error":{"a":1}}').message == '{"a":1}'
    assert len(errors.decode(502, b"x" * 9999).message) == errors.MAX_QUOTE_BYTES


def test_an_error_is_a_sentence() -> None:
    failure = Failure("not_found", "no such model", "model_not_found", None, 404)
    assert errors.encode(failure) == b'{"error":"no such model"}'
    assert errors.status(failure) == 404
    assert errors.status(Failure("internal", "x", status=0)) == 500
