"""What an upstream refuses, and what its caller is told of it: always in the caller's dialect."""

from collections.abc import Mapping
from typing import NamedTuple

import pytest

from tests.e2e.conftest import House
from tests.support import http1, plain
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC, DIALECTS, OPENAI, Dialect


class Refusal(NamedTuple):
    """A status of the upstream's, and what comes of it."""

    status: int
    type: str
    """In the upstream's error body."""
    openai: tuple[int, str]
    anthropic: tuple[int, str]


# A refusal of the gateway's own key must not look to its caller as if the caller's key was bad.
_NOT_YOURS = ((502, "service_unavailable_error"), (502, "api_error"))

# A mistake of the caller's is told as it came.
REFUSALS = [
    Refusal(
        400, "invalid_request_error", (400, "invalid_request_error"), (400, "invalid_request_error")
    ),
    Refusal(404, "not_found_error", (404, "not_found_error"), (404, "not_found_error")),
    Refusal(413, "request_too_large", (413, "request_too_large"), (413, "request_too_large")),
    Refusal(
        422, "invalid_request_error", (422, "invalid_request_error"), (422, "invalid_request_error")
    ),
    Refusal(401, "authentication_error", *_NOT_YOURS),
    Refusal(402, "billing_error", *_NOT_YOURS),
    Refusal(403, "permission_error", *_NOT_YOURS),
    Refusal(429, "rate_limit_error", (429, "rate_limit_error"), (429, "rate_limit_error")),
    Refusal(500, "api_error", (502, "service_unavailable_error"), (502, "api_error")),
    Refusal(502, "api_error", (502, "service_unavailable_error"), (502, "api_error")),
    Refusal(503, "overloaded_error", (503, "overloaded_error"), (529, "overloaded_error")),
    Refusal(504, "timeout_error", (504, "timeout_error"), (504, "timeout_error")),
    Refusal(529, "overloaded_error", (503, "overloaded_error"), (529, "overloaded_error")),
]


BOTH = pytest.mark.parametrize("upstream", DIALECTS, ids=lambda dialect: f"from-{dialect}")
CALLERS = pytest.mark.parametrize("caller", DIALECTS, ids=str)
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@case(102, 103)
@STREAM
@BOTH
@CALLERS
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: str(refusal.status))
def test_a_refusal_is_told_in_the_callers_dialect(
    house: House, caller: Dialect, upstream: Dialect, refusal: Refusal, stream: bool
):
    model = house.unused(upstream)
    body = upstream.error(refusal.type, "the reason why")
    house.behind(upstream).play([http1.answer(refusal.status, body)])
    answer = plain.post(house.url, caller.path, caller.ask(model, stream=stream))
    told = caller.told(answer.body)
    expected = {"openai": refusal.openai, "anthropic": refusal.anthropic}[caller.name]
    assert (answer.status, told.type) == expected
    assert "the reason why" in told.message
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-modelmux-target"] == model
    assert len(house.behind(upstream).requests) == 1
    if refusal.status in {401, 402, 403}:
        assert told.code == "upstream_authentication"


@case(104)
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"retry-after": "17"}, "17"),
        ({"retry-after": "2.5"}, "3"),
        ({"retry-after-ms": "1200", "retry-after": "9"}, "2"),
        (
            {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m5s"},
            "65",
        ),
    ],
    ids=["seconds", "a fraction", "milliseconds", "limits"],
)
@BOTH
@CALLERS
def test_a_pause_that_is_asked_for_is_passed_on(
    house: House, caller: Dialect, upstream: Dialect, fields: Mapping[str, str], expected: str
):
    body = upstream.error("rate_limit_error", "slowly")
    house.behind(upstream).play([http1.answer(429, body, *fields.items())])
    answer = plain.post(house.url, caller.path, caller.ask(house.unused(upstream)))
    assert answer.status == 429
    assert answer.headers["retry-after"] == expected


