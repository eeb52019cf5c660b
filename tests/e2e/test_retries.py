"""The same target again: when, how often, and with which key."""

import itertools
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from functools import cache

import msgspec
import pytest

from tests.support import gateway, http1, plain, raw, stage
from tests.support.cases import case
from tests.support.dialects import DIALECTS, OPENAI, TEXT, Dialect
from tests.support.gateway import Gateway, GatewayStarter
from tests.support.http1 import Request
from tests.support.llmock import Llmock, fail, stream_fault
from tests.support.stage import Stage
from tests.support.upstream import Do, Part

CALLERS = pytest.mark.parametrize("caller", DIALECTS, ids=str)


@pytest.fixture(scope="module")
def running_upstream() -> Generator[Stage, None, None]:
    with stage.running() as running:
        yield running


@pytest.fixture
def upstream(running_upstream: Stage) -> Stage:
    """What speaks OpenAI's API behind every gateway here; nobody is expected to ask it."""
    running_upstream.play()
    return running_upstream


ONE_KEY = 'api_key = "sk-upstream-000000"'
TWO_KEYS = 'api_keys = ["sk-upstream-111111", "sk-upstream-222222"]'
FIRST, SECOND = "Bearer sk-upstream-111111", "Bearer sk-upstream-222222"

CONFIG = """
[server]
log_format = "json"
{server}
[[providers]]
name = "p"
type = "openai"
base_url = "{base_url}"
models = ["m-*"]
{keys}
"""

_numbers = itertools.count()


def unused() -> str:
    """A model that no test has asked for: no key rests for it."""
    return f"m-{next(_numbers)}"


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, running_upstream: Stage
) -> Generator[Callable[[str], Gateway], None, None]:
    """Gateways that tests share, by what `[server]` says; their one key must not be refused."""
    with ExitStack() as stack:

        @cache
        def started(server: str = "") -> Gateway:
            config = CONFIG.format(server=server, base_url=running_upstream.base_url, keys=ONE_KEY)
            return stack.enter_context(gateway.running(config, tmp_path_factory.mktemp("shared")))

        yield started


@pytest.fixture
def with_two_keys(start_gateway: GatewayStarter, upstream: Stage) -> Gateway:
    return start_gateway(CONFIG.format(server="", base_url=upstream.base_url, keys=TWO_KEYS))


FAILED = [http1.answer(500, OPENAI.error("server_error", "no"))]
ANSWERED = [http1.answer(200, OPENAI.answer())]
STREAMED = http1.stream(*OPENAI.frames())


@case(105, 113, 115)
@CALLERS
def test_a_call_that_failed_is_made_again_as_it_was(shared, upstream: Stage, caller: Dialect):
    upstream.play(FAILED, FAILED, ANSWERED)
    asked = caller.ask(unused(), temperature=0.5)
    headers = {"idempotency-key": "only-once"}
    answer = plain.post(shared("").base_url, caller.path, asked, headers)
    assert caller.text_of(answer.body) == TEXT
    assert answer.headers["x-modelmux-attempts"] == "3"
    bodies = {request.body for request in upstream.requests}
    assert len(bodies) == 1
    assert {request.header("idempotency-key") for request in upstream.requests} == {"only-once"}


@case(94)
@CALLERS
def test_an_error_first_thing_in_a_200_is_tried_again(shared, upstream: Stage, caller: Dialect):
    first = http1.stream(OPENAI.error_frame("server_error", "no"))
    cut = [http1.stream_head(), Do.CLOSE]
    upstream.play(first, cut, STREAMED)
    answer = plain.post(shared("").base_url, caller.path, caller.ask(unused(), stream=True))
    assert caller.text_of_stream(answer.body) == TEXT
    assert answer.body.endswith(caller.end)
    assert caller.told_in_stream(answer.body) is None
    assert answer.headers["x-modelmux-attempts"] == "3"


