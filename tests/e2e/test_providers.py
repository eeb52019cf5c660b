"""Providers of the catalogue, as each of them wants to be asked, and what is done about losses."""

from collections.abc import Generator
from typing import Any

import msgspec
import pytest

from tests.support import gateway, http1, plain, stage
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC, OPENAI, TEXT
from tests.support.gateway import Gateway
from tests.support.stage import Stage

PROVIDERS = ("mistral", "groq", "xai", "together", "dashscope", "vllm", "deepseek", "openrouter")
IMAGE = {
    "type": "document",
    "source": {"type": "url", "url": "https://example.com/a.pdf"},
}
"""Something that OpenAI's API cannot be told."""


@pytest.fixture(scope="module")
def upstream() -> Generator[Stage, None, None]:
    with stage.running() as running:
        yield running


@pytest.fixture(scope="module")
def running(
    upstream: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Gateway, None, None]:
    folder = tmp_path_factory.mktemp("providers")
    (folder / "rows.toml").write_text(
        '[[providers]]\ntype = "openai"\n[[providers.models]]\nname = "brand-new"\ncontext = 7\n'
        "price = { input = 1, output = 2 }\n"
    )
    config = f"""
[server]
log_format = "json"
enable_retries = false

[catalog]
files = ["rows.toml"]

[[provider_types]]
name = "acme"
base_url = "{upstream.base_url}/acme"
auth = "x-api-key"
headers = {{ x-team = "research" }}
rename = {{ seed = "random_seed" }}
unsupported = ["user"]
models = [{{ name = "acme-1", context = 1000, price = {{ input = 1, output = 2 }} }}]

[[providers]]
name = "acme"
type = "acme"
api_key = "acme-key-000000"

[[providers]]
name = "azure"
type = "azure"
base_url = "{upstream.base_url}/openai/v1"
api_key = "azure-key-000000"

[[providers]]
name = "dated"
type = "azure"
base_url = "{upstream.base_url}"
api_key = "azure-key-000000"
api_version = "2024-10-21"

[[providers]]
name = "foundry"
type = "azure_foundry"
base_url = "{upstream.base_url}/api/projects/p"
api_key = "azure-key-000000"

[[providers]]
name = "lenient"
type = "openai"
base_url = "{upstream.base_url}"
api_key = "sk-upstream-000"
models = ["strict", {{ name = "kind", on_loss = "warn" }}]

[[models]]
name = "route"
targets = ["lenient/strict"]
on_loss = "warn"

[[models]]
name = "hard"
targets = ["lenient/kind"]
on_loss = "refuse"

[[keys]]
name = "plain"
secret = "mm-plain-000000000"

[[keys]]
name = "kind"
secret = "mm-kind-0000000000"
on_loss = "warn"

[[keys]]
name = "hard"
secret = "mm-hard-0000000000"
on_loss = "refuse"
"""
    for name in PROVIDERS:
        config += f"""
[[providers]]
name = "{name}"
type = "{name}"
base_url = "{upstream.base_url}/{name}"
api_key = "sk-{name}-000000"
"""
    with gateway.running(config, folder) as started:
        yield started


def ask(
    running: Gateway, path: str, body: dict[str, Any], key: str = "mm-plain-000000000"
) -> plain.Answer:
    return plain.post(running.base_url, path, body, {"authorization": f"Bearer {key}"})


def chat(running: Gateway, model: str, **more: object) -> plain.Answer:
    return ask(running, OPENAI.path, {**OPENAI.ask(model), **more})


def sent(upstream: Stage) -> dict[str, Any]:
    found = upstream.request.json()
    assert isinstance(found, dict)
    return found


ANSWERED = [http1.answer(200, OPENAI.answer("m"))]


@pytest.fixture(autouse=True)
def _answers(upstream: Stage) -> None:
    upstream.play(ANSWERED)


