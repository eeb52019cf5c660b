import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest, ProtocolViolation
from modelmux.ir.parts import Blob, File, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from modelmux.ir.request import GenericTool, Message, Request
from modelmux.wire.ollama_chat import chat, schema
from tests.support.cases import case


def decode(*messages: object, **more: object) -> Request:
    return chat.decode(msgspec.json.encode({"model": "m", "messages": messages, **more}))


def native(*parts: Part) -> tuple[list[object], list[str]]:
    request = replace(decode({"role": "user", "content": "x"}), messages=(Message("user", parts),))
    encoded = chat.native(request)
    return msgspec.json.decode(encoded.body)["messages"], [loss.path for loss in encoded.losses]


@case(26, 27)
def test_results_find_their_calls_by_id_by_name_and_by_order() -> None:
    def calls(*named: str, id_: str | None = None) -> object:
        made = [{"function": {"name": name, "arguments": {}}, "id": id_} for name in named]
        return {"role": "assistant", "tool_calls": made}

    def result(**said: object) -> object:
        return {"role": "tool", "content": "ok", **said}

    request = decode(
        calls("f", "g", "f"), result(tool_name="g"), result(), result(tool_name="odd"),
        calls("f", id_="c1"), result(tool_call_id="c1"), result(),
    )  # fmt: skip
    first = [part.id for part in request.messages[0].parts if isinstance(part, ToolCall)]
    answered = [p.id for m in request.messages for p in m.parts if isinstance(p, ToolResult)]
    assert answered[:4] == [first[1], first[0], first[2], "c1"]
    assert answered[4] not in {*first, "c1"}


def test_a_message_is_thinking_text_images_and_calls() -> None:
    request = decode(
        {
            "role": "assistant",
            "thinking": "hm",
            "content": "so",
            "images": ["iVBORw0KGgo="],
            "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}],
        }
    )
    assert request.messages[0].parts == (
        Reasoning("hm", origin="ollama.chat"),
        Text("so"),
        Blob("image", "image/png", "iVBORw0KGgo="),
        ToolCall("ollama_0_0", "f", '{"a":1}'),
    )
    assert request.stream


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "model"),
        ({"model": "m", "messages": [{"role": "owner"}]}, r"messages\[0\]\.role"),
        ({"model": "m", "messages": [{"role": "user"}], "tools": [{}]}, "function"),
    ],
)
def test_a_mistake_is_named(body: object, where: str) -> None:
    with pytest.raises(InvalidRequest, match=where):
        chat.decode(msgspec.json.encode(body))


def test_what_another_hand_put_in_is_said_where_it_can_be() -> None:
    said, lost = native(Refusal("no"), File("image", "f", "openai.chat"))
    assert said == [{"role": "user", "content": "no"}]
    assert lost == ["/messages/0/parts/1"]
    said, _ = native(ToolResult("a", (Text("x"), Blob("image", "image/png", "eA=="))))
    assert said == [{"role": "tool", "content": "x", "images": ["eA=="]}]
    own = GenericTool("web_search", "web_search", "x", Raw(b"{}"))
    request = replace(decode({"role": "user", "content": "x"}), tools=(own,))
    assert [loss.path for loss in chat.native(request).losses] == ["/tools/0"]


@case(20)
def test_arguments_are_an_object() -> None:
    assert bytes(chat.arguments(ToolCall("1", "f", " "), 0)) == b"{}"
    with pytest.raises(InvalidRequest, match=r"messages\[3\]"):
        chat.arguments(ToolCall("1", "f", "["), 3)


def test_a_call_that_is_no_text_is_whose_mistake_it_is() -> None:
    call = schema.ToolCall(schema.Function("f", Raw(b'{"a":"\x80"}')))
    with pytest.raises(InvalidRequest):
        chat.tool_call(call, "1")
    with pytest.raises(ProtocolViolation):
        chat.tool_call(call, "1", ProtocolViolation)


def test_an_id_that_was_made_here_goes_back_as_none() -> None:
    assert "id" not in chat.said_call(ToolCall("ollama_0_0", "f"), Raw(b"{}"))
    assert chat.said_call(ToolCall("c1", "f"), Raw(b"{}"))["id"] == "c1"
