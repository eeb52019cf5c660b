import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest, Unrepresentable
from modelmux.ir.parts import (
    Blob,
    CacheControl,
    Citation,
    Generic,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import GenericTool, Message, Request, Tool, ToolChoice
from modelmux.wire.ollama_chat import request_encode
from tests.support.cases import case
from tests.support.foreign import answered, assistant, called, plain, request, said, user


def body(asked: Request, profile: Profile = UNKNOWN) -> dict[str, object]:
    return msgspec.json.decode(request_encode.encode_chat(asked, profile).body)


def messages(*given: Message, profile: Profile = UNKNOWN) -> list[dict[str, object]]:
    return body(request(*given), profile)["messages"]  # type: ignore[return-value]


def lost(asked: Request, profile: Profile = UNKNOWN) -> list[str]:
    return [loss.path for loss in request_encode.encode_chat(asked, profile).losses]


@case(4, 5, 6, 9)
def test_messages_stay_in_their_order() -> None:
    got = messages(
        plain("developer", "s"), user("a"), user(""), assistant("b"), plain("system", "t")
    )
    assert got == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "system", "content": "t"},
    ]


@case(1, 20, 32)
def test_calls_and_results_are_messages() -> None:
    failed = said("user", ToolResult("2", (Text("boom"),), is_error=True))
    asked = said(
        "assistant",
        ToolCall("1", "f", '{"a":1}'),
        ToolCall("2", "g", "free", custom=True),
        Text("wait"),
    )
    assert messages(user(), asked, answered("1"), failed)[1:] == [
        {
            "role": "assistant",
            "content": "wait",
            "tool_calls": [
                {"id": "1", "function": {"name": "f", "arguments": {"a": 1}}},
                {"id": "2", "function": {"name": "g", "arguments": {"input": "free"}}},
            ],
        },
        {"role": "tool", "content": "ok", "tool_name": "f", "tool_call_id": "1"},
        {"role": "tool", "content": "Error: boom", "tool_name": "g", "tool_call_id": "2"},
    ]


@case(20, 36)
def test_contradictions_are_refused_by_name() -> None:
    for given, words in (
        ((user(), called("1", arguments="{")), "not a JSON object"),
        ((user(), called("1", "1")), "two tool calls"),
        ((user(), answered("1")), "waits for a result"),
        ((user(), called("1"), answered("1"), answered("1")), "waits for a result"),
        ((user(), called("1")), "no result"),
        ((user(), called("1"), assistant()), "no result"),
    ):
        with pytest.raises(InvalidRequest, match=words):
            messages(*given)


@case(67, 71)
def test_images_go_by_value_and_other_media_not() -> None:
    image = Blob("image", "image/png", "eA==")
    assert messages(said("user", Text("see"), image)) == [
        {"role": "user", "images": ["eA=="], "content": "see"}
    ]
    for part in (
        Blob("audio", "audio/wav", "eA=="),
        Uri("image", "https://x/a.png"),
        Generic("x", "other", Raw(b"{}")),
    ):
        losses = request_encode.encode_chat(request(user(), said("user", part)), UNKNOWN).losses
        assert [loss.kind for loss in losses] == ["content"]
    blind = Profile(input_modalities=frozenset())
    assert lost(request(said("user", image)), blind) == ["/messages/0/parts/0"]


@case(31)
def test_images_of_a_result_stay_with_it() -> None:
    seen = ToolResult("1", (Text("see"), Blob("image", "image/png", "eA==", "n")))
    asked = request(user(), called("1"), said("user", seen))
    assert body(asked)["messages"][2]["images"] == ["eA=="]  # type: ignore[index]
    assert lost(asked) == ["/messages/2/parts/0/parts/1/detail"]


@case(12, 58, 63)
def test_what_has_no_word_is_declared_or_said_in_words() -> None:
    parts: tuple[Part, ...] = (
        Reasoning("hm", origin="ollama.chat"),
        Reasoning("hm", "s", origin="gemini"),
        Text("a", (Citation("https://x"),), CacheControl()),
        Refusal("b"),
    )
    assert lost(request(user(), said("assistant", *parts))) == [
        "/messages/1/parts/1",
        "/messages/1/parts/2/cache_control",
        "/messages/1/parts/2/citations",
    ]
    assert messages(user(), said("assistant", *parts))[1] == {
        "role": "assistant",
        "thinking": "hm",
        "content": "ab",
    }
    assert messages(replace(user(), name="Ann"))[0]["content"] == "Ann: hi"
    assert lost(request(user(), replace(assistant(), name="Bo"))) == ["/messages/1/name"]


@case(14, 18, 33, 34)
def test_tools_are_offered_or_not() -> None:
    own = GenericTool("web_search", "web_search", "openai.responses", Raw(b"{}"))
    tools = (
        Tool("f", "d", Raw(b'{"type":"object"}')),
        Tool("g", strict=True, cache_control=CacheControl()),
        own,
    )
    asked = replace(request(user()), tools=tools, parallel_tool_calls=False)
    assert body(asked)["tools"][0] == {  # type: ignore[index]
        "type": "function",
        "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
    }
    assert lost(asked) == [
        "/parallel_tool_calls",
        "/tools/1/strict",
        "/tools/1/cache_control",
        "/tools/2",
    ]

    def offered(choice: ToolChoice) -> list[str]:
        chosen = body(replace(request(user()), tools=tools[:2], tool_choice=choice))
        return [tool["function"]["name"] for tool in chosen.get("tools", ())]  # type: ignore[attr-defined]

    assert offered(ToolChoice("none")) == []
    assert offered(ToolChoice("auto")) == ["f", "g"]
    assert offered(ToolChoice("named", ("g",))) == ["g"]
    assert offered(ToolChoice("allowed", ("f",))) == ["f"]
    forced = replace(request(user()), tools=tools[:1], tool_choice=ToolChoice("required"))
    assert lost(forced) == ["/tool_choice"]
    assert lost(forced, Profile(tools=False)) == ["/tools"]


@case(49)
def test_several_answers_are_refused() -> None:
    for encode in (request_encode.encode_chat, request_encode.encode_generate):
        with pytest.raises(Unrepresentable, match="one answer"):
            encode(replace(request(user()), choices=2), UNKNOWN)


def test_a_prompt_can_be_generated_for_and_a_conversation_not() -> None:
    asked = request(
        plain("system", "s"), said("user", Text("hi"), Blob("image", "image/png", "eA=="))
    )
    encoded = request_encode.encode_generate(asked, UNKNOWN)
    assert msgspec.json.decode(encoded.body) == {
        "model": "m",
        "prompt": "hi",
        "system": "s",
        "images": ["eA=="],
        "stream": False,
    }
    for given in (
        request(user(), assistant(), user()),
        request(assistant()),
        replace(request(user()), tools=(Tool("f"),)),
    ):
        with pytest.raises(Unrepresentable, match="one prompt"):
            request_encode.encode_generate(given, UNKNOWN)
