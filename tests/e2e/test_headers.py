"""What the headers of an answer tell, and what those of a request bring about."""

import time
from collections.abc import Generator

import msgspec
import pytest

from tests.e2e.conftest import House
from tests.support import gateway, http1, plain, raw
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC, DIALECTS, OPENAI, TEXT, Dialect
from tests.support.gateway import Gateway
from tests.support.upstream import Do, Gate, Part

CALLERS = pytest.mark.parametrize("caller", DIALECTS, ids=str)
BOTH = pytest.mark.parametrize("upstream", DIALECTS, ids=lambda dialect: f"from-{dialect}")
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def model_of(upstream: Dialect) -> str:
    return f"{upstream.name}/{upstream.model}"


@case(101)
@STREAM
@BOTH
@CALLERS
def test_an_answer_tells_who_gave_it_and_how(
    house: House, caller: Dialect, upstream: Dialect, stream: bool
):
    fields = (("set-cookie", "a=b"), ("server", "secret/1"), ("x-internal", "yes"))
    kept = ("x-request-id", "request-id")[upstream is ANTHROPIC], "req_of_upstream"
    if stream:
        frames = map(http1.chunk, upstream.frames())
        parts: list[Part] = [http1.stream_head(*fields, kept), *frames, http1.LAST_CHUNK]
    else:
        parts = [http1.answer(200, upstream.answer(), *fields, kept, ("connection", "keep-alive"))]
    house.behind(upstream).play(parts)
    answer = plain.post(house.url, caller.path, caller.ask(model_of(upstream), stream=stream))
    headers = dict(answer.headers)
    assert headers.pop("x-modelmux-target") == model_of(upstream)
    assert headers.pop("x-modelmux-attempts") == "1"
    assert 0 <= float(headers.pop("x-modelmux-overhead-ms")) < 1000
    ours = headers.pop("x-request-id")
    assert ours not in {"", "req_of_upstream"}
    if upstream is ANTHROPIC:
        assert headers.pop("request-id") == "req_of_upstream"
    elif caller is ANTHROPIC:  # whose SDK reads the id from this field only
        assert headers.pop("request-id") == ours
    assert headers.pop("date")
    if stream:
        assert headers == {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
            "transfer-encoding": "chunked",
        }
    else:
        assert headers == {
            "content-type": "application/json",
            "content-length": str(len(answer.body)),
        }


@pytest.mark.parametrize("caller", [OPENAI], ids=str)
@STREAM
def test_what_was_not_heard_is_told(house: House, caller: Dialect, stream: bool):
    parts = http1.stream(*ANTHROPIC.frames()) if stream else [http1.answer(200, ANTHROPIC.answer())]
    house.anthropic.play(parts)
    asked = caller.ask(
        model_of(ANTHROPIC),
        stream=stream,
        seed=7,
        logit_bias={"50256": -100},
        temperature=1.7,
        x_unknown={"a": 1},
    )
    answer = plain.post(house.url, caller.path, asked)
    assert answer.status == 200
    losses = answer.headers["x-modelmux-losses"]
    for word in ("seed", "logit_bias", "temperature", "x_unknown"):
        assert word in losses
    sent = house.anthropic.request.json()
    assert sent["temperature"] == 1
    assert not {"seed", "logit_bias", "x_unknown"} & set(sent)


@case(54)
@CALLERS
def test_nothing_is_lost_on_the_same_wire(house: House, caller: Dialect):
    house.behind(caller).play([http1.answer(200, caller.answer())])
    asked = caller.ask(caller.model, x_unknown={"a": 1}, temperature=1.7, seed=3)
    answer = plain.post(house.url, caller.path, asked)
    assert "x-modelmux-losses" not in answer.headers
    assert house.behind(caller).request.json() == asked


AUDIO = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
CONTAINER = {"type": "container_upload", "file_id": "file_1"}

CONTENT = [
    pytest.param(OPENAI, ANTHROPIC, AUDIO, id="audio"),
    pytest.param(ANTHROPIC, OPENAI, CONTAINER, id="a foreign file"),
]


@case(71)
@pytest.mark.parametrize(("caller", "upstream", "part"), CONTENT)
def test_content_that_would_not_be_heard_is_refused(
    house: House, caller: Dialect, upstream: Dialect, part: dict[str, object]
):
    text = {"type": "text", "text": "listen"}
    asked = caller.ask(model_of(upstream))
    asked["messages"] = [{"role": "user", "content": [text, part]}]
    answer = plain.post(house.url, caller.path, asked)
    told = caller.told(answer.body)
    assert (answer.status, told.code) == (422, "unrepresentable")
    assert model_of(upstream) in told.message
    assert not house.behind(upstream).requests


@case(33)
def test_a_tool_that_only_one_provider_runs_is_refused_elsewhere(house: House):
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    answer = plain.post(house.url, ANTHROPIC.path, ANTHROPIC.ask(model_of(OPENAI), tools=tools))
    told = ANTHROPIC.told(answer.body)
    assert (answer.status, told.code) == (422, "unrepresentable")
    assert "web_search_20250305" in told.message
    assert not house.openai.requests


@STREAM
@BOTH
@CALLERS
def test_a_caller_that_sets_a_limit_is_answered_in_time(
    house: House, caller: Dialect, upstream: Dialect, stream: bool
):
    house.behind(upstream).play([Do.WAIT_FOR_CLOSE])
    started = time.monotonic()
    answer = plain.post(
        house.url,
        caller.path,
        caller.ask(model_of(upstream), stream=stream),
        {"x-modelmux-timeout": "0.2"},
    )
    assert 0.15 < time.monotonic() - started < 5
    told = caller.told(answer.body)
    assert (answer.status, told.type, told.code) == (504, "timeout_error", "timeout")
    assert house.behind(upstream).request.abandoned.wait(1)


