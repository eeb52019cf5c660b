"""Embeddings through OpenAI's SDK, from an emulator and from a scripted upstream."""

import openai
import pytest

from tests.sdk.conftest import Behind
from tests.support import http1
from tests.support.aimock import Aimock
from tests.support.dialects import ANTHROPIC, OPENAI
from tests.support.sdks import Sdk

OpenAI = Sdk[openai.OpenAI]

MOCKED = "openai-mock/unused-embedder"


def vectors(*items: object) -> list[bytes]:
    data = [{"object": "embedding", "index": at, "embedding": i} for at, i in enumerate(items)]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    return [http1.answer(200, {"object": "list", "data": data, "model": "up", "usage": usage})]


def test_every_text_gets_its_vector(openai_sdk: OpenAI, aimock: Aimock):
    aimock.add({"match": {"inputText": "three"}, "response": {"embedding": [0.25, -1.0]}})
    texts = ["one", "two", "three"]
    answer = openai_sdk.do(lambda client: client.embeddings.create(model=MOCKED, input=texts))
    assert [item.embedding for item in answer.data] == [[0.25, -1.0]] * 3


def test_numbers_come_through_exactly_in_the_form_the_sdk_asks_for(
    behind: Behind, openai_sdk: OpenAI
):
    behind.openai.play(vectors("AACAPwAAAMA="))
    model = behind.unused(OPENAI)
    answer = openai_sdk.do(lambda client: client.embeddings.create(model=model, input="x"))
    assert answer.data[0].embedding == [1.0, -2.0]
    assert answer.usage.prompt_tokens == 4
    sent = behind.openai.request
    assert sent.target == "/v1/embeddings"
    assert sent.json()["encoding_format"] == "base64"
    assert sent.json()["model"] == model.partition("/")[2]


def test_a_refusal_is_the_sdks_error(behind: Behind, openai_sdk: OpenAI):
    behind.openai.play([http1.answer(400, OPENAI.error("invalid_request_error", "too long"))])
    with pytest.raises(openai.BadRequestError, match="too long"):
        openai_sdk.do(
            lambda client: client.embeddings.create(model=behind.unused(OPENAI), input="x")
        )


def test_who_has_no_embeddings_is_named(behind: Behind, openai_sdk: OpenAI):
    model = behind.unused(ANTHROPIC)
    with pytest.raises(openai.UnprocessableEntityError, match="does not offer embeddings"):
        openai_sdk.do(lambda client: client.embeddings.create(model=model, input="x"))
    assert behind.anthropic.requests == []


def test_a_wrong_input_is_refused_by_name_where_it_is_read(behind: Behind, openai_sdk: OpenAI):
    with pytest.raises(openai.BadRequestError) as caught:
        openai_sdk.do(
            lambda client: client.embeddings.create(
                model="openai-played/unused-small", input="x", extra_body={"model": 3}
            )
        )
    assert caught.value.param == "model"
