import pytest
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import (
    Blob,
    CacheControl,
    Citation,
    Extra,
    Generic,
    Part,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Message
from modelmux.wire.openai.names import Names
from modelmux.wire.openai_chat import WIRE
from modelmux.wire.openai_chat.message_encode import ERROR_PREFIX, MOVED, Writer
from modelmux.wire.openai_chat.schema import NAME
from tests.support import foreign
from tests.support.cases import case
from tests.support.foreign import answered, called, plain, said
from tests.unit.wire.openai_chat.chat import PNG, again, body, lost, paths, user

IMAGE = Blob("image", "image/png", PNG)
IMAGE_PART = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}


def written(
    *messages: Message, profile: Profile = UNKNOWN, lost_paths: tuple[str, ...] = ()
) -> list[object]:
    writer = Writer(foreign.request(*messages), profile, Names())
    writer.write()
    assert lost(writer.losses) == list(lost_paths)
    return writer.messages


def same(*messages: object) -> object:
    return again(*messages)["messages"]


@case(4, 5)
def test_system_messages_stay_where_they_are() -> None:
    out = written(plain("system", "a"), plain("user", "b"), plain("developer", "c"))
    assert [m["role"] for m in out] == ["system", "user", "system"]


@case(5)
def test_a_model_that_wants_developers_gets_them() -> None:
    out = written(
        plain("system", "a"), plain("developer", "b"), profile=Profile(developer_role=True)
    )
    assert [m["role"] for m in out] == ["developer", "developer"]


@case(6)
def test_turns_of_the_same_role_are_not_merged() -> None:
    assert len(written(plain("user", "a"), plain("user", "b"))) == 2


def test_one_text_is_a_string_whatever_it_was() -> None:
    assert written(said("user", Text("hi"))) == [user("hi")]


def test_several_texts_of_a_user_stay_apart() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert written(said("user", Text("a"), Text(""), Text("b"))) == [user(parts)]


@case(11)
def test_texts_of_an_answer_are_one() -> None:
    out = written(
        said("assistant", Text("It is "), Text("so", (Citation("u"),))),
        lost_paths=("/messages/0/parts/1/citations",),
    )
    assert out == [{"role": "assistant", "content": "It is so"}]


@case(9)
@pytest.mark.parametrize("role", ["user", "assistant", "system"])
def test_a_message_of_which_nothing_is_left_is_dropped(role: str) -> None:
    assert written(said(role), said(role, Text("")), plain(role, "x")) == [
        {"role": role, "content": "x"}
    ]


def test_a_name_is_kept() -> None:
    assert written(Message("user", (Text("hi"),), "ada", bare=True)) == [
        {**user("hi"), "name": "ada"}
    ]


@case(1, 2)
def test_results_are_messages_of_their_own_before_what_the_user_says() -> None:
    results = said(
        "user", Text("and?"), ToolResult("b", (Text("2"),)), ToolResult("a", (Text("1"),))
    )
    out = written(called("a", "b"), results)
    assert out[1:] == [
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        user("and?"),
    ]


@case(27)
def test_results_follow_the_order_of_the_calls() -> None:
    out = written(called("a", "b", "c"), said("user", *(ToolResult(i) for i in ("c", "a", "b"))))
    assert [m["tool_call_id"] for m in out[1:]] == ["a", "b", "c"]


@case(36)
def test_a_result_that_answers_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="'b' answers no tool call"):
        written(called("a"), answered("b"))


@case(36)
def test_ids_that_match_are_left_alone() -> None:
    out = written(
        called("toolu_01-x"), answered("toolu_01-x"), called("toolu_01-x"), answered("toolu_01-x")
    )
    assert [m.get("tool_call_id") for m in out] == [None, "toolu_01-x", None, "toolu_01-x"]


@case(31)
def test_images_of_results_move_behind_all_results() -> None:
    first = ToolResult("a", (Text("see"), IMAGE))
    second = ToolResult("b", (IMAGE,))
    out = written(called("a", "b"), said("user", first), said("user", second, Text("and?")))
    label = "Attached to the result of {}:"
    assert out[1:] == [
        {"role": "tool", "tool_call_id": "a", "content": "see"},
        {"role": "tool", "tool_call_id": "b", "content": MOVED},
        user(
            [
                {"type": "text", "text": label.format("a")},
                IMAGE_PART,
                {"type": "text", "text": label.format("b")},
                IMAGE_PART,
                {"type": "text", "text": "and?"},
            ]
        ),
    ]


