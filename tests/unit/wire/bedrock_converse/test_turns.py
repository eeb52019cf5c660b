from typing import Any

import msgspec
import pytest

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import (
    Blob,
    CacheControl,
    Citation,
    File,
    Generic,
    Part,
    Reasoning,
    Refusal,
    ServerToolCall,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Loss, Message, Role
from modelmux.wire.bedrock_converse.turns import Conversation
from modelmux.wire.tool_names import ToolNames
from tests.support.cases import case

PNG = Blob("image", "image/png", "aWltYWdl")
PDF = Blob("document", "application/pdf", "JVBERi0=", "a.pdf")


def said(role: Role, *parts: Part, **more: Any) -> Message:
    return Message(role, parts, **more)


def told(
    *messages: Message, profile: Profile = UNKNOWN
) -> tuple[list[dict[str, Any]], list[str], list[dict[str, Any]]]:
    """Turns, paths of losses (content marked by !), and the system's blocks."""
    losses: list[Loss] = []
    conversation = Conversation(ToolNames([]), profile, losses)
    for index, message in enumerate(messages):
        conversation.add(message, index)
    conversation.close()
    turns = msgspec.json.decode(msgspec.json.encode(conversation.messages()))
    marked = [loss.path + "!" * (loss.kind == "content") for loss in losses]
    return turns, marked, msgspec.json.decode(msgspec.json.encode(conversation.system))


def refusal(*messages: Message, profile: Profile = UNKNOWN) -> str:
    with pytest.raises(InvalidRequest) as caught:
        told(*messages, profile=profile)
    return caught.value.message


def call(id_: str, arguments: str = "{}") -> ToolCall:
    return ToolCall(id_, "f", arguments)


def result(id_: str, *parts: Text | Blob, **more: Any) -> ToolResult:
    return ToolResult(id_, parts, **more)


@case(1, 2, 27)
def test_results_of_parallel_calls_are_one_turn_in_the_order_of_the_calls():
    turns, _, _ = told(
        said("user", Text("go")),
        said("assistant", call("a"), call("b")),
        said("user", result("b", Text("2"))),
        said("user", result("a", Text("1")), Text("well?")),
    )
    ids = [block["toolResult"]["toolUseId"] for block in turns[2]["content"][:2]]
    assert ids == ["a", "b"]
    assert turns[2]["content"][2] == {"text": "well?"}


@case(3)
@pytest.mark.parametrize(
    ("profile", "turns"),
    [
        (Profile(), 3),
        (Profile(beside_tool_results="text_and_images"), 5),
        (Profile(beside_tool_results="nothing"), 5),
    ],
)
def test_what_may_not_stand_beside_results_is_a_turn_of_its_own(profile: Profile, turns: int):
    found, _, _ = told(
        said("user", Text("go")),
        said("assistant", call("a")),
        said("user", result("a", Text("1")), PDF),
        profile=profile,
    )
    assert len(found) == turns
    if turns == 5:
        assert [list(block) for block in found[2]["content"]] == [["toolResult"]]
        assert found[3] == {"role": "assistant", "content": [{"text": "."}]}
        assert [list(block) for block in found[4]["content"]] == [["document"], ["text"]]


@case(3)
def test_text_may_stand_beside_results_for_claude():
    found, _, _ = told(
        said("user", Text("go")),
        said("assistant", call("a")),
        said("user", result("a", Text("1")), Text("and?")),
        profile=Profile(beside_tool_results="text_and_images"),
    )
    assert len(found) == 3


@case(4)
def test_a_system_message_in_mid_conversation_is_said_first_and_named():
    turns, losses, system = told(
        said("system", Text("a")), said("user", Text("x")), said("developer", Text("b"))
    )
    assert system == [{"text": "a"}, {"text": "b"}]
    assert losses == ["/messages/2"]
    assert len(turns) == 1


@case(6)
def test_turns_of_one_side_are_one():
    turns, _, _ = told(said("user", Text("a")), said("user", Text("b")))
    assert turns == [{"role": "user", "content": [{"text": "a"}, {"text": "b"}]}]


@case(7, 8)
@pytest.mark.parametrize("first", [said("assistant", Text("hi")), said("system", Text("s"))])
def test_a_user_speaks_first(first: Message):
    turns, _, _ = told(first)
    assert turns[0] == {"role": "user", "content": [{"text": "."}]}


@case(9)
def test_empty_text_and_white_space_are_left_out():
    turns, losses, _ = told(said("user", Text(""), Text("a"), Text(" \n")))
    assert turns == [{"role": "user", "content": [{"text": "a"}]}]
    assert losses == ["/messages/0/parts/2"]


@case(10)
def test_an_answer_that_is_begun_loses_its_last_white_space():
    turns, _, _ = told(said("user", Text("a")), said("assistant", Text("So ")))
    assert turns[-1] == {"role": "assistant", "content": [{"text": "So"}]}


@case(10)
def test_a_model_that_does_not_go_on_with_an_answer_refuses_one():
    message = refusal(
        said("user", Text("a")), said("assistant", Text("So")), profile=Profile(prefill=False)
    )
    assert "end the conversation with the user" in message


@case(12)
def test_a_speakers_name_is_said_in_words():
    turns, losses, _ = told(said("user", Text("hi"), name="Ann"))
    assert turns[0]["content"] == [{"text": "Ann:"}, {"text": "hi"}]
    assert losses == ["/messages/0/name"]


@case(20)
def test_arguments_are_an_object_and_nothing_is_an_empty_one():
    turns, _, _ = told(
        said("user", Text("a")),
        said("assistant", call("a", ""), call("b", '{"x":1}')),
        said("user", result("a"), result("b")),
    )
    assert [block["toolUse"]["input"] for block in turns[1]["content"]] == [{}, {"x": 1}]


@case(20)
def test_arguments_that_are_no_object_are_refused():
    assert "not a JSON object" in refusal(
        said("user", Text("a")), said("assistant", call("a", "["))
    )


@case(26)
def test_ids_in_other_letters_are_told_the_same_way_on_every_turn():
    odd = "call/" + "x" * 100
    messages = (
        said("user", Text("a")),
        said("assistant", call(odd)),
        said("user", result(odd, Text("1"))),
    )
    turns, _, _ = told(*messages)
    id_ = turns[1]["content"][0]["toolUse"]["toolUseId"]
    assert turns[2]["content"][0]["toolResult"]["toolUseId"] == id_
    assert told(*messages)[0] == turns
    assert len(id_) <= 64


@case(31, 32)
def test_results_keep_their_pictures_and_say_that_they_failed():
    turns, _, _ = told(
        said("user", Text("a")),
        said("assistant", call("a")),
        said("user", result("a", Text("no"), PNG, is_error=True)),
    )
    said_ = turns[2]["content"][0]["toolResult"]
    assert said_["status"] == "error"
    assert [next(iter(block)) for block in said_["content"]] == ["text", "image"]


@case(36)
@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ((said("user", result("x")),), "no tool call with the id 'x'"),
        (
            (
                said("user", Text("a")),
                said("assistant", call("a")),
                said("user", result("a"), result("a")),
            ),
            "a second result for 'a'",
        ),
        (
            (
                said("user", Text("a")),
                said("assistant", call("a")),
                said("user", Text("b")),
                said("assistant", Text("c")),
            ),
            "'a' has no result",
        ),
        ((said("user", Text("a")), said("assistant", call("a"), call("a"))), "two tool calls"),
    ],
)
def test_results_and_calls_that_do_not_match_are_refused(messages: tuple[Message, ...], words: str):
    assert words in refusal(*messages)