@case(92)
@BOTH
@CALLERS
def test_a_limit_ends_a_stream_too(house: House, caller: Dialect, upstream: Dialect):
    begun = map(http1.chunk, upstream.frames()[:4])
    house.behind(upstream).play([http1.stream_head(), *begun, Gate()])
    asked = caller.ask(model_of(upstream), stream=True)
    headers = {"x-modelmux-timeout": "0.3"}
    with raw.posted(house.url, caller.path, asked, headers) as exchange:
        body = exchange.read_rest()
    told = caller.told_in_stream(body)
    assert told is not None
    assert told.type == "timeout_error"
    assert caller.end not in body
    assert house.behind(upstream).request.abandoned.wait(1)


SLOW = """
[server]
enable_retries = false
[[providers]]
name = "whole"
type = "openai"
base_url = "{url}"
api_key = "sk-upstream-000000"
timeout_s = 0.3
[[providers]]
name = "first-byte"
type = "openai"
base_url = "{url}"
api_key = "sk-upstream-000000"
first_byte_timeout_s = 0.3
[[providers]]
name = "idle"
type = "openai"
base_url = "{url}"
api_key = "sk-upstream-000000"
idle_timeout_s = 0.3
"""


@pytest.fixture(scope="module")
def impatient(
    tmp_path_factory: pytest.TempPathFactory, running_house: House
) -> Generator[Gateway, None, None]:
    config = SLOW.format(url=running_house.openai.base_url)
    with gateway.running(config, tmp_path_factory.mktemp("impatient")) as running:
        yield running


@pytest.mark.parametrize("limit", ["whole", "first-byte"])
@CALLERS
def test_a_provider_that_does_not_answer_is_not_waited_for(
    house: House, impatient: Gateway, caller: Dialect, limit: str
):
    house.openai.play([Do.WAIT_FOR_CLOSE])
    answer = plain.post(impatient.base_url, caller.path, caller.ask(f"{limit}/m"))
    assert (answer.status, caller.told(answer.body).code) == (504, "timeout")


@pytest.mark.parametrize("limit", ["whole", "idle"])
@CALLERS
def test_a_stream_that_falls_silent_is_not_waited_for(
    house: House, impatient: Gateway, caller: Dialect, limit: str
):
    begun = map(http1.chunk, OPENAI.frames()[:3])
    house.openai.play([http1.stream_head(), *begun, Do.WAIT_FOR_CLOSE])
    asked = caller.ask(f"{limit}/m", stream=True)
    with raw.posted(impatient.base_url, caller.path, asked) as exchange:
        body = exchange.read_rest()
    told = caller.told_in_stream(body)
    assert told is not None
    assert told.type == "timeout_error"
    assert caller.end not in body


COUNTED = {"model": "m", "messages": [{"role": "user", "content": "How many tokens is this?"}]}


@case(110)
def test_tokens_are_counted_by_who_can_count(house: House):
    house.anthropic.play([http1.answer(200, {"input_tokens": 14})])
    asked = {**COUNTED, "model": model_of(ANTHROPIC)}
    answer = plain.post(house.url, "/v1/messages/count_tokens", asked)
    assert answer.json() == {"input_tokens": 14}
    assert "x-modelmux-losses" not in answer.headers
    request = house.anthropic.request
    assert request.target == "/v1/messages/count_tokens"
    assert request.json() == {**COUNTED, "model": ANTHROPIC.model}


@case(110)
def test_tokens_that_nobody_counts_are_estimated_and_said_to_be(house: House):
    asked = {**COUNTED, "model": model_of(OPENAI)}
    answer = plain.post(house.url, "/v1/messages/count_tokens", asked)
    assert 4 <= msgspec.json.decode(answer.body)["input_tokens"] <= 20
    assert "estimate" in answer.headers["x-modelmux-losses"]
    assert not house.openai.requests


@case(65)
def test_betas_go_to_who_knows_them(house: House):
    house.anthropic.play([http1.answer(200, ANTHROPIC.answer())])
    headers = {"anthropic-beta": "some-new-thing-2026-11-01,oauth-2025-04-20"}
    answer = plain.post(house.url, ANTHROPIC.path, ANTHROPIC.ask(ANTHROPIC.model), headers)
    assert house.anthropic.request.header("anthropic-beta") == "some-new-thing-2026-11-01"
    assert house.anthropic.request.header("anthropic-version") == "2023-06-01"
    assert "oauth-2025-04-20" in answer.headers["x-modelmux-losses"]
    house.openai.play([http1.answer(200, OPENAI.answer())])
    plain.post(house.url, ANTHROPIC.path, ANTHROPIC.ask(model_of(OPENAI)), headers)
    assert house.openai.request.header("anthropic-beta") is None


@CALLERS
def test_the_doors_have_a_second_name(house: House, caller: Dialect):
    house.behind(caller).play([http1.answer(200, caller.answer())])
    path = caller.path.replace("/v1/", "/models/v1/")
    answer = plain.post(house.url, path, caller.ask(caller.model))
    assert caller.text_of(answer.body) == TEXT
    assert plain.get(house.url, "/models/v1/models").status == 200


@pytest.mark.parametrize("prefix", ["modelplex-", "modelmux-"])
def test_names_with_the_old_programs_prefix_are_understood(house: House, prefix: str):
    house.openai.play([http1.answer(200, OPENAI.answer())])
    answer = plain.post(house.url, OPENAI.path, OPENAI.ask(prefix + OPENAI.model))
    assert msgspec.json.decode(house.openai.request.body)["model"] == OPENAI.model
    assert msgspec.json.decode(answer.body)["model"] == prefix + OPENAI.model