def test_there_are_as_many_attempts_as_configured(shared, upstream: Stage):
    upstream.play(FAILED)
    running = shared("max_retry_attempts = 2")
    answer = plain.post(running.base_url, OPENAI.path, OPENAI.ask(unused()))
    assert answer.status == 502
    assert answer.headers["x-modelmux-attempts"] == "2"
    assert len(upstream.requests) == 2


def test_there_is_one_attempt_without_retries(shared, upstream: Stage):
    upstream.play(FAILED)
    running = shared("enable_retries = false")
    answer = plain.post(running.base_url, OPENAI.path, OPENAI.ask(unused()))
    assert answer.headers["x-modelmux-attempts"] == "1"
    assert len(upstream.requests) == 1


@case(105)
@pytest.mark.parametrize("status", [400, 403, 404, 413, 422])
def test_what_no_other_try_can_change_is_not_tried_again(shared, upstream: Stage, status: int):
    upstream.play([http1.answer(status, OPENAI.error("invalid_request_error", "no"))])
    plain.post(shared("").base_url, OPENAI.path, OPENAI.ask(unused()))
    assert len(upstream.requests) == 1


@case(104)
@pytest.mark.parametrize(
    ("status", "field", "value"),
    [(429, "retry-after", "1"), (503, "retry-after-ms", "800")],
)
def test_a_pause_that_is_asked_for_is_kept(
    shared, upstream: Stage, status: int, field: str, value: str
):
    refused = [http1.answer(status, OPENAI.error("rate_limit_error", "no"), (field, value))]
    upstream.play(refused, ANSWERED)
    running = shared("")
    started = time.monotonic()
    answer = plain.post(running.base_url, OPENAI.path, OPENAI.ask(unused()))
    elapsed_s = time.monotonic() - started
    assert answer.status == 200
    assert answer.headers["x-modelmux-attempts"] == "2"
    assert elapsed_s >= (float(value) if field == "retry-after" else float(value) / 1000)


@case(104)
@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_that_is_too_long_is_the_callers_to_make(shared, upstream: Stage, status: int):
    refused = [http1.answer(status, OPENAI.error("overloaded", "no"), ("retry-after", "3600"))]
    upstream.play(refused)
    running = shared("")
    started = time.monotonic()
    answer = plain.post(running.base_url, OPENAI.path, OPENAI.ask(unused()))
    assert time.monotonic() - started < 5
    assert (answer.status, answer.headers["retry-after"]) == (status, "3600")
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("status", "type_"),
    [
        (429, "rate_limit_error"),
        (429, "insufficient_quota"),
        (401, "authentication_error"),
        (402, "billing"),
        (403, "permission_error"),
    ],
)
def test_another_key_is_used_at_once_and_from_then_on(
    with_two_keys: Gateway, upstream: Stage, status: int, type_: str
):
    refused = [http1.answer(status, OPENAI.error(type_, "no"), ("retry-after", "60"))]
    upstream.play(refused, ANSWERED)
    url = with_two_keys.base_url
    answers = [plain.post(url, OPENAI.path, OPENAI.ask("m-1")) for _ in range(3)]
    assert [answer.status for answer in answers] == [200] * 3
    assert [answer.headers["x-modelmux-attempts"] for answer in answers] == ["2", "1", "1"]
    keys = [request.header("authorization") for request in upstream.requests]
    assert keys == [FIRST, SECOND, SECOND, SECOND]


def test_a_key_rests_only_for_the_model_whose_limit_it_met(with_two_keys: Gateway, upstream: Stage):
    refused = [http1.answer(429, OPENAI.error("rate_limit", "no"), ("retry-after", "60"))]
    limited = {(FIRST, "m-1"), (SECOND, "m-2")}

    def script(request: Request) -> Sequence[Part]:
        asked = (request.header("authorization"), msgspec.json.decode(request.body)["model"])
        return refused if asked in limited else ANSWERED

    upstream.run(script)
    url = with_two_keys.base_url
    for model in ("m-1", "m-2", "m-1", "m-2"):
        assert plain.post(url, OPENAI.path, OPENAI.ask(model)).status == 200
    keys = [request.header("authorization") for request in upstream.requests]
    assert keys == [FIRST, SECOND, SECOND, FIRST, SECOND, FIRST]