@case(58)
def test_thinking_of_another_provider_is_not_replayed():
    turns, losses, _ = told(
        said("user", Text("a")),
        said("assistant", Reasoning("hm", "sig", origin="anthropic.messages"), Text("b")),
        said("user", Text("c")),
    )
    assert turns[1]["content"] == [{"text": "b"}]
    assert losses == ["/messages/1/parts/0"]


@case(55, 56)
def test_its_own_thinking_comes_back_as_it_was():
    turns, losses, _ = told(
        said("user", Text("a")),
        said(
            "assistant",
            Reasoning("hm", "sig", origin="bedrock.converse"),
            Reasoning(encrypted="eA==", origin="bedrock.converse"),
            Text("b"),
        ),
        said("user", Text("c")),
    )
    assert turns[1]["content"][:2] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "eA=="}},
    ]
    assert losses == []


@case(63)
def test_a_cache_marker_is_a_block_behind_what_it_marks():
    turns, _, system = told(
        said("system", Text("s", cache_control=CacheControl("1h"))),
        said("user", Text("a", cache_control=CacheControl())),
    )
    assert system[1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert turns[0]["content"][1] == {"cachePoint": {"type": "default"}}


@case(67)
def test_an_image_by_address_is_not_fetched_and_not_lost_in_silence():
    _, losses, _ = told(said("user", Text("a"), Uri("image", "https://x/y.png", "image/png")))
    assert losses == ["/messages/0/parts/1!"]


def test_an_image_in_amazons_store_is_told_by_address():
    turns, losses, _ = told(said("user", Uri("image", "s3://b/k", "image/png")))
    assert turns[0]["content"][0]["image"]["source"] == {"s3Location": {"uri": "s3://b/k"}}
    assert losses == []


@case(70)
def test_a_document_never_stands_without_text():
    turns, _, _ = told(said("user", PDF))
    assert turns[0]["content"][0]["document"]["name"] == "a-pdf"
    assert turns[0]["content"][1] == {"text": "."}


@case(69, 71)
@pytest.mark.parametrize(
    "part",
    [
        File("document", "file-1", "openai.chat"),
        Blob("image", "image/bmp", "eA=="),
        Generic("x", "another", msgspec.Raw(b"{}")),
        ServerToolCall("s", "web_search"),
    ],
)
def test_what_cannot_be_said_is_content(part: Part):
    assert told(said("user", Text("a"), part))[1] == ["/messages/0/parts/1!"]


def test_media_that_the_model_does_not_take_is_content():
    profile = Profile(input_modalities=frozenset({"image"}))
    assert told(said("user", Text("a"), PDF), profile=profile)[1] == ["/messages/0/parts/1!"]


@case(72)
def test_names_and_details_of_images_are_named():
    image = Blob("image", "image/png", "eA==", "a.png", "high")
    assert told(said("user", image))[1] == [
        "/messages/0/parts/0/name",
        "/messages/0/parts/0/detail",
    ]


def test_citations_of_another_provider_are_named_and_a_refusal_is_its_text():
    turns, losses, _ = told(
        said("user", Text("a")),
        said("assistant", Text("b", (Citation("https://x"),)), Refusal("no")),
        said("user", Text("c")),
    )
    assert turns[1]["content"] == [{"text": "b"}, {"text": "no"}]
    assert losses == ["/messages/1/parts/0/citations"]


def test_a_system_message_is_text():
    assert told(said("system", PNG), said("user", Text("a")))[1] == ["/messages/0/parts/0!"]