@case(77)
@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
@CALLERS
def test_a_content_filters_400_has_a_stable_code(house: House, caller: Dialect, code: str):
    error = {
        "message": "it was filtered",
        "type": "invalid_request_error",
        "param": "prompt",
        "code": code,
    }
    house.openai.play([http1.answer(400, {"error": error})])
    answer = plain.post(house.url, caller.path, caller.ask(f"openai/{OPENAI.model}"))
    assert answer.status == 400
    told = caller.told(answer.body)
    assert told.code == code
    assert "it was filtered" in told.message


@BOTH
@CALLERS
def test_a_page_of_a_proxy_is_told_shortly(house: House, caller: Dialect, upstream: Dialect):
    page = b"<html>" + b"x" * 100_000 + b"</html>"
    house.behind(upstream).play([http1.answer(503, page)])
    answer = plain.post(house.url, caller.path, caller.ask(f"{upstream.name}/{upstream.model}"))
    assert answer.status == {"openai": 503, "anthropic": 529}[caller.name]
    assert len(answer.body) < 2000
    assert caller.told(answer.body).message


@CALLERS
def test_who_cannot_be_reached_is_named(house: House, caller: Dialect, start_gateway):
    config = f"""
[server]
enable_retries = false
[[providers]]
name = "gone"
type = "{caller.name}"
base_url = "http://127.0.0.1:{plain.free_port()}"
api_key = "sk-gone-000000000"
"""
    gateway = start_gateway(config)
    answer = plain.post(gateway.base_url, caller.path, caller.ask(f"gone/{caller.model}"))
    told = caller.told(answer.body)
    assert (answer.status, told.code) == (502, "unreachable")
    assert "refused" in told.message
    assert "gone" in told.message


@case(103)
def test_anthropics_own_overload_keeps_its_status_and_words(house: House):
    body = ANTHROPIC.error("overloaded_error", "Overloaded")
    house.anthropic.play([http1.answer(529, body)])
    answer = plain.post(house.url, ANTHROPIC.path, ANTHROPIC.ask(ANTHROPIC.model))
    assert answer.status == 529
    assert ANTHROPIC.told(answer.body).message.endswith("Overloaded")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("DELETE", "/v1/messages", 405),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v3/chat/completions", 404),
        ("GET", "/", 404),
        ("GET", "/v1/models/nothing", 404),
    ],
)
def test_a_path_that_is_not_there_is_an_error_too(
    house: House, method: str, path: str, status: int
):
    answer = plain.request(house.url, method, path)
    assert answer.status == status
    dialect = ANTHROPIC if "messages" in path else OPENAI
    assert dialect.told(answer.body).message
    if status == 405:
        assert answer.headers["allow"]


def test_what_anthropics_sdk_asks_for_is_refused_in_its_dialect(house: House):
    headers = {"anthropic-version": "2023-06-01"}
    answer = plain.get(house.url, "/v1/models/nothing", headers)
    assert (answer.status, ANTHROPIC.told(answer.body).type) == (404, "not_found_error")


@STREAM
@BOTH
@CALLERS
@pytest.mark.parametrize("events", [0, 2], ids=["at once", "in the middle"])
def test_a_key_that_an_error_inside_a_success_quotes_is_masked(
    house: House, caller: Dialect, upstream: Dialect, stream: bool, events: int
):
    model = house.unused(upstream)
    key = f"sk-upstream-{model.partition('/')[0]}-000"
    told = f"the key {key} is unknown here"
    if stream:
        frames = upstream.frames()[:events]
        answer = http1.stream(*frames, upstream.error_frame("api_error", told))
    else:
        answer = [http1.answer(200, upstream.error("api_error", told))]
    house.behind(upstream).play(answer)
    asked = caller.ask(model, stream=stream)
    got = plain.post(house.url, caller.path, asked)
    assert b"is unknown here" in got.body
    assert key.encode() not in got.body
    assert key not in house.gateway.log
