import pytest
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir import signed_ids
from modelmux.ir.parts import (
    Blob,
    CacheControl,
    Citation,
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
from modelmux.ir.request import Message
from modelmux.wire.gemini import calls
from tests.support.cases import case
from tests.support.foreign import answered, assistant, called, plain, request, said, user
from tests.unit.wire.gemini import translate

USER = {"role": "user", "parts": [{"text": "hi"}]}


def contents(*messages: Message, profile: Profile = UNKNOWN) -> list[dict[str, object]]:
    return translate.body(request(*messages), profile)["contents"]  # type: ignore[return-value]


def lost(*messages: Message, profile: Profile = UNKNOWN) -> list[str]:
    return translate.lost(request(*messages), profile)


@case(4, 5)
def test_the_system_is_told_at_the_beginning() -> None:
    body = translate.body(
        request(plain("system", "a"), user(), plain("developer", "b"), plain("system", ""))
    )
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert lost(plain("system", "a"), user(), plain("system", "b")) == ["/messages/2"]
    assert lost(said("system", Blob("image", "image/png", "eA==")), user()) == [
        "/messages/0/parts/0"
    ]


@case(6)
def test_turns_of_one_role_are_one() -> None:
    assert contents(user("a"), user("b"), assistant("c"), assistant("d")) == [
        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
        {"role": "model", "parts": [{"text": "c"}, {"text": "d"}]},
    ]


@case(7, 8)
def test_the_user_begins() -> None:
    somebody = {"role": "user", "parts": [{"text": "."}]}
    assert contents(assistant("c"))[0] == somebody
    assert contents(plain("system", "s")) == [somebody]


@case(9)
def test_empty_texts_and_turns_are_left_out() -> None:
    assert contents(user(), assistant(""), said("user", Text(""), Refusal("no"))) == [
        {"role": "user", "parts": [{"text": "hi"}, {"text": "no"}]}
    ]


@case(12)
def test_a_speaker_s_name_is_said_in_words() -> None:
    named = replace(user(), name="Ann")
    assert contents(named)[0]["parts"] == [{"text": "Ann: hi"}]
    assert contents(replace(said("user", Blob("image", "image/png", "eA==")), name="Ann"))[0][
        "parts"
    ][0] == {"text": "Ann:"}  # type: ignore[index]
    assert lost(user(), replace(assistant(), name="Bo")) == ["/messages/1/name"]


@case(1, 27, 28)
def test_results_are_one_turn_of_their_own_in_call_order() -> None:
    asked = said("assistant", Text("I look."), ToolCall("1", "f"), ToolCall("2", "g", '{"a":1}'))
    both = said(
        "user", Text("now"), ToolResult("2", (Text("two"),)), ToolResult("1", (Text('{"x":1}'),))
    )
    assert contents(user(), asked, both, profile=Profile(tool_ids=False)) == [
        USER,
        {
            "role": "model",
            "parts": [
                {"text": "I look."},
                {"functionCall": {"name": "f", "args": {}}},
                {"functionCall": {"name": "g", "args": {"a": 1}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"x": 1}}},
                {"functionResponse": {"name": "g", "response": {"result": "two"}}},
            ],
        },
        {"role": "user", "parts": [{"text": "now"}]},
    ]


@case(26)
def test_ids_go_where_they_are_taken() -> None:
    parts = contents(user(), called("c1"), answered("c1"))
    assert parts[1]["parts"] == [{"functionCall": {"name": "f", "args": {}, "id": "c1"}}]
    assert parts[2]["parts"][0]["functionResponse"]["id"] == "c1"  # type: ignore[index]


@case(59)
def test_a_signature_goes_back_to_its_call() -> None:
    made = signed_ids.join(calls.made("r", 0), "c2ln")
    parts = contents(user(), called(made), answered(made))
    assert parts[1]["parts"] == [
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}
    ]
    assert "id" not in parts[2]["parts"][0]["functionResponse"]  # type: ignore[index]


@case(59)
def test_another_model_s_call_is_marked_where_the_model_checks() -> None:
    signed = Profile(signed_calls=True)
    turns = contents(user(), called("1", "2"), answered("1"), answered("2"), profile=signed)
    first, second = turns[1]["parts"]  # type: ignore[misc]
    assert first["thoughtSignature"] == calls.SKIP_VALIDATION  # type: ignore[index]
    assert "thoughtSignature" not in second


@case(32)
def test_a_failed_call_is_an_error() -> None:
    failed = said("user", ToolResult("1", (Text("boom"),), is_error=True))
    assert contents(user(), called("1"), failed)[2]["parts"][0]["functionResponse"]["response"] == {  # type: ignore[index]
        "error": "boom"
    }


@case(31)
def test_media_of_a_result_stay_with_it() -> None:
    result = ToolResult("1", (Text("see"), Blob("image", "image/png", "eA==")))
    response = contents(user(), called("1"), said("user", result))[2]["parts"][0]  # type: ignore[index]
    assert response["functionResponse"]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "eA=="}}
    ]
    alien = ToolResult("1", (File("image", "f1", "openai.chat"),))
    assert lost(user(), called("1"), said("user", alien)) == ["/messages/2/parts/0/parts/0"]


