from typing import Any

import msgspec
import pytest

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Text, ToolCall, ToolResult
from modelmux.ir.request import ReasoningOptions, Request, ResponseFormat, ToolChoice
from modelmux.wire.cohere_chat import content, request_decode
from modelmux.wire.cohere_chat.schema import NAME
from tests.support.cases import case
from tests.support.goldens import ROOT

HELLO = {"role": "user", "content": "Hi"}


def decoded(*messages: dict[str, Any], **more: object) -> Request:
    body = {"model": "m", "messages": messages or (HELLO,), **more}
    return request_decode.decode(msgspec.json.encode(body))


def refusal(*messages: dict[str, Any], **more: object) -> tuple[str, str | None]:
    with pytest.raises(InvalidRequest) as caught:
        decoded(*messages, **more)
    return caught.value.message, caught.value.param


def test_the_envelope_is_model_and_stream():
    found = request_decode.envelope(b'{"model":"m","stream":true,"messages":[]}')
    assert (found.model, found.stream) == ("m", True)
    with pytest.raises(InvalidRequest, match="model"):
        request_decode.envelope(b"{}")


def test_roles_and_results_of_tools():
    found = request_decode.decode((ROOT / "cohere.chat/tools/request.json").read_bytes())
    assert [message.role for message in found.messages] == ["user", "assistant", "user", "user"]
    plan, first, second = found.messages[1].parts
    assert plan == content.plan("I will ask for both.", "/messages/1")
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    (result,) = found.messages[3].parts
    assert result == ToolResult(second.id, (Text("12:00"),), bare=True)
    assert found.stream


def test_a_result_says_of_what():
    assert refusal({"role": "tool", "content": "x"}) == (
        "messages[0].tool_call_id: field required",
        "messages[0].tool_call_id",
    )


def test_a_tool_is_a_function():
    assert refusal(tools=[{"type": "function"}])[1] == "tools[0].function"


@pytest.mark.parametrize(
    ("said", "mode"), [("REQUIRED", "required"), ("NONE", "none")], ids=["required", "none"]
)
def test_the_choice_among_tools(said: str, mode: Any):
    assert decoded(tool_choice=said).tool_choice == ToolChoice(mode)
    assert decoded().tool_choice is None


def test_forms_of_the_answer():
    assert decoded(response_format={"type": "text"}).response_format == ResponseFormat("text")
    form = decoded(response_format={"type": "json_object"}).response_format
    assert form == ResponseFormat("json_object")
    schema = {"type": "json_object", "json_schema": {"type": "object"}}
    form = decoded(response_format=schema).response_format
    assert form is not None
    assert (form.type, bytes(form.schema or b"")) == ("json_schema", b'{"type":"object"}')


def test_thinking_is_on_or_off():
    on = decoded(thinking={"type": "enabled", "token_budget": 9}).reasoning
    assert on == ReasoningOptions("enabled", None, 9)
    off = decoded(thinking={"type": "disabled"}).reasoning
    assert off == ReasoningOptions("disabled")


@case(54)
def test_documents_are_content_and_other_fields_are_not():
    kept = decoded(documents=["a"], safety_mode="OFF").extra
    assert kept is not None
    assert (kept.wire, set(kept.fields)) == (NAME, {"/documents", "/safety_mode"})
    assert kept.content == {"/documents"}


@case(78)
def test_citations_stand_with_their_text():
    citation = {"start": 0, "end": 1, "type": "TEXT_CONTENT"}
    (message,) = decoded({"role": "assistant", "content": "a", "citations": [citation]}).messages
    (text,) = message.parts
    assert isinstance(text, Text)
    assert len(text.citations) == 1


def test_citations_of_thinking_stay_with_the_message():
    citation = {"start": 0, "end": 1, "type": "PLAN"}
    (message,) = decoded({"role": "assistant", "content": "a", "citations": [citation]}).messages
    assert message.parts == (Text("a"),)
    assert message.extra is not None
    assert set(message.extra.fields) == {"/citations"}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"model":"m"}', b'{"model":1,"messages":[]}'])
def test_what_is_no_request_is_refused(body: bytes):
    with pytest.raises(InvalidRequest):
        request_decode.decode(body)
