import pytest
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import CacheControl, Text
from modelmux.ir.request import (
    Envelope,
    GenericTool,
    Message,
    ReasoningOptions,
    Sampling,
    Tool,
    ToolChoice,
)
from modelmux.wire.bedrock_converse import request_decode
from tests.support.cases import case
from tests.support.goldens import ROOT


def golden(name: str) -> bytes:
    return (ROOT / "bedrock.converse" / name / "request.json").read_bytes()


def test_a_body_says_neither_model_nor_stream():
    assert request_decode.envelope(b"{}") == Envelope("")
    with pytest.raises(InvalidRequest):
        request_decode.envelope(b"[]")


def test_the_configuration_of_inference_is_limit_and_sampling():
    request = request_decode.decode(golden("plain-text"))
    assert request.max_tokens == 512
    assert request.sampling == Sampling(0.5, 0.9)


def test_the_system_comes_first_and_is_marked_as_it_was():
    request = request_decode.decode(golden("system-and-turns"))
    assert request.messages[0] == Message(
        "system", (Text("You are terse.", cache_control=CacheControl("1h")),)
    )


def test_tools_and_the_choice_among_them():
    request = request_decode.decode(golden("forced-tool"))
    (tool,) = request.tools
    assert isinstance(tool, Tool)
    assert (tool.name, tool.strict) == ("get_weather", True)
    assert request.tool_choice == ToolChoice("named", ("get_weather",))


@case(33)
def test_a_tool_that_the_provider_runs_is_its_own():
    (tool,) = request_decode.decode(golden("server-tools")).tools
    assert isinstance(tool, GenericTool)
    assert (tool.type, tool.name, tool.wire) == ("systemTool", "nova_grounding", "bedrock.converse")


@case(39, 51)
def test_the_form_of_the_answer_and_the_effort():
    form = request_decode.decode(golden("structured-output")).response_format
    assert form is not None
    assert (form.type, form.name, form.description) == ("json_schema", "city", "A city")
    assert bytes(form.schema or Raw())[:1] == b"{"
    assert request_decode.decode(golden("reasoning")).reasoning == ReasoningOptions(effort="high")


def test_guardrails_are_content_and_a_service_tier_is_not():
    extra = request_decode.decode(golden("guardrail")).extra
    assert extra is not None
    assert extra.content == {"/guardrailConfig"}
    extra = request_decode.decode(golden("unknown-fields")).extra
    assert extra is not None
    assert extra.content == frozenset()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"messages":[{"role":"robot","content":[]}]}', "messages[0].role"),
        (b'{"messages":[{"role":"user"}]}', "messages[0].content"),
        (b'{"messages":[{"role":"user","content":["x"]}]}', "messages[0].content[0]"),
        (b'{"messages":[{"role":"user","content":[{"text":5}]}]}', "messages[0].content[0].text"),
        (b'{"toolConfig":{"tools":[5]}}', "toolConfig.tools[0]"),
        (
            b'{"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":'
            b'{"schema":"["}}}}}',
            "outputConfig.textFormat.structure.jsonSchema.schema",
        ),
    ],
)
def test_a_mistake_is_named(body: bytes, param: str):
    with pytest.raises(InvalidRequest) as caught:
        request_decode.decode(body)
    assert caught.value.param == param