@case(20, 36)
def test_contradictions_are_refused_by_name() -> None:
    for messages, words in (
        ((user(), called("1", arguments="{")), "not a JSON object"),
        ((user(), called("1", "1")), "two tool calls"),
        ((user(), answered("1")), "no tool call"),
        ((user(), called("1"), answered("1"), answered("1")), "a second result"),
        ((user(), called("1"), user()), "no result"),
        ((user(), called("1"), assistant(), called("2"), answered("2")), "no result"),
    ):
        with pytest.raises(InvalidRequest, match=words) as refused:
            contents(*messages)
        assert refused.value.param


@case(58)
def test_only_gemini_s_own_thoughts_are_replayed() -> None:
    own = Reasoning("hm", "c2ln", origin="gemini")
    alien = Reasoning("hm", "c2ln", origin="anthropic.messages")
    thought = said("assistant", alien, own, Text("so"))
    assert contents(user(), thought)[1]["parts"] == [
        {"text": "hm", "thought": True, "thoughtSignature": "c2ln"},
        {"text": "so"},
    ]
    assert lost(user(), thought, user()) == ["/messages/1/parts/0"]


def test_a_signature_goes_back_to_its_text() -> None:
    alone = Reasoning("", "c2ln", origin="gemini")
    assert contents(user(), said("assistant", alone, Text("so")))[1]["parts"] == [
        {"text": "so", "thoughtSignature": "c2ln"}
    ]
    assert contents(user(), said("assistant", alone))[1]["parts"] == [
        {"text": "", "thoughtSignature": "c2ln"}
    ]


@case(67, 69, 71)
def test_media_go_by_value_and_by_address() -> None:
    parts = (
        Blob("audio", "audio/wav", "eA=="),
        Uri("image", "https://x/a.png?b=c"),
        Uri("document", "https://x/a", "application/pdf", "a.pdf"),
        File("document", "https://generativelanguage.googleapis.com/v1beta/files/1", "gemini"),
    )
    assert contents(said("user", *parts))[0]["parts"] == [
        {"inlineData": {"mimeType": "audio/wav", "data": "eA=="}},
        {"fileData": {"fileUri": "https://x/a.png?b=c", "mimeType": "image/png"}},
        {
            "fileData": {
                "fileUri": "https://x/a",
                "mimeType": "application/pdf",
                "displayName": "a.pdf",
            }
        },
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/1"}},
    ]
    assert lost(said("user", File("image", "f1", "openai.chat"))) == ["/messages/0/parts/0"]
    only_images = Profile(input_modalities=frozenset({"image"}))
    assert lost(said("user", parts[0]), profile=only_images) == ["/messages/0/parts/0"]


@case(72)
def test_how_closely_to_look_is_said_for_all_images() -> None:
    low = Uri("image", "https://x/a.png", detail="low")
    body = translate.body(request(said("user", low)))
    assert body["generationConfig"] == {"mediaResolution": "MEDIA_RESOLUTION_LOW"}
    assert lost(said("user", low, replace(low, detail="high"))) == ["/messages"]
    assert lost(said("user", replace(low, detail="auto"))) == []


@case(63)
def test_marks_of_others_are_declared() -> None:
    marked = Text("x", cache_control=CacheControl())
    cited = Text("x", (Citation("https://x"),))
    assert lost(said("user", marked, cited)) == [
        "/messages/0/parts/0/cache_control",
        "/messages/0/parts/1/citations",
    ]
    named = Blob("image", "image/png", "eA==", "a.png")
    assert lost(said("user", named)) == ["/messages/0/parts/0/name"]


@case(33)
def test_what_other_providers_tools_did_is_lost_and_its_own_is_kept() -> None:
    raw = Raw(b'{"codeExecutionResult":{"outcome":"OUTCOME_OK"}}')
    own = (
        ServerToolCall("", "code_execution", '{"code":"1"}', "gemini"),
        ServerToolResult("", "codeExecutionResult", "gemini", raw),
        Generic("x", "gemini", Raw(b'{"x":1}')),
    )
    assert contents(user(), said("assistant", *own))[1]["parts"] == [
        {"executableCode": {"code": "1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK"}},
        {"x": 1},
    ]
    alien = (
        ServerToolCall("1", "web_search", "{}", "anthropic.messages"),
        ServerToolResult("1", "web_search_tool_result", "anthropic.messages", Raw(b"{}")),
        Generic("x", "anthropic.messages", Raw(b"{}")),
    )
    assert len(lost(user(), said("assistant", *alien))) == 3


def test_a_custom_tool_s_call_keeps_its_text() -> None:
    custom = said("assistant", ToolCall("1", "f", "free text", custom=True))
    parts = contents(user(), custom, answered("1"))[1]["parts"]
    assert parts[0]["functionCall"]["args"] == {"input": "free text"}  # type: ignore[index]
