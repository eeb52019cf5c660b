import asyncio
from collections.abc import Mapping

import msgspec
import pytest

from modelmux.ingress import ollama
from modelmux.ingress.http import Answer, HttpRequest
from modelmux.ingress.surface import ModelRow
from modelmux.provider.echo import Echo
from modelmux.target.call import Caller
from tests.support.cases import case
from tests.unit.ingress.world import surface

ROWS = [ModelRow("m", ("p/m",), 1_700_000_000, 8192)]


class Named(Echo):
    name = "p/m"  # type: ignore[assignment]


def ask(
    path: str, body: object = None, *, keys: Mapping[str, Caller] | None = None
) -> tuple[Answer, bytes]:
    async def asked() -> tuple[Answer, bytes]:
        surface_ = surface(Named(lambda: 1.0), rows=ROWS, keys=keys)
        doors = ollama.doors(lambda: surface_, lambda: "made-1", lambda: 7.0)
        (door,) = doors[path].values()
        raw = msgspec.json.encode(body) if body is not None else b""
        answer = await door(HttpRequest("POST", path, b"", [], raw, 0.0))
        if isinstance(answer.body, bytes):
            return answer, answer.body
        return answer, b"".join([piece async for piece in answer.body])

    return asyncio.run(asked())


def said(path: str, body: object = None) -> dict[str, object]:
    return msgspec.json.decode(ask(path, body)[1])


def test_a_chat_streams_lines_unless_it_is_told_not_to() -> None:
    asked = {"model": "m", "messages": [{"role": "user", "content": "two words"}]}
    answer, body = ask("/api/chat", asked)
    assert dict(answer.headers)[b"content-type"] == b"application/x-ndjson"
    lines = [msgspec.json.decode(line) for line in body.splitlines()]
    assert "".join(line["message"]["content"] for line in lines) == "two words"
    assert [line["done"] for line in lines] == [False, False, True]
    whole = said("/api/chat", {**asked, "stream": False})
    assert whole["message"] == {"role": "assistant", "content": "two words"}
    assert whole["model"] == "m"


def test_a_prompt_is_generated_for() -> None:
    whole = said("/api/generate", {"model": "m", "prompt": "two words", "stream": False})
    assert whole["response"] == "two words"


@case(109)
def test_models_are_listed_and_shown() -> None:
    (model,) = said("/api/tags")["models"]  # type: ignore[misc]
    assert (model["name"], model["modified_at"]) == ("m", "2023-11-14T22:13:20Z")
    for body in ({"model": "m"}, {"name": "m"}):
        shown = said("/api/show", body)
        assert shown["model_info"]["modelmux.context_length"] == 8192  # type: ignore[index]
        assert shown["capabilities"] == ["completion", "tools"]


def test_what_is_loaded_is_not_known_and_the_version_is_the_api_s() -> None:
    assert said("/api/ps") == {"models": []}
    assert said("/api/version") == {"version": ollama.API_VERSION}


@pytest.mark.parametrize(("body", "status"), [({"model": "other"}, 404), ({}, 400), ([], 400)])
def test_what_cannot_be_shown_is_refused_in_ollama_s_words(body: object, status: int) -> None:
    answer, raw = ask("/api/show", body)
    assert answer.status == status
    assert isinstance(msgspec.json.decode(raw)["error"], str)


def test_a_key_is_needed_where_there_are_keys() -> None:
    assert ask("/api/tags", keys={"k": Caller("k")})[0].status == 401
