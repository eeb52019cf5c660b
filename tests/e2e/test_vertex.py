"""Claude on Vertex AI, with Google's token endpoint and the model's own played by us."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
import openai
import pytest

from tests.support import gateway, google, http1, plain, stage
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC, DIALECTS, OPENAI, TEXT, Dialect
from tests.support.gateway import Gateway, GatewayStarter
from tests.support.google import TokenEndpoint
from tests.support.stage import Stage

RESOURCE = "projects/project-7/locations/us-east5/publishers/anthropic/models"
SONNET = "claude-sonnet-4-5@20250929"

CALLERS = pytest.mark.parametrize("caller", DIALECTS, ids=str)
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@dataclass(frozen=True)
class Cloud:
    """A token endpoint, models, and where the account's key is."""

    tokens: TokenEndpoint
    vertex: Stage
    key: Path

    def config(self) -> str:
        return f"""
[server]
log_format = "json"
enable_retries = false

[vertex]
url = "{self.vertex.base_url}/v1/{RESOURCE}/{SONNET}:rawPredict"

[[vertex.models]]
name = "fast"
url = "{self.vertex.base_url}/v1/{RESOURCE}/claude-haiku-4-5@20251001"

[[vertex.models]]
name = "Other"
model = "claude-opus-4-5-20251101"

[auth]
service_account_file = "{self.key}"

[[providers]]
name = "cloud"
type = "vertex"
base_url = "{self.vertex.base_url}"
project = "project-8"
region = "europe-west1"
models = ["unused-*", "gemini-2.5-flash"]
service_account_file = "{self.key}"
"""


@contextmanager
def playing(folder: Path, lifetime_s: int = 3600) -> Generator[Cloud, None, None]:
    """A cloud whose tokens live so long."""
    with stage.running() as tokens, stage.running() as vertex:
        endpoint = TokenEndpoint(tokens, lifetime_s)
        key = folder / "key.json"
        key.touch(mode=0o600)
        key.write_bytes(google.service_account(endpoint.url))
        yield Cloud(endpoint, vertex, key)


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[tuple[Gateway, Cloud], None, None]:
    """A cloud whose tokens last, and a gateway in front of it."""
    with playing(tmp_path_factory.mktemp("cloud")) as cloud:
        folder = tmp_path_factory.mktemp("gateway")
        with gateway.running(cloud.config(), folder) as running:
            yield running, cloud


@pytest.fixture
def cloud(shared: tuple[Gateway, Cloud]) -> Cloud:
    """Its model would answer."""
    shared[1].vertex.play(ANSWERED)
    return shared[1]


@pytest.fixture
def running(shared: tuple[Gateway, Cloud]) -> Gateway:
    return shared[0]


ANSWERED = [http1.answer(200, ANTHROPIC.answer(SONNET))]


@CALLERS
def test_a_message_reaches_the_model_by_its_path(running: Gateway, cloud: Cloud, caller: Dialect):
    answer = plain.post(running.base_url, caller.path, caller.ask("claude-sonnet-4-5"))
    assert caller.text_of(answer.body) == TEXT
    assert msgspec.json.decode(answer.body)["model"] == "claude-sonnet-4-5"
    request = cloud.vertex.request
    assert request.target == f"/v1/{RESOURCE}/{SONNET}:rawPredict"
    assert (request.header("authorization") or "").startswith("Bearer ya29.token-")
    assert request.header("anthropic-version") is None
    sent = request.json()
    assert sent["anthropic_version"] == "vertex-2023-10-16"
    assert "model" not in sent
    assert sent["messages"] == [{"role": "user", "content": "hello"}]
    assert sent["max_tokens"] > 0


@CALLERS
def test_a_stream_has_a_verb_of_its_own(running: Gateway, cloud: Cloud, caller: Dialect):
    cloud.vertex.play(http1.stream(*ANTHROPIC.frames(SONNET)))
    asked = caller.ask("claude-sonnet-4-5", stream=True)
    answer = plain.post(running.base_url, caller.path, asked)
    assert caller.text_of_stream(answer.body) == TEXT
    assert answer.body.endswith(caller.end)
    assert cloud.vertex.request.target == f"/v1/{RESOURCE}/{SONNET}:streamRawPredict"
    assert cloud.vertex.request.json()["stream"] is True
    assert SONNET.encode() not in answer.body


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("fast", "claude-haiku-4-5@20251001"),
        ("FAST", "claude-haiku-4-5@20251001"),
        ("other", "claude-opus-4-5@20251101"),
        ("vertex/fast", "claude-haiku-4-5@20251001"),
        ("Claude-Sonnet-4-5", SONNET),
    ],
)
def test_models_have_names_of_their_own(running: Gateway, cloud: Cloud, name: str, model: str):
    answer = plain.post(running.base_url, OPENAI.path, OPENAI.ask(name))
    assert answer.status == 200, answer.body
    assert cloud.vertex.request.target == f"/v1/{RESOURCE}/{model}:rawPredict"
    assert msgspec.json.decode(answer.body)["model"] == name


