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
    messages: list[msgspec.Raw] = []
    input: list[msgspec.Raw] | str = ""
    stream: bool = False
    tools: list[object] = []

    @property
    def has_result(self) -> bool:
        said = self.messages or self.input
        return not isinstance(said, str) and any(
            word in bytes(said[-1]) for word in (b'"tool', b'"function_call_output')
        )


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
    if request.target.endswith("/responses"):
        return _responses(asked, calls_tool=calls_tool)
    dialect = ANTHROPIC if request.target.endswith("/messages") else OPENAI
    if calls_tool:
        whole = msgspec.json.decode(dialect.answer(asked.model, ""), type=dict[str, object])
        calling = _anthropic_call if dialect is ANTHROPIC else _openai_call
        return [http1.answer(200, {**whole, **calling()})]
    if asked.stream:
        return http1.stream(*dialect.frames(asked.model, WORDS))
    return [http1.answer(200, dialect.answer(asked.model, TEXT))]


def _responses(asked: _Asked, *, calls_tool: bool) -> Sequence[Part]:
    item: dict[str, object] = {
        "type": "message",
        "id": "msg_7",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
    }
    if calls_tool:
        item = {
            "type": "function_call",
            "id": "fc_7",
            "status": "completed",
            "call_id": "call_7",
            "name": "get_weather",
            "arguments": '{"city":"Paris"}',
        }
    whole = {
        "id": "resp_7",
        "object": "response",
        "created_at": 1795000000,
        "status": "completed",
        "model": asked.model,
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": INPUT_TOKENS,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": INPUT_TOKENS + 7,
        },
    }
    if not asked.stream:
        return [http1.answer(200, whole)]
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    place = {"item_id": "msg_7", "output_index": 0, "content_index": 0}
    deltas = [{"type": "response.output_text.delta", **place, "delta": word} for word in WORDS]
    events = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        *([] if calls_tool else deltas),
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return http1.stream(
        *[
            b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), msgspec.json.encode(event))
            for event in events
        ]
    )


def _openai_call() -> Mapping[str, object]:
    function = {"name": "get_weather", "arguments": '{"city":"Paris"}'}
    call = {"id": "call_7", "type": "function", "function": function}
    message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}


def _anthropic_call() -> Mapping[str, object]:
    call = {"type": "tool_use", "id": "toolu_7", "name": "get_weather", "input": {"city": "Paris"}}
    return {"content": [call], "stop_reason": "tool_use"}
