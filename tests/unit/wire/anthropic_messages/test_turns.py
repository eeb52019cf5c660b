import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import (
    Blob,
    CacheControl,
    Citation,
    Extra,
    File,
    Generic,
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
from modelmux.ir.request import Loss, Message
from modelmux.wire.anthropic_messages.schema import NAME
from modelmux.wire.anthropic_messages.tools import Names
from modelmux.wire.anthropic_messages.turns import Conversation
from tests.support.cases import case
from tests.support.foreign import WIRE, answered, assistant, called, plain, said, user


def converse(*messages: Message, profile: Profile = UNKNOWN) -> tuple[Conversation, list[Loss]]:
    losses: list[Loss] = []
    conversation = Conversation(Names(()), profile, losses)
    for index, message in enumerate(messages):
        conversation.add(message, index)
    conversation.close()
    return conversation, losses


def turns(*messages: Message, profile: Profile = UNKNOWN) -> object:
    conversation, losses = converse(*messages, profile=profile)
    assert losses == []
    return msgspec.json.decode(msgspec.json.encode(conversation.messages()))


def lossy(*messages: Message, profile: Profile = UNKNOWN) -> tuple[object, list[tuple[str, str]]]:
    conversation, losses = converse(*messages, profile=profile)
    return (
        msgspec.json.decode(msgspec.json.encode(conversation.messages())),
        [(loss.path, loss.kind) for loss in losses],
    )


def result(id_: str, content: object = "ok") -> dict[str, object]:
    return {"type": "tool_result", "tool_use_id": id_, "content": content}


def use(id_: str, **input_: object) -> dict[str, object]:
    return {"type": "tool_use", "id": id_, "name": "f", "input": input_}


def text(words: str) -> dict[str, object]:
    return {"type": "text", "text": words}


def turn(role: str, *content: object) -> dict[str, object]:
    return {"role": role, "content": [*content]}


HI = {"role": "user", "content": "hi"}


def test_plain_turns_stay_plain():
    assert turns(user("hi"), assistant("ho"), user("hum")) == [
        HI,
        {"role": "assistant", "content": "ho"},
        {"role": "user", "content": "hum"},
    ]


@case(1)
def test_results_of_parallel_calls_are_one_turn_in_the_order_of_the_calls():
    assert turns(user(), called("a", "b", "c"), answered("c"), answered("a"), answered("b")) == [
        HI,
        turn("assistant", use("a"), use("b"), use("c")),
        turn("user", result("a"), result("b"), result("c")),
    ]


@case(2)
def test_results_open_the_turn():
    asked = said("user", Text("and now?"), ToolResult("a", (Text("ok"),), bare=True))
    assert turns(user(), called("a", "b"), asked, user("go on"), answered("b")) == [
        HI,
        turn("assistant", use("a"), use("b")),
        turn("user", result("a"), result("b"), text("and now?"), text("go on")),
    ]


@case(4, 5)
def test_system_messages_are_collected_in_their_order():
    conversation, losses = converse(
        plain("system", "a"), plain("developer", "b"), user(), plain("system", "c")
    )
    assert conversation.system == [text("a"), text("b"), text("c")]
    assert conversation.messages() == [HI]
    assert [(loss.path, loss.kind) for loss in losses] == [("/messages/3", "tuning")]


@case(4, 63)
def test_system_messages_keep_their_marks():
    marked = said("system", Text("a", cache_control=CacheControl("1h")), Text(""))
    conversation, losses = converse(marked, user())
    assert conversation.system == [
        {**text("a"), "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ]
    assert losses == []


def test_a_system_message_of_something_else_than_text_is_lost():
    _, lost = lossy(said("system", Uri("image", "https://x")), user())
    assert lost == [("/messages/0/parts/0", "content")]


@case(6)
def test_consecutive_turns_of_one_role_are_merged():
    assert turns(user("a"), user("b"), assistant("c"), assistant("d"), user("e")) == [
        turn("user", text("a"), text("b")),
        turn("assistant", text("c"), text("d")),
        {"role": "user", "content": "e"},
    ]


def test_a_conversation_begins_with_the_user():
    assert turns(assistant("hello"), user("hi")) == [
        {"role": "user", "content": "."},
        {"role": "assistant", "content": "hello"},
        HI,
    ]


@pytest.mark.parametrize("messages", [[], [plain("system", "s")], [user("")]])
def test_a_conversation_without_turns_has_one(messages):
    assert turns(*messages) == [{"role": "user", "content": "."}]


@case(9)
def test_empty_text_is_left_out_and_the_message_with_it():
    assert turns(
        user(),
        said("assistant", Text(""), ToolCall("a", "f")),
        answered("a"),
        assistant(""),
        said("assistant"),
        user("b"),
    ) == [HI, turn("assistant", use("a")), turn("user", result("a"), text("b"))]


@case(9)
def test_white_space_alone_is_refused_and_left_out():
    got, lost = lossy(user("hi"), assistant(" \n"), said("user", Text("\t"), Text("b")))
    assert got == [turn("user", text("hi"), text("b"))]
    assert lost == [("/messages/1/parts/0", "tuning"), ("/messages/2/parts/0", "tuning")]


@case(10)
def test_white_space_at_the_end_of_a_prefill_is_stripped():
    assert turns(user(), assistant("The answer is \n"))[-1]["content"] == "The answer is"
    listed = said("assistant", Text("Well, "), Text("it is "))
    assert turns(user(), listed)[-1] == turn("assistant", text("Well, "), text("it is"))


@case(10)
def test_white_space_inside_the_conversation_stays():
    assert turns(user("hi "), assistant("ho "), user("x"))[1]["content"] == "ho "


@case(10)
def test_a_model_that_does_not_go_on_with_an_answer_is_not_asked_to():
    with pytest.raises(InvalidRequest, match="end the conversation with the user") as caught:
        converse(user(), assistant("ho"), profile=Profile(prefill=False))
    assert caught.value.param == "messages[1]"


@case(12)
def test_a_speakers_name_is_said_in_words():
    alice = Message("user", (Text("hi"),), "Alice", bare=True)
    pictured = Message("user", (Uri("image", "https://x"),), "Bob")
    got, lost = lossy(alice, pictured, Message("user", (), "Eve"))
    image = {"type": "image", "source": {"type": "url", "url": "https://x"}}
    assert got == [turn("user", text("Alice: hi"), text("Bob:"), image, text("Eve:"))]
    assert lost == [(f"/messages/{index}/name", "tuning") for index in range(3)]


@case(12)
def test_an_assistants_name_would_be_taken_for_a_way_to_speak():
    got, lost = lossy(user(), Message("assistant", (Text("ho"),), "Bot", bare=True), user())
    assert got[1] == {"role": "assistant", "content": "ho"}
    assert lost == [("/messages/1/name", "tuning")]


@case(20)
@pytest.mark.parametrize(("arguments", "said_as"), [("", {}), ('{"a":1}', {"a": 1}), (" ", {})])
def test_arguments_are_objects(arguments, said_as):
    got = turns(user(), called("a", arguments=arguments), answered("a"))
    assert got[1] == turn("assistant", use("a", **said_as))


@case(20)
@pytest.mark.parametrize("arguments", ["{", "[]", "nope", '"x"'])
def test_arguments_that_are_no_object_are_refused(arguments):
    with pytest.raises(InvalidRequest, match="'f' are not a JSON object") as caught:
        converse(user(), called("a", arguments=arguments), answered("a"))
    assert caught.value.param == "messages[1]"


@case(20)
def test_free_text_for_a_tool_is_wrapped():
    call = said("assistant", ToolCall("a", "f", "SELECT 1", custom=True))
    assert turns(user(), call, answered("a"))[1] == turn("assistant", use("a", input="SELECT 1"))


@case(29)
def test_tools_are_called_by_the_names_that_fit():
    assert turns(user(), called("a", name="x.y"), answered("a"))[1]["content"][0]["name"] == "x_y"


@case(36)
@pytest.mark.parametrize(
    ("messages", "param", "words"),
    [
        ([user(), answered("a")], "messages[1]", "no tool call with the id 'a'"),
        ([answered("a")], "messages[0]", "no tool call with the id 'a'"),
        ([user(), called("a"), answered("b")], "messages[2]", "no tool call with the id 'b'"),
        (
            [user(), called("a"), answered("a"), assistant(), answered("a")],
            "messages[4]",
            "no tool call with the id 'a'",
        ),
        ([user(), called("a"), answered("a"), answered("a")], "messages[3]", "a second result"),
        (
            [user(), called("a", "b"), answered("a"), assistant()],
            "messages[1]",
            "'b' has no result",
        ),
        ([user(), called("a"), user(), assistant()], "messages[1]", "'a' has no result"),
        ([user(), called("a"), user()], "messages[1]", "'a' has no result"),
        ([user(), called("a")], "messages[1]", "'a' has no result"),
        ([user(), called("a", "a")], "messages[1]", "two tool calls have the id 'a'"),
    ],
)
def test_calls_and_results_that_do_not_match_are_refused(messages, param, words):
    with pytest.raises(InvalidRequest, match=words) as caught:
        converse(*messages)
    assert caught.value.param == param


@case(36)
def test_ids_that_are_counted_anew_in_each_turn_are_told_apart():
    got = turns(
        user(),
        called("c_0"),
        answered("c_0"),
        called("c_0", "c_1"),
        answered("c_1"),
        answered("c_0"),
    )
    assert got == [
        HI,
        turn("assistant", use("c_0")),
        turn("user", result("c_0")),
        turn("assistant", use("c_0_2"), use("c_1")),
        turn("user", result("c_0_2"), result("c_1")),
    ]


@case(36)
@given(st.lists(st.text(max_size=6), min_size=1, max_size=4, unique=True))
def test_ids_are_made_to_fit_and_still_match(ids):
    got = turns(user(), called(*ids), *(answered(id_) for id_ in reversed(ids)))
    uses = [block["id"] for block in got[1]["content"]]
    assert uses == [block["tool_use_id"] for block in got[2]["content"]]
    assert len(set(uses)) == len(ids)
    for id_ in uses:
        assert id_.replace("-", "_").replace("_", "a").isalnum()
        assert id_.isascii()


@case(31)
def test_results_hold_text_and_media():
    parts = (Text("a"), Text(""), Blob("image", "image/png", "A"), Uri("document", "https://x"))
    got = turns(user(), called("a"), said("user", ToolResult("a", parts)))
    assert [block["type"] for block in got[2]["content"][0]["content"]] == [
        "text",
        "image",
        "document",
    ]


@case(32)
def test_an_error_of_a_tool_is_said_to_be_one():
    marked = ToolResult("a", (Text("no"),), True, True, CacheControl())
    got = turns(user(), called("a"), said("user", marked))
    assert got[2] == turn(
        "user",
        {**result("a", "no"), "is_error": True, "cache_control": {"type": "ephemeral"}},
    )


def test_a_marked_text_alone_in_a_result_keeps_its_mark():
    marked = ToolResult("a", (Text("ok", cache_control=CacheControl()),), bare=True)
    got = turns(user(), called("a"), said("user", marked))
    inner = {**text("ok"), "cache_control": {"type": "ephemeral"}}
    assert got[2] == turn("user", result("a", [inner]))


@pytest.mark.parametrize("is_error", [None, False])
def test_an_empty_result_has_no_content(is_error):
    got = turns(user(), called("a"), said("user", ToolResult("a", (), is_error)))
    assert got[2] == turn("user", {"type": "tool_result", "tool_use_id": "a"})


@case(55, 56)
def test_the_models_own_thinking_goes_back_first_in_its_turn():
    thoughts = (Reasoning("t", "s", origin=NAME), Reasoning(encrypted="o", origin=NAME))
    got = turns(user(), said("assistant", Text("a"), *thoughts, ToolCall("i", "f")), answered("i"))
    assert got[1] == turn(
        "assistant",
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "redacted_thinking", "data": "o"},
        text("a"),
        use("i"),
    )


@case(58)
@pytest.mark.parametrize(
    "thought",
    [
        Reasoning("t"),
        Reasoning("t", "s", origin="other"),
        Reasoning("t", None, origin=NAME),
        Reasoning(encrypted="o", origin="other"),
    ],
)
def test_thinking_that_is_not_the_models_own_is_not_replayed(thought):
    got, lost = lossy(user(), said("assistant", thought, Text("a")), user("b"))
    assert got[1] == turn("assistant", text("a"))
    assert lost == [("/messages/1/parts/0", "tuning")]


@case(76)
def test_a_refusal_is_what_the_assistant_said():
    assert turns(user(), said("assistant", Refusal("no")), user("b"))[1] == turn(
        "assistant", text("no")
    )


@case(33, 69, 71)
@pytest.mark.parametrize(
    "part",
    [
        Blob("audio", "audio/wav", "A"),
        File("document", "f", "other"),
        Generic("x", "other", Raw(b"{}")),
        ServerToolCall("i", "search", origin="other"),
        ServerToolResult("i", "x", "other", Raw(b"{}")),
    ],
)
def test_what_the_wire_cannot_say_is_lost(part):
    got, lost = lossy(said("user", Text("a"), part))
    assert got == [turn("user", text("a"))]
    assert lost == [("/messages/0/parts/1", "content")]


def test_what_is_this_wires_own_is_said_whoever_brings_it():
    block = Raw(b'{"type":"compaction"}')
    found = Raw(b'{"type":"web_search_tool_result"}')
    got = turns(
        user(),
        said(
            "assistant",
            Generic("compaction", NAME, block),
            ServerToolCall("i", "web_search", "{}", NAME),
            ServerToolResult("i", "web_search_tool_result", NAME, found),
            Text("a", (Citation(wire=NAME, raw=Raw(b'{"type":"c"}')),)),
        ),
        user("b"),
    )
    assert [part["type"] for part in got[1]["content"]] == [
        "compaction",
        "server_tool_use",
        "web_search_tool_result",
        "text",
    ]
    assert got[1]["content"][3]["citations"] == [{"type": "c"}]


@case(72)
@pytest.mark.parametrize(("detail", "lost"), [("low", True), ("auto", False), (None, False)])
def test_the_detail_of_an_image_is_lost(detail, lost):
    _, losses = lossy(said("user", Uri("image", "https://x", detail=detail)))
    assert losses == ([("/messages/0/parts/0/detail", "tuning")] if lost else [])


def test_the_name_of_an_image_is_lost():
    _, losses = lossy(said("user", Blob("image", "image/png", "A", "ant.png")))
    assert losses == [("/messages/0/parts/0/name", "tuning")]


def test_a_model_without_eyes_is_shown_nothing():
    profile = Profile(input_modalities=frozenset())
    got, lost = lossy(said("user", Text("a"), Uri("image", "https://x")), profile=profile)
    assert got == [turn("user", text("a"))]
    assert lost == [("/messages/0/parts/1", "content")]


@case(78)
def test_citations_of_another_provider_are_lost():
    cited = said("assistant", Text("a", (Citation(url="https://x"),)))
    got, lost = lossy(user(), cited, user("b"))
    assert got[1] == turn("assistant", text("a"))
    assert lost == [("/messages/1/parts/0/citations", "tuning")]


@case(54)
def test_unknown_fields_are_lost_wherever_they_are():
    def extra(at: str) -> Extra:
        return Extra(WIRE, {"/x": Raw(b"1")}, at)

    call = said("assistant", ToolCall("a", "f", extra=extra("/call")))
    answer = said("user", ToolResult("a", (Text("r", extra=extra("/inner")),), extra=extra("/r")))
    picture = said("user", Uri("image", "https://x", extra=extra("/image")))
    refusal = said("assistant", Refusal("no", extra=extra("/refusal")))
    asked = replace(user(), extra=extra("/message"))
    system = said("system", Text("s", extra=extra("/system")))
    _, lost = lossy(system, asked, call, answer, picture, refusal, user())
    assert {path for path, _ in lost} == {
        "/system/x",
        "/message/x",
        "/call/x",
        "/inner/x",
        "/r/x",
        "/image/x",
        "/refusal/x",
    }


@case(63)
def test_cache_markers_are_kept_wherever_they_are():
    marker = CacheControl("5m")
    got = turns(
        said("user", Text("a", cache_control=marker)),
        said("assistant", ToolCall("i", "f", cache_control=marker)),
        said("user", ToolResult("i", (Text("r", cache_control=marker),), cache_control=marker)),
    )
    marked = {"type": "ephemeral", "ttl": "5m"}
    assert got == [
        turn("user", {**text("a"), "cache_control": marked}),
        turn("assistant", {**use("i"), "cache_control": marked}),
        turn(
            "user",
            {**result("i", [{**text("r"), "cache_control": marked}]), "cache_control": marked},
        ),
    ]


def test_a_conversation_knows_whether_it_begins_the_answer():
    assert converse(user(), assistant("So "))[0].begins_answer
    assert not converse(user())[0].begins_answer


@case(55)
def test_a_conversation_knows_whether_thoughts_before_a_call_are_missing():
    thought = said("assistant", Reasoning("t", "s", origin=NAME), ToolCall("a", "f"))
    assert not converse(user(), thought, answered("a"))[0].hides_thinking
    assert converse(user(), called("a"), answered("a"))[0].hides_thinking
    assert not converse(user(), called("a"), answered("a"), assistant(), user())[0].hides_thinking
    assert not converse(user())[0].hides_thinking


ROLES = st.sampled_from(["system", "developer", "user", "assistant"])
PIECES = st.one_of(
    st.builds(Text, st.sampled_from(["a", "", " ", "b\n"])),
    st.just(Uri("image", "https://x")),
    st.just(Reasoning("t", "s", origin=NAME)),
    st.just(Reasoning("t")),
    st.just(Refusal("no")),
    st.just(Blob("audio", "audio/wav", "A")),
)
MESSAGES = st.builds(
    Message,
    ROLES,
    st.lists(PIECES, max_size=3).map(tuple),
    st.none() | st.just("Eve"),
    st.booleans(),
)


@case(2, 6, 9, 10)
@given(st.lists(MESSAGES, max_size=8))
def test_whatever_is_said_becomes_turns_that_the_api_takes(messages):
    got, _ = lossy(*messages)
    assert got[0]["role"] == "user"
    for one, other in itertools.pairwise(got):
        assert one["role"] != other["role"]
    for spoken in got:
        content = spoken["content"]
        assert content
        for block in [text(content)] if isinstance(content, str) else content:
            assert block["type"] != "text" or block["text"].strip()
    if got[-1]["role"] == "assistant":
        last = got[-1]["content"]
        words = last if isinstance(last, str) else last[-1].get("text", "")
        assert words == words.rstrip()