def test_models_are_listed_and_unknown_ones_are_not_rerouted(running: Gateway, cloud: Cloud):
    listed = msgspec.json.decode(plain.get(running.base_url, "/v1/models").body)["data"]
    names = {row["id"] for row in listed}
    assert {"claude-sonnet-4-5", "fast", "Other"} <= names
    answer = plain.post(running.base_url, OPENAI.path, OPENAI.ask("gpt-4"))
    assert answer.status == 404
    assert not cloud.vertex.requests


def test_a_provider_of_that_type_may_be_anywhere_too(running: Gateway, cloud: Cloud):
    answer = plain.post(running.base_url, OPENAI.path, OPENAI.ask("cloud/unused-20251001"))
    assert answer.status == 200
    assert cloud.vertex.request.target == (
        "/v1/projects/project-8/locations/europe-west1/publishers/anthropic"
        "/models/unused@20251001:rawPredict"
    )


def test_a_token_is_got_once_for_many_calls(start_gateway: GatewayStarter, tmp_path: Path):
    with playing(tmp_path) as cloud:
        cloud.vertex.play(ANSWERED)
        running = start_gateway(cloud.config())
        for model in ("claude-sonnet-4-5", "fast", "other") * 3:
            plain.post(running.base_url, OPENAI.path, OPENAI.ask(model))
        assert cloud.tokens.granted == 1
        assert tokens_used(cloud) == [1] * 9


def test_a_token_that_would_expire_on_the_way_is_not_sent(
    start_gateway: GatewayStarter, tmp_path: Path
):
    with playing(tmp_path, lifetime_s=9) as cloud:
        cloud.vertex.play(ANSWERED)
        running = start_gateway(cloud.config())
        for _ in range(3):
            plain.post(running.base_url, OPENAI.path, OPENAI.ask("fast"))
        assert tokens_used(cloud) == [1, 2, 3]


def test_a_token_that_is_refused_is_got_anew(start_gateway: GatewayStarter, tmp_path: Path):
    refused = {"error": {"code": 401, "message": "expired", "status": "UNAUTHENTICATED"}}
    with playing(tmp_path) as cloud:
        cloud.vertex.play(ANSWERED, [http1.answer(401, refused)], ANSWERED)
        running = start_gateway(cloud.config())
        for _ in range(3):
            answer = plain.post(running.base_url, OPENAI.path, OPENAI.ask("fast"))
            assert answer.status == 200
        assert tokens_used(cloud) == [1, 1, 2, 2]


def test_a_refusal_of_the_account_is_told_without_its_key(
    start_gateway: GatewayStarter, tmp_path: Path
):
    error = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
    with playing(tmp_path) as cloud:
        cloud.tokens.stage.play([http1.answer(400, error)])
        running = start_gateway(cloud.config())
        answer = plain.post(running.base_url, OPENAI.path, OPENAI.ask("fast"))
    told = OPENAI.told(answer.body)
    assert (answer.status, told.code) == (502, "upstream_authentication")
    assert "invalid_grant" in told.message
    assert not cloud.vertex.requests
    for secret in ("PRIVATE KEY", cloud.key.read_text()[200:240]):
        assert secret not in told.message + running.log


def tokens_used(cloud: Cloud) -> list[int]:
    """The number of the token of each request to the model."""
    fields = [request.header("authorization") or "" for request in cloud.vertex.requests]
    return [int(field.split("-")[1]) for field in fields]


def test_tokens_are_counted_by_vertex(running: Gateway, cloud: Cloud):
    cloud.vertex.play([http1.answer(200, {"input_tokens": 14})])
    answer = plain.post(running.base_url, "/v1/messages/count_tokens", ANTHROPIC.ask("fast"))
    assert answer.json() == {"input_tokens": 14}
    request = cloud.vertex.request
    assert request.target == f"/v1/{RESOURCE}/count-tokens:rawPredict"