@case(31)
def test_images_of_results_get_a_message_where_no_user_speaks() -> None:
    results = said("user", ToolResult("a", (IMAGE,)))
    out = written(called("a"), results, plain("assistant", "ok"))
    assert [m["role"] for m in out] == ["assistant", "tool", "user", "assistant"]
    assert written(called("a"), results)[-1]["content"][1] == IMAGE_PART


@case(31)
def test_images_of_results_join_what_a_user_says_in_parts() -> None:
    results = said("user", ToolResult("a", (IMAGE,)))
    out = written(called("a"), results, said("user", IMAGE, Text("x")))
    assert [part["type"] for part in out[-1]["content"]] == [
        "text",
        "image_url",
        "image_url",
        "text",
    ]


@case(31)
def test_a_part_of_a_result_that_the_api_has_no_place_for_is_a_loss() -> None:
    part = Generic("tool_reference", "anthropic.messages", Raw(b"{}"))
    out = written(
        called("a"),
        said("user", ToolResult("a", (part,))),
        lost_paths=("/messages/1/parts/0/parts/0",),
    )
    assert out[1]["content"] == ""


@case(32)
@pytest.mark.parametrize(
    ("parts", "content"),
    [
        ((), ERROR_PREFIX),
        ((Text("no file"),), f"{ERROR_PREFIX}no file"),
        (
            (Text("a"), Text("b")),
            [{"type": "text", "text": f"{ERROR_PREFIX}a"}, {"type": "text", "text": "b"}],
        ),
    ],
)
def test_a_result_that_is_an_error_says_so(parts: tuple[Text, ...], content: object) -> None:
    out = written(called("a"), said("user", ToolResult("a", parts, is_error=True)))
    assert out[1]["content"] == content


@case(20)
def test_invalid_arguments_in_history_are_passed_on_as_the_model_wrote_them() -> None:
    (message,) = written(called("a", arguments='{"x": '))
    assert message["tool_calls"][0]["function"]["arguments"] == '{"x": '


@case(29)
def test_calls_use_the_names_that_their_tools_have_here() -> None:
    (message,) = written(called("a", name="mcp.read"))
    assert message["tool_calls"][0]["function"]["name"] == "mcp_read"


@case(58)
@pytest.mark.parametrize(
    "thought",
    [
        Reasoning("hm", "sig", origin="anthropic.messages"),
        Reasoning("hm", origin="anthropic.messages"),
        Reasoning(encrypted="enc", origin="anthropic.messages"),
        Reasoning("hm"),
    ],
)
def test_reasoning_of_another_wire_is_not_replayed(thought: Reasoning) -> None:
    out = written(said("assistant", thought, Text("So")), lost_paths=("/messages/0/parts/0",))
    assert out == [{"role": "assistant", "content": "So"}]


@case(9, 58)
def test_a_turn_of_foreign_reasoning_alone_is_dropped() -> None:
    thought = Reasoning("hm", origin="anthropic.messages")
    assert written(said("assistant", thought), lost_paths=("/messages/0/parts/0",)) == []


@case(61)
def test_reasoning_of_this_wire_is_replayed() -> None:
    out = written(said("assistant", Reasoning("hm", origin=NAME), Text("So")))
    assert out == [{"role": "assistant", "content": "So", "reasoning_content": "hm"}]


@case(61)
@pytest.mark.parametrize(
    ("thoughts", "content", "lost_paths"),
    [
        ((), "", ()),
        ((Reasoning("hm", "sig", origin="anthropic.messages"),), "hm", ()),
        ((Reasoning(encrypted="e", origin="anthropic.messages"),), "", ("/messages/0/parts/0",)),
        ((Reasoning("mine", origin=NAME),), "mine", ()),
    ],
)
def test_a_model_that_asks_for_reasoning_gets_it_with_calls(
    thoughts: tuple[Part, ...], content: str, lost_paths: tuple[str, ...]
) -> None:
    profile = Profile(reasoning_replay=True)
    message = said("assistant", *thoughts, ToolCall("a", "f", "{}"))
    (out,) = written(message, profile=profile, lost_paths=lost_paths)
    assert out["reasoning_content"] == content


def test_a_model_that_asks_for_reasoning_needs_none_without_calls() -> None:
    (out,) = written(plain("assistant", "So"), profile=Profile(reasoning_replay=True))
    assert "reasoning_content" not in out