def test_when_all_keys_are_refused_nobody_is_asked_in_vain(with_two_keys: Gateway, upstream: Stage):
    upstream.play([http1.answer(401, OPENAI.error("authentication_error", "unknown key"))])
    url = with_two_keys.base_url
    first, second = (plain.post(url, OPENAI.path, OPENAI.ask("m-1")) for _ in range(2))
    assert (first.status, second.status) == (502, 502)
    assert len(upstream.requests) == 2
    told = OPENAI.told(second.body)
    assert told.code == "upstream_authentication"
    assert "all 2 keys" in told.message
    assert plain.get(url, "/readyz").status == 503


LLMOCK = """
[[providers]]
name = "openai"
type = "openai"
base_url = "{openai}"
api_key = "sk-upstream-000000"
[[providers]]
name = "anthropic"
type = "anthropic"
base_url = "{anthropic}"
api_key = "sk-upstream-000000"
"""


@pytest.fixture(scope="module")
def behind_llmock(
    tmp_path_factory: pytest.TempPathFactory, running_llmock: Llmock
) -> Generator[Gateway, None, None]:
    config = LLMOCK.format(openai=running_llmock.openai_url, anthropic=running_llmock.anthropic_url)
    with gateway.running(config, tmp_path_factory.mktemp("llmock")) as running:
        yield running


@case(104, 105)
@pytest.mark.parametrize("upstream_kind", DIALECTS, ids=lambda dialect: f"from-{dialect}")
@CALLERS
def test_llmock_finds_nothing_to_blame_in_how_we_retry(
    behind_llmock: Gateway, llmock: Llmock, caller: Dialect, upstream_kind: Dialect
):
    model = f"{upstream_kind.name}/{upstream_kind.model}"
    url = behind_llmock.base_url
    llmock.script(fail(429, retry_after=1), fail(500))
    paused = plain.post(url, caller.path, caller.ask(model, "one"))
    llmock.script(fail(400))
    refused = plain.post(url, caller.path, caller.ask(model, "two"))
    # Nothing has been heard of these streams when they break: they are asked for again.
    llmock.script(
        stream_fault("disconnect", after_chunks=0), stream_fault("truncate", after_chunks=0)
    )
    streamed = plain.post(url, caller.path, caller.ask(model, "three", stream=True))
    assert (paused.status, refused.status, streamed.status) == (200, 400, 200)
    assert streamed.body.endswith(caller.end)
    assert "three" in caller.text_of_stream(streamed.body)
    verdict = llmock.verdict()
    assert verdict.passed, verdict
    assert {finding.code for finding in verdict.findings} <= {"no_backoff"}


@case(93)
@pytest.mark.parametrize("kind", ["disconnect", "truncate"])
@pytest.mark.parametrize("upstream_kind", DIALECTS, ids=lambda dialect: f"from-{dialect}")
@CALLERS
def test_llmock_finds_nothing_to_blame_in_a_caller_that_heeds_our_error_event(
    behind_llmock: Gateway,
    llmock: Llmock,
    caller: Dialect,
    upstream_kind: Dialect,
    kind,
):
    llmock.script(stream_fault(kind, after_chunks=2))
    asked = caller.ask(
        f"{upstream_kind.name}/{upstream_kind.model}", "one two three four five", stream=True
    )
    with raw.posted(behind_llmock.base_url, caller.path, asked) as exchange:
        cut = exchange.read_rest()
    assert caller.told_in_stream(cut) is not None, cut
    assert caller.end not in cut
    again = plain.post(behind_llmock.base_url, caller.path, asked)
    assert again.body.endswith(caller.end)
    assert llmock.verdict().findings == []
