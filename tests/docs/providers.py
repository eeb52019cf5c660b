"""The providers behind the examples: one server that speaks OpenAI's API and Anthropic's.

It says the same words to everybody, and calls a tool it is offered until it has a result.
"""

from collections.abc import Mapping, Sequence

import msgspec

from tests.support import http1
from tests.support.dialects import ANTHROPIC, INPUT_TOKENS, OPENAI
from tests.support.http1 import Request
from tests.support.upstream import Part

WORDS = ("It is sunny", " in Paris", ".")
TEXT = "".join(WORDS)


class _Asked(msgspec.Struct, frozen=True):
    """What of a request decides the answer."""

    model: str
    messages: list[msgspec.Raw]
    stream: bool = False
    tools: list[object] = []

    @property
    def has_result(self) -> bool:
        return b'"tool' in bytes(self.messages[-1])


class _Texts(msgspec.Struct, frozen=True):
    """Of a request for vectors."""

    input: list[str]


def play(request: Request) -> Sequence[Part]:
    """The script of the server."""
    if request.method == "GET":
        return [http1.answer(200, {"object": "list", "data": []})]
    if request.target.endswith("/count_tokens"):
        return [http1.answer(200, {"input_tokens": INPUT_TOKENS})]
    if "/audio/" in request.target:
        return [http1.answer(200, {"text": TEXT})]
    if request.target.endswith("/embeddings"):
        texts = msgspec.json.decode(request.body, type=_Texts).input
        data = [{"index": at, "embedding": [0.5, -1.0]} for at in range(len(texts))]
        return [http1.answer(200, {"object": "list", "data": data, "model": "up"})]
    asked = msgspec.json.decode(request.body, type=_Asked)
    calls_tool = bool(asked.tools) and not asked.has_result
    dialect = ANTHROPIC if request.target.endswith("/messages") else OPENAI
    if calls_tool:
        whole = msgspec.json.decode(dialect.answer(asked.model, ""), type=dict[str, object])
        calling = _anthropic_call if dialect is ANTHROPIC else _openai_call
        return [http1.answer(200, {**whole, **calling()})]
    if asked.stream:
        return http1.stream(*dialect.frames(asked.model, WORDS))
    return [http1.answer(200, dialect.answer(asked.model, TEXT))]


def _openai_call() -> Mapping[str, object]:
    function = {"name": "get_weather", "arguments": '{"city":"Paris"}'}
    call = {"id": "call_7", "type": "function", "function": function}
    message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}


def _anthropic_call() -> Mapping[str, object]:
    call = {"type": "tool_use", "id": "toolu_7", "name": "get_weather", "input": {"city": "Paris"}}
    return {"content": [call], "stop_reason": "tool_use"}