@case(76)
def test_a_refusal_is_said_as_one() -> None:
    out = written(said("assistant", Refusal("no"), Refusal(" way")))
    assert out == [{"role": "assistant", "refusal": "no way"}]


@case(33)
@pytest.mark.parametrize(
    "part",
    [
        ServerToolCall("s1", "web_search", "{}"),
        ServerToolResult("s1", "web_search_tool_result", "anthropic.messages", Raw(b"{}")),
        IMAGE,
        Uri("image", "https://a.example"),
        Generic("x", "anthropic.messages", Raw(b"{}")),
    ],
    ids=lambda part: type(part).__name__,
)
def test_what_has_no_place_in_an_answer_is_a_loss_of_content(part: Part) -> None:
    writer = Writer(foreign.request(said("assistant", Text("So"), part)), UNKNOWN, Names())
    writer.write()
    assert writer.messages == [{"role": "assistant", "content": "So"}]
    assert [(loss.path, loss.kind) for loss in writer.losses] == [
        ("/messages/0/parts/1", "content")
    ]


@case(63)
def test_markers_and_fields_of_another_wire_are_lost_everywhere() -> None:
    kept = Extra("other", {"/x": Raw(b"1")}, "/there")
    cache = CacheControl()
    written(
        replace(plain("user", "hi"), extra=kept),
        said("user", Text("hi", cache_control=cache)),
        said("assistant", ToolCall("a", "f", "{}", cache_control=cache, extra=kept)),
        said("user", ToolResult("a", (Text("1", cache_control=cache),), cache_control=cache)),
        lost_paths=(
            "/there/x",
            "/messages/1/parts/0/cache_control",
            "/messages/2/parts/0/cache_control",
            "/there/x",
            "/messages/3/parts/0/parts/0/cache_control",
            "/messages/3/parts/0/cache_control",
        ),
    )


@pytest.mark.parametrize(
    "message",
    [
        user("hi"),
        user(""),
        user([]),
        user([{"type": "text", "text": "hi"}]),
        {"role": "developer", "content": "hi"},
        {
            "role": "system",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": ""}],
        },
        {"role": "assistant"},
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": []},
        {"role": "assistant", "content": [{"type": "text", "text": "a"}], "name": "bob"},
        {"role": "assistant", "refusal": "no"},
        {"role": "assistant", "content": "So", "refusal": "no"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "a"}], "refusal": "no"},
        {"role": "assistant", "audio": {"id": "a1"}},
        {"role": "assistant", "content": "So", "annotations": [{"type": "file"}]},
        {"role": "assistant", "content": "So", "images": [IMAGE_PART]},
        {"role": "assistant", "content": "So", "reasoning": "hm", "reasoning_details": [{"a": 1}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}]},
        {"role": "user", "content": "hi", "cache_control": {"type": "ephemeral", "x": 1}},
    ],
)
@case(6, 9, 36, 54)
def test_a_message_of_this_wire_goes_back_as_it_came(message: object) -> None:
    assert same(message) == [message]


@case(13)
def test_function_calls_go_back_as_function_calls() -> None:
    messages = [
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
        {"role": "assistant", "function_call": {"name": "g", "arguments": "{}"}},
        {"role": "function", "name": "g", "content": "2"},
    ]
    assert same(*messages) == messages


@case(13)
def test_an_odd_name_on_a_functions_result_goes_back() -> None:
    messages = [
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "h", "content": "1"},
    ]
    assert same(*messages) == messages


@case(36)
def test_a_result_of_this_wire_that_answers_nothing_is_the_targets_to_refuse() -> None:
    messages = [{"role": "tool", "tool_call_id": "x", "content": [{"type": "text", "text": "1"}]}]
    assert same(*messages) == messages


@case(58)
def test_reasoning_that_another_wire_gave_is_not_replayed_to_this_one() -> None:
    detail = {"type": "reasoning.text", "text": "hm", "signature": "s"}
    given = {
        "role": "assistant",
        "content": "So",
        "reasoning_content": "hm",
        "reasoning_details": [{**detail, "format": "modelmux/anthropic.messages"}],
    }
    result = WIRE.encode_request(WIRE.decode_request(body(given)))
    assert paths(result) == [("/messages/0/parts/0", "tuning")]
    assert b"reasoning" not in result.body
