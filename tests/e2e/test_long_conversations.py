"""Ten turns with reasoning and tools: what the target said comes back to it, to the byte.

The caller speaks another API than the target, and sends back what it got, as its API says. The
target is scripted: its answer of every turn has a signature and ids of its own, and what it is
sent in the last turn must be all of those, in their order.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import anthropic
import msgspec
import openai
import pytest

from tests.support import gateway, http1, stage
from tests.support.cases import case
from tests.support.gateway import Gateway
from tests.support.http1 import Request
from tests.support.stage import Stage
from tests.support.upstream import Part

TURNS = 10
CLAUDE = "anthropic/claude-sonnet-4-5"
GPT = "openai/gpt-5.6-sol"

CONFIG = """
[server]
log_format = "json"
enable_retries = false

[[providers]]
name = "openai"
type = "openai"
base_url = "{openai}"
api_key = "sk-upstream-openai-0"

[[providers]]
name = "anthropic"
type = "anthropic"
base_url = "{anthropic}"
api_key = "sk-upstream-anthropic-0"
"""

PARAMETERS = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

Json = dict[str, object]


@dataclass(frozen=True)
class Place:
    gateway: Gateway
    openai: Stage
    anthropic: Stage


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Generator[Place, None, None]:
    with stage.running() as first, stage.running() as second:
        config = CONFIG.format(openai=first.base_url, anthropic=second.base_url)
        with gateway.running(config, tmp_path_factory.mktemp("turns")) as made:
            yield Place(made, first, second)


# What Claude says in a turn: it thinks, says something, and calls two tools.


def claudes(turn: int) -> list[Json]:
    return [
        {"type": "thinking", "thinking": f"Thought {turn}: ünï\n", "signature": f"Sig{turn}+/=="},
        {"type": "redacted_thinking", "data": f"Redacted{turn}=="},
        {"type": "text", "text": f"Step {turn}."},
        {"type": "tool_use", "id": f"toolu_{turn}a", "name": "add", "input": {"n": turn}},
        {"type": "tool_use", "id": f"toolu_{turn}b", "name": "add", "input": {"n": -turn}},
    ]


def claude(request: Request) -> Sequence[Part]:
    asked = msgspec.json.decode(request.body)
    turn = sum(message["role"] == "assistant" for message in asked["messages"])
    message: Json = {
        "id": f"msg_{turn}",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": claudes(turn),
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 7},
    }
    if not asked.get("stream"):
        return [http1.answer(200, message)]
    return http1.stream(*_anthropic_frames(message))


def _anthropic_frames(message: Json) -> list[bytes]:
    blocks: list[Json] = message["content"]
    events: list[Json] = [{"type": "message_start", "message": {**message, "content": []}}]
    for index, block in enumerate(blocks):
        start, deltas = dict(block), []
        if block["type"] == "thinking":
            start |= {"thinking": "", "signature": ""}
            deltas = [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        elif block["type"] == "text":
            start["text"] = ""
            deltas = [{"type": "text_delta", "text": block["text"]}]
        elif block["type"] == "tool_use":
            start["input"] = {}
            text = msgspec.json.encode(block["input"]).decode()
            deltas = [{"type": "input_json_delta", "partial_json": text}]
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [{"type": "content_block_delta", "index": index, "delta": d} for d in deltas]
        events.append({"type": "content_block_stop", "index": index})
    ending = {"stop_reason": "tool_use", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ending, "usage": {"output_tokens": 7}})
    events.append({"type": "message_stop"})
    return [_frame(event) for event in events]


def _frame(event: Json) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), msgspec.json.encode(event))


# What OpenAI says: it reasons, says something, and calls two tools.


def gpts(turn: int) -> list[Json]:
    def call(letter: str, n: int) -> Json:
        return {
            "type": "function_call",
            "call_id": f"call_{turn}{letter}",
            "name": "add",
            "arguments": f'{{"n":{n}}}',
        }

    summary = [{"type": "summary_text", "text": f"Thought {turn}: ünï"}] if turn % 2 else []
    return [
        {
            "type": "reasoning",
            "id": f"rs_{turn}",
            "summary": summary,
            "encrypted_content": f"gAAAA{turn}:x+/==",
        },
        {"role": "assistant", "content": f"Step {turn}."},
        call("a", turn),
        call("b", -turn),
    ]


def gpt(request: Request) -> Sequence[Part]:
    assert request.target.endswith("/responses"), request.target
    asked = msgspec.json.decode(request.body)
    turn = sum(item.get("type") == "reasoning" for item in asked["input"])
    thought, said, *calls = gpts(turn)
    part = {"type": "output_text", "text": said["content"], "annotations": []}
    message = {"type": "message", "id": f"msg_{turn}", "role": "assistant", "content": [part]}
    done: Json = {"status": "completed"}
    output = [
        thought,
        {**message, **done},
        *[{**call, **done, "id": f"fc_{turn}{n}"} for n, call in enumerate(calls)],
    ]
    counts = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
    whole: Json = {
        "id": f"resp_{turn}",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt-5.6-sol",
        "output": output,
        "usage": counts,
    }
    if not asked.get("stream"):
        return [http1.answer(200, whole)]
    return http1.stream(*[_frame(event) for event in _responses_events(whole)])


def _responses_events(whole: Json) -> list[Json]:
    output: list[Json] = whole["output"]
    begun = {**whole, "status": "in_progress", "output": []}
    events: list[Json] = [{"type": "response.created", "response": begun}]
    for index, item in enumerate(output):
        place: Json = {"output_index": index, "item_id": item["id"]}
        start = dict(item)
        middle: list[Json] = []
        if item["type"] == "reasoning":
            start = {"type": "reasoning", "id": item["id"], "summary": []}
            for number, part in enumerate(item["summary"]):
                at = {**place, "summary_index": number}
                kind = "response.reasoning_summary_"
                middle.append({"type": f"{kind}part.added", **at, "part": {**part, "text": ""}})
                middle.append({"type": f"{kind}text.delta", **at, "delta": part["text"]})
                middle.append({"type": f"{kind}part.done", **at, "part": part})
        elif item["type"] == "message":
            (part,) = item["content"]
            start["content"] = []
            at = {**place, "content_index": 0}
            empty = {**part, "text": ""}
            middle.append({"type": "response.content_part.added", **at, "part": empty})
            middle.append({"type": "response.output_text.delta", **at, "delta": part["text"]})
            middle.append({"type": "response.content_part.done", **at, "part": part})
        else:
            start["arguments"] = ""
            delta = {"type": "response.function_call_arguments.delta", **place}
            middle.append({**delta, "delta": item["arguments"]})
        events.append({"type": "response.output_item.added", "output_index": index, "item": start})
        events += middle
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    events.append({"type": "response.completed", "response": whole})
    return events


# The callers. Each asks, and sends back what it got with the tools' results.


def by_responses(url: str, model: str, stream: bool) -> None:
    tool = {"type": "function", "name": "add", "parameters": PARAMETERS, "strict": False}
    turns: list[object] = [{"role": "user", "content": "Go."}]
    with closing(openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0)) as client:
        for _ in range(TURNS):
            said: Json = {
                "model": model,
                "input": turns,
                "tools": [tool],
                "store": False,
                "reasoning": {"effort": "high"},
                "include": ["reasoning.encrypted_content"],
            }
            if stream:
                with client.responses.stream(**said) as events:
                    answer = events.get_final_response()
            else:
                answer = client.responses.create(**said)
            turns += [item.model_dump(exclude_none=True) for item in answer.output]
            turns += [
                {"type": "function_call_output", "call_id": item.call_id, "output": "ok"}
                for item in answer.output
                if item.type == "function_call"
            ]


def by_chat(url: str, model: str, stream: bool) -> None:
    tool = {"type": "function", "function": {"name": "add", "parameters": PARAMETERS}}
    turns: list[Json] = [{"role": "user", "content": "Go."}]
    with closing(openai.OpenAI(base_url=f"{url}/v1", api_key="x", max_retries=0)) as client:
        for _ in range(TURNS):
            said: Json = {
                "model": model,
                "messages": turns,
                "tools": [tool],
                "reasoning_effort": "high",
            }
            if stream:
                message = _collected(client.chat.completions.create(**said, stream=True))
            else:
                answer = client.chat.completions.create(**said)
                message = answer.choices[0].message.model_dump(exclude_none=True)
            turns.append(message)
            turns += [
                {"role": "tool", "tool_call_id": call["id"], "content": "ok"}
                for call in message["tool_calls"]
            ]


def _collected(chunks: openai.Stream[object]) -> Json:
    """A message from its deltas, fields that the SDK does not know among them."""
    message: Json = {"role": "assistant", "content": "", "tool_calls": []}
    for chunk in chunks:
        value = chunk.model_dump(exclude_none=True)
        for choice in value["choices"]:
            delta = choice["delta"]
            message["content"] += delta.get("content", "")
            for name in ("reasoning_content",):
                if name in delta:
                    message[name] = message.get(name, "") + delta[name]
            message.setdefault("reasoning_details", []).extend(delta.get("reasoning_details", ()))
            for call in delta.get("tool_calls", ()):
                if "id" in call:
                    message["tool_calls"].append({**call, "function": dict(call["function"])})
                else:
                    function = message["tool_calls"][call["index"]]["function"]
                    function["arguments"] += call["function"]["arguments"]
    for call in message["tool_calls"]:
        del call["index"]
    return message


def by_anthropic(url: str, model: str, stream: bool) -> None:
    tool = {"name": "add", "input_schema": PARAMETERS}
    turns: list[Json] = [{"role": "user", "content": "Go."}]
    with closing(anthropic.Anthropic(base_url=url, api_key="x", max_retries=0)) as client:
        for _ in range(TURNS):
            said: Json = {
                "model": model,
                "messages": turns,
                "tools": [tool],
                "max_tokens": 4000,
                "thinking": {"type": "enabled", "budget_tokens": 2000},
            }
            if stream:
                with client.messages.stream(**said) as events:
                    answer = events.get_final_message()
            else:
                answer = client.messages.create(**said)
            content = [block.to_dict(exclude_none=True) for block in answer.content]
            turns.append({"role": "assistant", "content": content})
            results = [
                {"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}
                for block in content
                if block["type"] == "tool_use"
            ]
            turns.append({"role": "user", "content": results})


streams = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@case(1, 55, 56, 57)
@streams
@pytest.mark.parametrize("caller", [by_responses, by_chat], ids=["responses", "chat"])
def test_claude_gets_its_thinking_back(
    place: Place, caller: Callable[[str, str, bool], None], stream: bool
):
    place.anthropic.run(claude)
    caller(place.gateway.base_url, CLAUDE, stream)
    requests = [request.json() for request in place.anthropic.requests]
    assert len(requests) == TURNS
    expected: list[Json] = [{"role": "user", "content": "Go."}]
    for turn, sent in enumerate(requests):
        assert sent["messages"] == expected, f"turn {turn}"
        expected.append({"role": "assistant", "content": claudes(turn)})
        results = [
            {"type": "tool_result", "tool_use_id": f"toolu_{turn}{letter}", "content": "ok"}
            for letter in "ab"
        ]
        expected.append({"role": "user", "content": results})


@case(66)
@streams
@pytest.mark.parametrize("caller", [by_anthropic, by_chat], ids=["anthropic", "chat"])
def test_openai_gets_its_reasoning_back(
    place: Place, caller: Callable[[str, str, bool], None], stream: bool
):
    place.openai.run(gpt)
    caller(place.gateway.base_url, GPT, stream)
    requests = [request.json() for request in place.openai.requests]
    assert len(requests) == TURNS
    expected: list[Json] = [{"role": "user", "content": "Go."}]
    for turn, sent in enumerate(requests):
        assert sent["include"] == ["reasoning.encrypted_content"]
        assert sent["store"] is False
        assert [_plain(item) for item in sent["input"]] == expected, f"turn {turn}"
        expected += gpts(turn)
        expected += [
            {"type": "function_call_output", "call_id": f"call_{turn}{letter}", "output": "ok"}
            for letter in "ab"
        ]


def _plain(item: Json) -> Json:
    """An item whose message is one text, as one string."""
    content = item.get("content")
    if isinstance(content, list) and len(content) == 1:
        return {**item, "content": content[0]["text"]}
    return item
