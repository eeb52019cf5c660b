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
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Loss, Message, Role
from modelmux.wire.cohere_chat import content
from modelmux.wire.cohere_chat.messages import Writer
from modelmux.wire.cohere_chat.schema import NAME
from modelmux.wire.tool_names import ToolNames
from tests.support.cases import case

PNG = Blob("image", "image/png", "aGk=")
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
HELLO = Message("user", (Text("Hi"),))


def said(role: Role, *parts: Part, **more: Any) -> Message:
    return Message(role, parts, **more)


def told(
    *messages: Message, profile: Profile = UNKNOWN, instruction: str | None = None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Messages, and paths of losses (content marked by !)."""
    losses: list[Loss] = []
    written = Writer(ToolNames([]), profile, losses).write(messages, instruction)
    marked = [loss.path + "!" * (loss.kind == "content") for loss in losses]
    return msgspec.json.decode(msgspec.json.encode(written)), marked


def refusal(*messages: Message) -> str:
    with pytest.raises(InvalidRequest) as caught:
        told(*messages)
    return caught.value.message


@case(5)
def test_roles_are_as_they_are_and_a_developer_is_the_system():
    assert told(said("developer", Text("a")), said("system", Text("b")), HELLO) == (
        [
            {"role": "system", "content": "a"},
            {"role": "system", "content": "b"},
            {"role": "user", "content": "Hi"},
        ],
        [],
    )


def test_an_instruction_stands_first():
    assert told(HELLO, instruction="JSON")[0][0] == {"role": "system", "content": "JSON"}


@case(9)
def test_empty_texts_and_messages_of_nothing_are_not_sent():
    assert told(HELLO, said("assistant", Text(""), Refusal("")), HELLO) == (
        [{"role": "user", "content": "Hi"}] * 2,
        [],
    )
    assert refusal(said("user", Text(""))) == "messages: expected at least one, got none"


def test_calls_stand_with_their_plan_and_results_alone():
    call = ToolCall("c1", "f", '{"a":1}')
    messages, lost = told(
        HELLO,
        said("assistant", content.plan("First. "), content.plan("Then."), call),
        said("user", ToolResult("c1", (Text("a"), Text("b"))), Text("And?")),
    )
    assert lost == []
    assert messages[1:] == [
        {
            "role": "assistant",
            "tool_plan": "First. Then.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "ab"},
        {"role": "user", "content": "And?"},
    ]


@case(36)
def test_a_result_of_no_call_is_refused():
    result = said("user", ToolResult("c9", (Text("a"),)))
    assert refusal(HELLO, result) == "messages[1]: no tool call with the id 'c9' before it"


@case(31, 32)
def test_images_of_a_result_move_behind_it_and_a_failure_is_said():
    result = ToolResult("c1", (Text("a"), PNG), is_error=True, cache_control=CacheControl())
    messages, lost = told(HELLO, said("assistant", ToolCall("c1", "f", "")), said("user", result))
    assert messages[1]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert messages[2:] == [
        {"role": "tool", "tool_call_id": "c1", "content": "The tool failed: a"},
        {"role": "user", "content": [IMAGE]},
    ]
    assert lost == ["/messages/2/parts/0/cache_control"]


@case(12)
def test_a_speakers_name_is_said_in_words():
    assert told(said("user", Text("Hi"), name="Ann")) == (
        [
            {
                "role": "user",
                "content": [{"type": "text", "text": "Ann:"}, {"type": "text", "text": "Hi"}],
            }
        ],
        ["/messages/0/name"],
    )
    assert told(said("system", Text("Hi"), name="Ann"))[0] == [{"role": "system", "content": "Hi"}]


def test_images_that_the_model_takes():
    assert told(said("user", PNG))[0] == [{"role": "user", "content": [IMAGE]}]
    blind = Profile(input_modalities=frozenset())
    (_, lost) = told(said("user", Text("Hi"), PNG), profile=blind)
    assert lost == ["/messages/0/parts/1!"]
    named = Uri("image", "https://x/a.png", name="a.png")
    assert told(said("user", named))[1] == ["/messages/0/parts/0/name"]


@pytest.mark.parametrize(
    ("part", "lost"),
    [
        (Blob("document", "application/pdf", "aGk="), "/messages/0/parts/1!"),
        (File("document", "file-1", "another"), "/messages/0/parts/1!"),
        (Generic("later", "another", b"{}"), "/messages/0/parts/1!"),  # type: ignore[arg-type]
        (Reasoning("so", origin="another"), "/messages/0/parts/1"),
        (Text("a", citations=(Citation("u"),)), "/messages/0/parts/1/citations"),
        (Text("a", cache_control=CacheControl()), "/messages/0/parts/1/cache_control"),
    ],
)
def test_what_cannot_be_said_is_named(part: Part, lost: str):
    assert told(said("user", Text("Hi"), part))[1] == [lost]


def test_its_own_thinking_goes_back():
    thought = Reasoning("so", origin=NAME)
    messages, lost = told(said("assistant", thought, Text("a")), HELLO)
    assert lost == []
    assert messages[0]["content"][0] == {"type": "thinking", "thinking": "so"}


@case(10)
def test_an_answer_that_is_begun_is_for_models_that_continue():
    begun = said("assistant", Text("Once"))
    assert told(HELLO, begun)[0][-1] == {"role": "assistant", "content": "Once"}
    with pytest.raises(InvalidRequest, match="does not continue"):
        told(HELLO, begun, profile=Profile(prefill=False))
