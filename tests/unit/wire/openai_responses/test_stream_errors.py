import msgspec
import pytest

from modelmux.ir.response import Failure
from modelmux.wire.openai_responses import stream_errors
from tests.support.cases import case


def told(failure: Failure, head: dict[str, object]) -> dict[str, object]:
    name, data = stream_errors.event(failure, head, (), 4).strip().split(b"\n")
    value = msgspec.json.decode(data.removeprefix(b"data: "))
    assert name == b"event: " + value["type"].encode()
    return value


@case(92)
@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Failure("rate_limit", "slow"), "rate_limit_exceeded"),
        (Failure("overloaded", "busy"), "server_is_overloaded"),
        (Failure("unavailable", "gone"), "server_error"),
        (Failure("unavailable", "gone", "interrupted"), "interrupted"),
    ],
)
def test_an_answer_that_had_begun_fails(failure: Failure, code: str):
    value = told(failure, {"id": "resp_1"})
    assert value["type"] == "response.failed"
    assert value["sequence_number"] == 4
    assert value["response"]["status"] == "failed"
    assert value["response"]["error"] == {"code": code, "message": failure.message}


@case(92)
def test_one_that_had_not_is_an_error():
    value = told(Failure("invalid_request", "odd", param="input"), {})
    assert value == {
        "type": "error",
        "code": "invalid_prompt",
        "message": "odd",
        "param": "input",
        "sequence_number": 4,
    }