def test_a_deployment_is_the_model_of_azures_v1(running: Gateway, upstream: Stage) -> None:
    assert OPENAI.text_of(chat(running, "azure/my-deployment").body) == TEXT
    assert upstream.request.target == "/openai/v1/chat/completions"
    assert upstream.request.header("api-key") == "azure-key-000000"
    assert upstream.request.header("authorization") is None
    assert sent(upstream)["model"] == "my-deployment"


def test_a_deployment_is_in_the_path_of_a_dated_version(running: Gateway, upstream: Stage) -> None:
    chat(running, "dated/my-deployment")
    target = "/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21"
    assert upstream.request.target == target
    assert "model" not in sent(upstream)


def test_foundry_is_asked_for_claude_in_its_own_words(running: Gateway, upstream: Stage) -> None:
    upstream.play([http1.answer(200, ANTHROPIC.answer("claude"))])
    assert OPENAI.text_of(chat(running, "foundry/claude-opus-4-8").body) == TEXT
    assert upstream.request.target == "/anthropic/v1/messages"
    assert upstream.request.header("anthropic-version") == "2023-06-01"
    assert upstream.request.header("api-key") == "azure-key-000000"
    upstream.play(ANSWERED)
    chat(running, "foundry/gpt-5.4")
    assert upstream.request.target == "/openai/v1/chat/completions"


@case(77)
def test_azures_content_filter_is_a_refusal_with_a_stable_code(
    running: Gateway, upstream: Stage
) -> None:
    error = {
        "message": "The response was filtered",
        "code": "content_filter",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation"},
    }
    upstream.play([http1.answer(400, {"error": error})])
    answer = chat(running, "azure/d")
    assert answer.status == 400
    assert msgspec.json.decode(answer.body)["error"]["code"] == "content_filter"


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL_TURNS = [
    {"role": "user", "content": "go"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "ok"},
    {"role": "user", "content": "and?"},
]


@case(30, 50)
def test_mistral_is_asked_in_its_own_words(running: Gateway, upstream: Stage) -> None:
    answer = chat(
        running,
        "mistral/mistral-medium-3.5",
        messages=TOOL_TURNS,
        seed=7,
        max_completion_tokens=9,
        logprobs=True,
    )
    assert "/logprobs" in answer.headers["x-modelmux-losses"]
    body = sent(upstream)
    assert (body["random_seed"], body["max_tokens"]) == (7, 9)
    assert not body.keys() & {"seed", "max_completion_tokens", "logprobs"}
    assert [m["role"] for m in body["messages"]] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
    ]
    assert len(body["messages"][2]["tool_call_id"]) == 9


def test_mistral_is_not_asked_for_usage_in_streams(running: Gateway, upstream: Stage) -> None:
    upstream.play(http1.stream(*OPENAI.frames("m")))
    chat(running, "mistral/m", stream=True, stream_options={"include_usage": True})
    assert "stream_options" not in sent(upstream)


@case(49, 50)
def test_groq_gives_one_answer_and_no_probabilities(running: Gateway, upstream: Stage) -> None:
    answer = chat(running, "groq/llama-3.3-70b-versatile", logit_bias={"1": 2})
    assert "/logit_bias" in answer.headers["x-modelmux-losses"]
    assert "logit_bias" not in sent(upstream)
    refused = chat(running, "groq/llama-3.3-70b-versatile", n=2)
    assert refused.status == 422
    assert b"gives one answer, and 2 are asked for" in refused.body


@case(105)
def test_a_call_of_a_tool_that_groqs_model_spoilt_is_not_the_callers_mistake(
    running: Gateway, upstream: Stage
) -> None:
    error = {"message": "Failed to call a function.", "code": "tool_use_failed", "type": "x"}
    upstream.play([http1.answer(400, {"error": error})])
    assert chat(running, "groq/m").status == 502


