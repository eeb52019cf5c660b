"""Embeddings through the clients of other APIs, each to providers of its own kind and others."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

import msgspec
import ollama
import pytest
from google import genai
from google.genai import types

from tests.support import gateway, http1, stage
from tests.support.gateway import Gateway
from tests.support.stage import Stage

CONFIG = """
[server]
log_format = "json"
enable_retries = false

[[providers]]
name = "openai"
type = "openai_compatible"
base_url = "{upstream}"
api_key = "sk-upstream-1"
models = ["small"]

[[providers]]
name = "gemini"
type = "gemini"
base_url = "{upstream}"
api_key = "sk-upstream-2"
models = ["gemini-embedding-001"]

[[providers]]
name = "ollama"
type = "ollama"
base_url = "{upstream}"
models = ["nomic"]
"""

FROM_OPENAI = {
    "data": [{"index": 0, "embedding": [0.5, 1]}, {"index": 1, "embedding": [2, 3]}],
    "usage": {"prompt_tokens": 4},
}
FROM_GEMINI = {"embeddings": [{"values": [0.5, 1]}, {"values": [2, 3]}]}
FROM_OLLAMA = {"embeddings": [[0.5, 1], [2, 3]], "prompt_eval_count": 4}
ANSWERS = {
    "openai/small": FROM_OPENAI,
    "gemini/gemini-embedding-001": FROM_GEMINI,
    "ollama/nomic": FROM_OLLAMA,
}
TEXTS = ["one", "two"]
UPSTREAMS = pytest.mark.parametrize("model", ANSWERS)


@dataclass(frozen=True)
class Place:
    gateway: Gateway
    upstream: Stage


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Generator[Place, None, None]:
    with stage.running() as upstream:
        config = CONFIG.format(upstream=upstream.base_url)
        with gateway.running(config, tmp_path_factory.mktemp("embeddings")) as running:
            yield Place(running, upstream)


def asked(place: Place) -> str:
    """The texts that the upstream was asked for, whatever its words."""
    return place.upstream.request.body.decode()


@UPSTREAMS
def test_googles_client_gets_its_vectors(place: Place, model: str):
    # Ollama has OpenAI's API too, and is asked by it where the caller speaks neither.
    answered = FROM_OPENAI if model == "ollama/nomic" else ANSWERS[model]
    place.upstream.play([http1.answer(200, answered)])
    options = types.HttpOptions(base_url=place.gateway.base_url)
    with closing(genai.Client(api_key="unused", http_options=options)) as client:
        answer = client.models.embed_content(
            model=model,
            contents=list[types.ContentUnionDict](TEXTS),
            config=types.EmbedContentConfig(output_dimensionality=2),
        )
    assert answer.embeddings is not None
    assert [each.values for each in answer.embeddings] == [[0.5, 1], [2, 3]]
    assert all(text in asked(place) for text in TEXTS)


@UPSTREAMS
def test_ollamas_client_gets_its_vectors(place: Place, model: str):
    place.upstream.play([http1.answer(200, ANSWERS[model])])
    with ollama.Client(place.gateway.base_url) as client:
        answer = client.embed(model=model, input=TEXTS)
    assert [list(each) for each in answer.embeddings] == [[0.5, 1], [2, 3]]
    assert all(text in asked(place) for text in TEXTS)


def test_ollamas_older_form_is_answered_in_its_shape(place: Place):
    place.upstream.play([http1.answer(200, {"embeddings": [[0.5, 1]]})])
    with ollama.Client(place.gateway.base_url) as client:
        answer = client.embeddings(model="ollama/nomic", prompt="one")
    assert list(answer.embedding) == [0.5, 1]
    assert place.upstream.request.target == "/api/embed"
    assert msgspec.json.decode(place.upstream.request.body)["input"] == "one"


def test_gemini_is_asked_in_a_batch_at_the_models_path(place: Place):
    place.upstream.play([http1.answer(200, FROM_GEMINI)])
    with ollama.Client(place.gateway.base_url) as client:
        client.embed(model="gemini/gemini-embedding-001", input=TEXTS)
    path = place.upstream.request.target
    assert path.endswith("/models/gemini-embedding-001:batchEmbedContents")
