import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import (
    Blob,
    File,
    Generic,
    Part,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
)
from modelmux.ir.request import GenericTool, Message, Request, Tool, ToolChoice
from modelmux.wire.gemini import native, request_decode

BODY = b'{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"tools":[{"googleSearch":{}}]}'


def changed(**changes: object) -> tuple[dict[str, object], list[str]]:
    """What a request of Gemini's becomes after somebody changed it, and what is lost."""
    encoded = native.encode(replace(request_decode.decode(BODY), **changes))
    return msgspec.json.decode(encoded.body), [loss.path for loss in encoded.losses]


def saying(*parts: Part) -> tuple[list[object], list[str]]:
    body, lost = changed(messages=(Message("assistant", parts),))
    return body["contents"][0]["parts"], lost  # type: ignore[index]


def test_what_another_hand_put_in_is_said_where_it_can_be() -> None:
    system = Message("system", (Text("be short"),))
    body, lost = changed(
        messages=(system, *request_decode.decode(BODY).messages),
        tools=(Tool("f", "does", Raw(b"{}")), *request_decode.decode(BODY).tools),
        tool_choice=ToolChoice("allowed", ("f",)),
    )
    assert body["systemInstruction"] == {"parts": [{"text": "be short"}]}
    assert body["tools"] == [
        {"googleSearch": {}},
        {
            "functionDeclarations": [
                {"name": "f", "description": "does", "parametersJsonSchema": {}}
            ]
        },
    ]
    assert body["toolConfig"] == {
        "functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}
    }
    assert lost == []


def test_what_cannot_be_said_is_declared() -> None:
    alien = (
        File("image", "f1", "openai.chat"),
        ServerToolCall("1", "web_search", "{}", "anthropic.messages"),
        ServerToolResult("1", "x", "anthropic.messages", Raw(b"{}")),
        Generic("x", "anthropic.messages", Raw(b"{}")),
        ToolResult("1", (File("image", "f1", "openai.chat"),)),
    )
    parts, lost = saying(*alien)
    assert len(parts) == 1
    assert len(lost) == 5
    own = GenericTool("web_search", "web_search", "openai.responses", Raw(b"{}"))
    assert changed(tools=(own,))[1] == ["/tools/0"]


def test_parts_of_every_kind_are_said() -> None:
    parts, lost = saying(Refusal("no"), Blob("image", "image/png", "eA=="), ToolCall("a", "f"))
    assert parts == [
        {"text": "no"},
        {"inlineData": {"mimeType": "image/png", "data": "eA=="}},
        {"functionCall": {"name": "f", "args": {}, "id": "a"}},
    ]
    assert lost == []


def test_arguments_that_are_no_object_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="not a JSON object"):
        saying(ToolCall("a", "f", "["))


def test_names_of_calls_are_found_by_their_ids() -> None:
    request = Request("m", (Message("assistant", (ToolCall("a", "f"), Text("x"))),))
    assert native.call_names(request.messages) == {"a": "f"}