@case(27)
def test_xai_hears_results_in_the_order_of_the_calls(running: Gateway, upstream: Stage) -> None:
    calls = [{**CALL, "id": id_} for id_ in ("a", "b")]
    results = [{"role": "tool", "tool_call_id": id_, "content": id_} for id_ in ("b", "a")]
    turns = [TOOL_TURNS[0], {"role": "assistant", "tool_calls": calls}, *results]
    chat(running, "xai/grok-4.5", messages=turns)
    assert [m["content"] for m in sent(upstream)["messages"][2:]] == ["a", "b"]


@case(35)
def test_together_is_told_no_empty_lists(running: Gateway, upstream: Stage) -> None:
    turns = [{"role": "assistant", "content": "a", "tool_calls": []}, TOOL_TURNS[0]]
    chat(running, "together/m", messages=turns, tools=[])
    assert sent(upstream).keys() == {"model", "messages"}
    assert sent(upstream)["messages"][0].keys() == {"role", "content"}


def test_a_model_of_dashscopes_that_thinks_is_not_forced(running: Gateway, upstream: Stage) -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    more = {"enable_thinking": True, "tools": [tool], "tool_choice": "required"}
    answer = chat(running, "dashscope/qwen3-max", **more)
    assert sent(upstream)["tool_choice"] == "auto"
    assert "/tool_choice" in answer.headers["x-modelmux-losses"]


@case(53)
def test_vllm_is_told_no_nulls(running: Gateway, upstream: Stage) -> None:
    chat(running, "vllm/m", stop=None)
    assert sent(upstream).keys() == {"model", "messages"}


@pytest.mark.parametrize(
    ("provider", "path"),
    [("deepseek", "/deepseek/anthropic/v1/messages"), ("openrouter", "/openrouter/v1/messages")],
)
def test_an_anthropic_caller_is_not_translated_where_both_apis_are_there(
    running: Gateway, upstream: Stage, provider: str, path: str
) -> None:
    upstream.play([http1.answer(200, ANTHROPIC.answer("m"))])
    answer = ask(running, ANTHROPIC.path, ANTHROPIC.ask(f"{provider}/m"))
    assert ANTHROPIC.text_of(answer.body) == TEXT
    assert upstream.request.target == path


def test_a_type_of_ones_own_is_one_row(running: Gateway, upstream: Stage) -> None:
    answer = chat(running, "acme-1", seed=3, user="u")
    assert OPENAI.text_of(answer.body) == TEXT
    assert upstream.request.target == "/acme/v1/chat/completions"
    assert upstream.request.header("x-api-key") == "acme-key-000000"
    assert upstream.request.header("x-team") == "research"
    assert sent(upstream)["random_seed"] == 3
    assert "/user" in answer.headers["x-modelmux-losses"]


@pytest.mark.parametrize(
    ("model", "key", "status"),
    [
        ("lenient/strict", "mm-plain-000000000", 422),
        ("lenient/kind", "mm-plain-000000000", 200),
        ("route", "mm-plain-000000000", 200),
        ("hard", "mm-plain-000000000", 422),
        ("lenient/strict", "mm-kind-0000000000", 200),
        ("hard", "mm-kind-0000000000", 200),
        ("lenient/kind", "mm-hard-0000000000", 422),
        ("route", "mm-hard-0000000000", 422),
    ],
)
def test_lost_content_is_refused_unless_key_name_or_model_says_otherwise(
    running: Gateway, model: str, key: str, status: int
) -> None:
    content = [IMAGE, {"type": "text", "text": "What does it say?"}]
    asked = {**ANTHROPIC.ask(model), "messages": [{"role": "user", "content": content}]}
    answer = ask(running, ANTHROPIC.path, asked, key)
    assert answer.status == status
    if status == 200:
        assert "/messages/0/parts/0" in answer.headers["x-modelmux-losses"]
    else:
        assert b"/messages/0/parts/0" in answer.body
        assert msgspec.json.decode(answer.body)["error"]["details"] == {
            "error_code": "unrepresentable"
        }
