"""Mistral's own client in front of the gateway: at OpenAI's path, and whoever answers."""

from collections.abc import Generator
from typing import Any

import httpx
import pytest
from mistralai.client import Mistral
from mistralai.client.errors import SDKError

from tests.support import gateway, http1, stage
from tests.support.dialects import ANTHROPIC, OPENAI, TEXT, Dialect
from tests.support.gateway import Gateway
from tests.support.stage import Stage

HELLO: Any = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def upstream() -> Generator[Stage, None, None]:
    with stage.running() as running:
        yield running


@pytest.fixture(scope="module")
def running(
    upstream: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Gateway, None, None]:
    config = '[server]\nlog_format = "json"\nenable_retries = false\n'
    for name in ("mistral", "anthropic"):
        config += f"""
[[providers]]
name = "{name}"
type = "{name}"
base_url = "{upstream.base_url}"
api_key = "sk-{name}-000000"
"""
    with gateway.running(config, tmp_path_factory.mktemp("mistral")) as started:
        yield started


@pytest.fixture(scope="module")
def client(running: Gateway) -> Generator[Mistral, None, None]:
    with httpx.Client(timeout=20.0, follow_redirects=True) as line:
        yield Mistral(api_key="unused", server_url=running.base_url, client=line)


BEHIND = pytest.mark.parametrize(
    ("dialect", "model"),
    [(OPENAI, "mistral/mistral-small-latest"), (ANTHROPIC, f"anthropic/{ANTHROPIC.model}")],
    ids=["mistral", "anthropic"],
)


@BEHIND
def test_a_whole_answer(client: Mistral, upstream: Stage, dialect: Dialect, model: str):
    upstream.play([http1.answer(200, dialect.answer("m"))])
    answer = client.chat.complete(model=model, messages=HELLO, max_tokens=9)
    assert answer.choices[0].message is not None
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == model


@BEHIND
def test_a_stream(client: Mistral, upstream: Stage, dialect: Dialect, model: str):
    upstream.play(http1.stream(*dialect.frames("m")))
    with client.chat.stream(model=model, messages=HELLO) as events:
        chunks = [event.data for event in events]
    text = "".join(str(choice.delta.content or "") for chunk in chunks for choice in chunk.choices)
    assert text == TEXT


def test_an_error(client: Mistral, upstream: Stage):
    with pytest.raises(SDKError) as caught:
        client.chat.complete(model="nobody/knows", messages=HELLO)
    assert caught.value.status_code == 404
    assert "nobody/knows" in caught.value.body