def test_openais_sdk_talks_to_claude_on_vertex(running: Gateway, cloud: Cloud):
    cloud.vertex.play(http1.stream(*ANTHROPIC.frames(SONNET)))
    with (
        openai.OpenAI(base_url=running.openai_url, api_key="unused", max_retries=0) as client,
        client.chat.completions.stream(
            model="fast",
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "hello"},
            ],
        ) as stream,
    ):
        completion = stream.get_final_completion()
    assert completion.choices[0].message.content == TEXT
    assert completion.choices[0].finish_reason == "stop"
    assert completion.model == "fast"
    assert cloud.vertex.request.json()["system"] == "Be brief."


@case(65)
def test_betas_that_vertex_does_not_take_are_told_lost(running: Gateway, cloud: Cloud):
    headers = {
        "anthropic-beta": "interleaved-thinking-2025-05-14,context-1m-2025-08-07,"
        "files-api-2025-04-14"
    }
    answer = plain.post(running.base_url, ANTHROPIC.path, ANTHROPIC.ask("fast"), headers)
    assert "files-api-2025-04-14" in answer.headers["x-modelmux-losses"]
    request = cloud.vertex.request
    assert request.header("anthropic-beta") == "interleaved-thinking-2025-05-14"
    assert request.json()["anthropic_beta"] == ["context-1m-2025-08-07"]


class GoogleSays(NamedTuple):
    status: int
    word: str
    told: str


@case(102, 106)
@STREAM
@CALLERS
@pytest.mark.parametrize("shape", ["object", "list"])
@pytest.mark.parametrize(
    "error",
    [
        GoogleSays(400, "INVALID_ARGUMENT", "invalid_request_error"),
        GoogleSays(404, "NOT_FOUND", "not_found_error"),
        GoogleSays(429, "RESOURCE_EXHAUSTED", "rate_limit_error"),
    ],
    ids=lambda error: str(error.status),
)
def test_googles_own_errors_are_told_in_the_callers_dialect(
    shared: tuple[Gateway, Cloud], caller: Dialect, stream: bool, shape: str, error: GoogleSays
):
    running, cloud = shared
    said = {"code": error.status, "message": "Google says so", "status": error.word}
    body: object = {"error": said} if shape == "object" else [{"error": said}]
    cloud.vertex.play([http1.answer(error.status, body)])
    name = f"cloud/unused-{caller}-{stream}-{shape}-{error.status}"
    answer = plain.post(running.base_url, caller.path, caller.ask(name, stream=stream))
    told = caller.told(answer.body)
    assert (answer.status, told.type) == (error.status, error.told)
    assert "Google says so" in told.message


GEMINI = {
    "candidates": [
        {"content": {"parts": [{"text": TEXT}], "role": "model"}, "finishReason": "STOP"}
    ],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7},
}


@case(26)
@STREAM
def test_gemini_is_at_google_s_own_place_and_is_sent_no_ids(
    running: Gateway, cloud: Cloud, stream: bool
):
    frame = b"data: " + msgspec.json.encode(GEMINI) + b"\r\n\r\n"
    cloud.vertex.play(http1.stream(frame) if stream else [http1.answer(200, GEMINI)])
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    asked = {
        "model": "cloud/gemini-2.5-flash",
        "stream": stream,
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "ok"},
        ],
    }
    answer = plain.post(running.base_url, OPENAI.path, asked)
    assert answer.status == 200
    assert TEXT.encode() in answer.body
    request = cloud.vertex.request
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    assert request.target == (
        "/v1/projects/project-8/locations/europe-west1/publishers/google"
        f"/models/gemini-2.5-flash:{verb}"
    )
    assert (request.header("authorization") or "").startswith("Bearer ya29.token-")
    contents = msgspec.json.decode(request.body)["contents"]
    assert contents[1]["parts"] == [{"functionCall": {"name": "f", "args": {}}}]
    assert "id" not in contents[2]["parts"][0]["functionResponse"]


@case(106)
def test_an_error_of_vertex_in_a_list_is_the_caller_s_own(running: Gateway, cloud: Cloud):
    error = {"code": 400, "message": "no such field", "status": "INVALID_ARGUMENT"}
    cloud.vertex.play([http1.answer(400, [{"error": error}])])
    asked = OPENAI.ask("cloud/gemini-2.5-flash")
    answer = plain.post(running.base_url, OPENAI.path, asked)
    assert answer.status == 400
    assert "no such field" in OPENAI.told(answer.body).message
