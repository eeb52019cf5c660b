"""Operations beside chat: who is asked, in which words, and what it is told of."""

from collections.abc import Generator
from dataclasses import dataclass

import msgspec
import pytest

from tests.e2e.conftest import logged
from tests.support import http1, plain, stage
from tests.support.gateway import Gateway, GatewayStarter
from tests.support.stage import Stage

CONFIG = """
[server]
log_format = "json"
enable_retries = false

[[keys]]
name = "all"
secret = "sk-caller-everything-1"

[[keys]]
name = "few"
secret = "sk-caller-few-models-2"
models = ["p/chat-*"]

[[providers]]
name = "p"
type = "openai_compatible"
base_url = "{first}"
api_key = "sk-upstream-sentinel-1"
models = [
  {{ name = "embed", upstream = "embed-1", max_inputs = 2, price = {{ input = 1, output = 0 }} }},
  "rank", "chat-1", "both",
]

[[providers]]
name = "q"
type = "openai_compatible"
base_url = "{second}"
api_key = "sk-upstream-sentinel-2"
priority = 2
models = ["both"]
"""

ALL = {"authorization": "Bearer sk-caller-everything-1"}
FEW = {"authorization": "Bearer sk-caller-few-models-2"}


@dataclass(frozen=True)
class Place:
    gateway: Gateway
    first: Stage
    second: Stage

    def ask(self, path: str, body: object, headers: dict[str, str] | None = None) -> plain.Answer:
        return plain.post(self.gateway.base_url, path, body, {**ALL, **(headers or {})})


@pytest.fixture
def place(start_gateway: GatewayStarter) -> Generator[Place, None, None]:
    with stage.running() as first, stage.running() as second:
        config = CONFIG.format(first=first.base_url, second=second.base_url)
        yield Place(start_gateway(config), first, second)


def vectors(*numbers: int) -> list[bytes]:
    data = [{"index": at, "embedding": [number]} for at, number in enumerate(numbers)]
    usage = {"prompt_tokens": 1000, "total_tokens": 1000}
    return [http1.answer(200, {"data": data, "model": "up", "usage": usage})]


def test_many_texts_are_asked_for_in_turns_and_told_of_as_one_call(place: Place):
    def script(request: http1.Request) -> list[bytes]:
        inputs = msgspec.json.decode(request.body)["input"]
        return vectors(*[int(text) for text in inputs])

    place.first.run(script)
    texts = [str(number) for number in range(5)]
    answer = place.ask("/v1/embeddings", {"model": "embed", "input": texts}, {"x-request-id": "e"})
    told = msgspec.json.decode(answer.body)
    assert [item["embedding"] for item in told["data"]] == [[number] for number in range(5)]
    assert told["model"] == "embed"
    assert len(place.first.requests) == 3
    assert {r.json()["model"] for r in place.first.requests} == {"embed-1"}
    line = logged(place.gateway, "e")
    assert line["gen_ai.operation.name"] == "embeddings"
    assert line["gen_ai.usage.input_tokens"] == 3000
    assert line["modelmux.cost_usd"] == 0.003


def test_documents_are_ranked(place: Place):
    results = [{"index": 1, "relevance_score": 0.9}]
    place.first.play([http1.answer(200, {"results": results, "usage": {"total_tokens": 9}})])
    asked = {"model": "rank", "query": "q", "documents": ["a", "b"]}
    answer = place.ask("/v1/rerank", asked)
    assert msgspec.json.decode(answer.body)["results"] == results
    assert place.first.request.target == "/v1/rerank"
    assert place.first.request.json() == asked


def test_the_next_provider_is_asked_where_one_fails(place: Place):
    place.first.play([http1.answer(503, {"error": {"message": "no"}})])
    place.second.play(vectors(7))
    answer = place.ask("/v1/embeddings", {"model": "both", "input": "x"})
    assert msgspec.json.decode(answer.body)["data"][0]["embedding"] == [7]
    assert answer.headers["x-modelmux-target"] == "q/both"
    assert answer.headers["x-modelmux-attempts"] == "2"


def test_a_key_reaches_only_the_models_it_allows(place: Place):
    answer = place.ask("/v1/embeddings", {"model": "embed", "input": "x"}, FEW)
    assert answer.status == 403
    assert place.first.requests == []


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/embeddings", {"model": "embed", "input": []}, "input"),
        ("/v1/embeddings", {"model": "embed", "input": ["a", 3]}, "input[1]"),
        ("/v1/embeddings", {"input": "x"}, "model"),
        ("/v1/rerank", {"query": "q"}, "model"),
    ],
)
def test_a_wrong_request_is_refused_by_the_name_of_the_field(
    place: Place, path: str, body: object, param: str
):
    answer = place.ask(path, body)
    assert answer.status == 400
    assert msgspec.json.decode(answer.body)["error"]["param"] == param


def test_an_answer_that_is_none_is_an_error(place: Place):
    place.first.play([http1.answer(200, b"<html>")])
    answer = place.ask("/v1/embeddings", {"model": "embed", "input": ["a", "b", "c"]})
    assert answer.status == 502
    assert msgspec.json.decode(answer.body)["error"]["code"] == "protocol_violation"


def test_the_built_in_model_says_that_it_has_none(place: Place):
    answer = place.ask("/v1/embeddings", {"model": "modelmux/echo", "input": "x"})
    assert answer.status == 422
