import asyncio

import msgspec
import pytest

from modelmux.ingress import gemini
from modelmux.ingress.http import Answer, HttpRequest
from modelmux.provider.echo import Echo
from tests.unit.ingress.world import surface


class Named(Echo):
    name = "p/org/m:8b"  # type: ignore[assignment]


BODY = b'{"contents":[{"role":"user","parts":[{"text":"two words"}]}]}'


def ask(verb: str, query: bytes = b"", body: bytes = BODY) -> tuple[Answer, bytes]:
    async def asked() -> tuple[Answer, bytes]:
        surface_ = surface(Named(lambda: 1.0))
        door = gemini.doors(lambda: surface_, lambda: "made-1", lambda: 7.0)
        request = HttpRequest("POST", f"/v1beta/models/org/m:8b:{verb}", query, [], body, 0.0)
        request.parameters = {"id": f"org/m:8b:{verb}"}
        answer = await door(request)
        if isinstance(answer.body, bytes):
            return answer, answer.body
        return answer, b"".join([piece async for piece in answer.body])

    return asyncio.run(asked())


def content_type(answer: Answer) -> bytes:
    return dict(answer.headers)[b"content-type"].partition(b";")[0]


def test_the_path_says_model_and_verb() -> None:
    answer, body = ask("generateContent")
    told = msgspec.json.decode(body)
    assert answer.status == 200
    assert told["candidates"][0]["content"]["parts"] == [{"text": "two words"}]
    assert told["modelVersion"] == "org/m:8b"


@pytest.mark.parametrize(
    ("query", "type_"),
    [
        (b"alt=sse", b"text/event-stream"),
        (b"", b"application/json"),
        (b"key=x", b"application/json"),
    ],
)
def test_the_query_says_how_a_stream_is_framed(query: bytes, type_: bytes) -> None:
    answer, body = ask("streamGenerateContent", query)
    assert content_type(answer) == type_
    if type_ == b"application/json":
        assert len(msgspec.json.decode(body)) == 3
    else:
        assert body.count(b"data: ") == 3


def test_tokens_are_counted() -> None:
    _, body = ask("countTokens")
    assert msgspec.json.decode(body)["totalTokens"] > 0


def test_a_body_that_is_none_is_refused_in_google_s_words() -> None:
    answer, body = ask("generateContent", body=b"[]")
    assert answer.status == 400
    assert msgspec.json.decode(body)["error"]["status"] == "INVALID_ARGUMENT"
