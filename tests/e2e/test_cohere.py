"""Cohere's own client in front of the gateway, and its API behind it."""

from collections.abc import Generator, Sequence
from typing import Any

import cohere
import httpx
import msgspec
import pytest
from cohere.core.api_error import ApiError

from tests.support import gateway, http1, plain, stage
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC, DIALECTS, OPENAI, TEXT, Dialect
from tests.support.gateway import Gateway
from tests.support.goldens import ROOT
from tests.support.stage import Stage
from tests.support.upstream import Do, Part

GOLDENS = ROOT / "cohere.chat"
MODEL = "cohere/command-a-03-2025"
HELLO: Any = [{"role": "user", "content": "Hi"}]
TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}


PROVIDERS = (
    ("cohere", "cohere", "/v2"),
    ("openai", "openai", "/v1"),
    ("anthropic", "anthropic", ""),
)
STATUSES = (400, 401, 404, 422, 429, 500, 503)
NO_RETRIES: Any = {"max_retries": 0}


@pytest.fixture(scope="module")
def upstream() -> Generator[Stage, None, None]:
    with stage.running() as running:
        yield running


@pytest.fixture(scope="module")
def running(
    upstream: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Gateway, None, None]:
    config = """
[server]
log_format = "json"
enable_retries = false
"""
    failing = [(f"failing-{status}", "cohere", "/v2") for status in (200, *STATUSES)]
    for name, type_, path in (*PROVIDERS, *failing):
        config += f"""
[[providers]]
name = "{name}"
type = "{type_}"
base_url = "{upstream.base_url}{path}"
api_key = "sk-{name}-000000"
"""
    with gateway.running(config, tmp_path_factory.mktemp("cohere")) as started:
        yield started


@pytest.fixture(scope="module")
def client(running: Gateway) -> Generator[cohere.ClientV2, None, None]:
    with httpx.Client(timeout=20.0) as line:
        yield cohere.ClientV2(api_key="unused-key", base_url=running.base_url, httpx_client=line)


def golden(case_: str, file: str) -> bytes:
    return (GOLDENS / case_ / file).read_bytes()


def whole(case_: str) -> list[bytes]:
    return [http1.answer(200, golden(case_, "response.json"))]


def streamed(case_: str) -> list[bytes]:
    return http1.stream(*golden(case_, "stream.txt").splitlines(keepends=True))


def test_a_question_of_coheres_to_cohere(client: cohere.ClientV2, upstream: Stage):
    upstream.play(whole("plain-text"))
    answer = client.chat(model=MODEL, messages=HELLO, temperature=0.3, request_options=NO_RETRIES)
    assert answer.message.content is not None
    assert answer.message.content[0].text == "Light scatters, “blue” most. 🌌"
    assert (upstream.request.method, upstream.request.target) == ("POST", "/v2/chat")
    assert (upstream.request.header("authorization") or "").startswith("Bearer sk-cohere-")
    sent = upstream.request.json()
    assert isinstance(sent, dict)
    assert (sent["model"], sent["temperature"]) == ("command-a-03-2025", 0.3)


def test_a_stream_of_coheres_is_passed_on(client: cohere.ClientV2, upstream: Stage):
    upstream.play(streamed("tools"))
    events = list(client.chat_stream(model=MODEL, messages=HELLO, tools=[TOOL]))
    assert [event.type for event in events][:5] == [
        "message-start",
        "tool-plan-delta",
        "tool-plan-delta",
        "tool-plan-delta",
        "tool-call-start",
    ]
    assert events[-1].delta.finish_reason == "TOOL_CALL"
    assert events[-1].delta.usage.billed_units.output_tokens == 23


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_coheres_client_talks_to_others(client: cohere.ClientV2, upstream: Stage, dialect: Dialect):
    upstream.play([http1.answer(200, dialect.answer(dialect.model))])
    model = f"{dialect.name}/{dialect.model}"
    answer = client.chat(model=model, messages=HELLO, max_tokens=9)
    assert answer.message.content is not None
    assert answer.message.content[0].text == TEXT
    assert answer.finish_reason == "COMPLETE"


@pytest.mark.parametrize("dialect", (OPENAI, ANTHROPIC), ids=lambda dialect: dialect.name)
def test_others_talk_to_cohere(running: Gateway, upstream: Stage, dialect: Dialect):
    upstream.play(whole("plain-text"))
    body = dialect.ask(MODEL)
    answer = plain.post(running.base_url, dialect.path, body)
    assert answer.status == 200, answer.body
    assert b"scatters" in answer.body
    sent = upstream.request.json()
    assert isinstance(sent, dict)
    assert sent["messages"][-1]["role"] == "user"
    upstream.play(streamed("plain-text"))
    answer = plain.post(running.base_url, dialect.path, {**body, "stream": True})
    assert answer.status == 200
    assert b"scatters" in answer.body


