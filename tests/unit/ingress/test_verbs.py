import asyncio

import pytest

from modelmux.errors import NotFound
from modelmux.ingress.http import Answer, HttpRequest, text
from modelmux.ingress.verbs import Verbs


def ask(rest: str) -> str:
    async def say(request: HttpRequest) -> Answer:
        return text(f"{request.parameters['verb']} of {request.parameters['model']}")

    request = HttpRequest("POST", f"/v1beta/models/{rest}", b"", [], b"", 0.0)
    request.parameters = {"id": rest}
    answer = asyncio.run(Verbs({"generateContent": say, "countTokens": say})(request))
    assert isinstance(answer.body, bytes)
    return answer.body.decode()


def test_the_path_names_model_and_verb() -> None:
    assert ask("m:countTokens") == "countTokens of m"


def test_a_model_may_hold_slashes_and_colons() -> None:
    assert ask("ollama/llama3:8b:generateContent") == "generateContent of ollama/llama3:8b"


@pytest.mark.parametrize("rest", ["m", "m:unknown", ":generateContent", "m:"])
def test_an_unknown_verb_is_refused_with_those_there_are(rest: str) -> None:
    with pytest.raises(NotFound, match=":generateContent, :countTokens"):
        ask(rest)