def test_tools_of_openais_callers_reach_cohere_and_come_back(running: Gateway, upstream: Stage):
    upstream.play(whole("tools"))
    answer = plain.post(
        running.base_url, OPENAI.path, {"model": MODEL, "messages": HELLO, "tools": [TOOL]}
    ).json()
    assert isinstance(answer, dict)
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "tool_calls"
    calls = choice["message"]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["get_weather", "get_time"]
    upstream.play(whole("plain-text"))
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "x"} for call in calls]
    messages = [*HELLO, choice["message"], *results]
    again = plain.post(
        running.base_url, OPENAI.path, {"model": MODEL, "messages": messages, "tools": [TOOL]}
    )
    assert again.status == 200, again.body
    sent = upstream.request.json()
    assert isinstance(sent, dict)
    assert [message["role"] for message in sent["messages"]] == [
        "user",
        "assistant",
        "tool",
        "tool",
    ]
    assert [call["id"] for call in sent["messages"][1]["tool_calls"]] == [c["id"] for c in calls]


@case(102)
@pytest.mark.parametrize("status", STATUSES)
def test_an_error_has_the_callers_words(
    running: Gateway, client: cohere.ClientV2, upstream: Stage, status: int
):
    upstream.play([http1.answer(status, {"message": "no such luck", "id": "1"})])
    model = f"failing-{status}/m"
    with pytest.raises(ApiError) as caught:
        client.chat(model=model, messages=HELLO, request_options=NO_RETRIES)
    said = caught.value.body
    assert isinstance(said, dict)
    assert "message" in said
    answer = plain.post(running.base_url, OPENAI.path, OPENAI.ask(model))
    assert answer.status >= 400
    assert "error" in msgspec.json.decode(answer.body)


def broken() -> dict[str, Sequence[Part]]:
    begun = golden("error-mid-stream", "stream.txt")
    return {
        "error": http1.stream(begun),
        "cut": http1.stream(golden("plain-text", "stream.txt")[:900]),
        "torn": [*http1.stream(golden("plain-text", "stream.txt")[:900])[:-1], Do.CLOSE],
    }


@case(92, 93)
@pytest.mark.parametrize("how", ["error", "cut", "torn"])
@pytest.mark.parametrize("dialect", (OPENAI, ANTHROPIC), ids=lambda dialect: dialect.name)
def test_a_stream_that_breaks_never_ends_well(
    running: Gateway, client: cohere.ClientV2, upstream: Stage, how: str, dialect: Dialect
):
    upstream.play(broken()[how])
    body = {**dialect.ask(MODEL), "stream": True}
    answer = plain.post(running.base_url, dialect.path, body)
    assert b'"error"' in answer.body
    assert b"[DONE]" not in answer.body
    assert b"message_stop" not in answer.body
    upstream.play(broken()[how])
    events = list(client.chat_stream(model=MODEL, messages=HELLO))
    assert events[-1].type == "message-end"
    assert events[-1].delta.finish_reason == "ERROR"


@case(94)
def test_an_error_with_a_success_is_no_answer(running: Gateway, upstream: Stage):
    upstream.play([http1.answer(200, {"message": "no such luck"})])
    for path, body in (
        (OPENAI.path, OPENAI.ask("failing-200/m")),
        ("/v2/chat", {"model": "failing-200/m", "messages": HELLO}),
    ):
        answer = plain.post(running.base_url, path, body)
        assert answer.status >= 400, answer.body


def test_refusals_have_coheres_words(running: Gateway):
    answer = plain.post(running.base_url, "/v2/chat", {"model": "nobody/knows", "messages": HELLO})
    assert answer.status == 404
    said = answer.json()
    assert isinstance(said, dict)
    assert "nobody/knows" in said["message"]
    assert "error" not in said
    other = plain.post(running.base_url, "/v2/nothing", {}).json()
    assert isinstance(other, dict)
    assert "message" in other


def test_texts_are_embedded_and_ranked(client: cohere.ClientV2, upstream: Stage):
    upstream.play(
        [
            http1.answer(
                200,
                {
                    "id": "e",
                    "embeddings": {"float": [[0.5, 0.25]]},
                    "texts": ["a"],
                    "meta": {"billed_units": {"input_tokens": 2}},
                },
            )
        ]
    )
    vectors = client.embed(
        model="cohere/embed-v4.0",
        texts=["a"],
        input_type="search_document",
        embedding_types=["float"],
    )
    assert vectors.embeddings.float_ == [[0.5, 0.25]]
    assert upstream.request.target == "/v2/embed"
    upstream.play(
        [http1.answer(200, {"id": "r", "results": [{"index": 1, "relevance_score": 0.5}]})]
    )
    ranked = client.rerank(model="cohere/rerank-v3.5", query="q", documents=["a", "b"])
    assert ranked.results[0].index == 1
    assert upstream.request.target == "/v2/rerank"
