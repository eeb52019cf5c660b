import msgspec
import pytest
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import CacheControl, Extra
from modelmux.ir.request import GenericTool, Grammar, Loss, Tool, ToolChoice
from modelmux.wire.openai.names import Names
from modelmux.wire.openai_chat import tools
from tests.support import foreign
from tests.support.cases import case
from tests.unit.wire.openai_chat.chat import lost

SCHEMA = Raw(b'{"type":"object","properties":{"b":{},"a":{}}}')


def said(
    *given: Tool | GenericTool,
    choice: ToolChoice | None = None,
    parallel: bool | None = None,
    expected: list[str] | None = None,
) -> dict[str, object]:
    request = msgspec.structs.replace(
        foreign.request(foreign.user()),
        tools=given,
        tool_choice=choice,
        parallel_tool_calls=parallel,
    )
    losses: list[Loss] = []
    out: dict[str, object] = {}
    tools.encode(request, Names([tool.name for tool in given]), losses, out)
    assert lost(losses) == (expected or [])
    return msgspec.json.decode(msgspec.json.encode(out))


@case(34, 64)
def test_a_tool_is_a_function_with_its_schema_as_it_came() -> None:
    (tool,) = said(Tool("f", "Does.", SCHEMA, strict=True))["tools"]
    function = {"name": "f", "description": "Does.", "strict": True}
    parameters = {"type": "object", "properties": {"b": {}, "a": {}}}
    assert tool == {"type": "function", "function": {**function, "parameters": parameters}}
    assert list(tool["function"]["parameters"]["properties"]) == ["b", "a"]


@case(38)
@pytest.mark.parametrize("schema", [b'{"type":"object"}', b"{}"])
def test_a_schema_without_properties_gets_none_of_them(schema: bytes) -> None:
    (tool,) = said(Tool("f", parameters=Raw(schema)))["tools"]
    assert tool["function"]["parameters"]["properties"] == {}


def test_a_tool_without_a_schema_has_no_parameters() -> None:
    assert said(Tool("f"))["tools"] == [{"type": "function", "function": {"name": "f"}}]


@pytest.mark.parametrize("schema", [b"5", b"\xff"])
def test_a_schema_that_is_none_is_refused(schema: bytes) -> None:
    with pytest.raises(InvalidRequest, match="parameters of 'f'"):
        said(Tool("f", parameters=Raw(schema)))


@case(33)
def test_another_providers_own_tool_is_a_loss_of_content() -> None:
    losses: list[Loss] = []
    tool = GenericTool("web_search_20250305", "web_search", "anthropic.messages", Raw(b"{}"))
    request = msgspec.structs.replace(foreign.request(foreign.user()), tools=(tool,))
    out: dict[str, object] = {}
    tools.encode(request, Names(), losses, out)
    assert out == {}
    assert [(loss.path, loss.kind) for loss in losses] == [("/tools/0", "content")]
    assert "web_search_20250305" in losses[0].reason


@case(63)
def test_marks_and_fields_of_another_wires_tool_are_lost() -> None:
    kept = Extra("other", {"/x": Raw(b"1")}, "/tools/0")
    cache = CacheControl(extra=Extra("other", {"/scope": Raw(b"1")}, "/tools/0/cache_control"))
    said(
        Tool("f", cache_control=cache, extra=kept),
        expected=["/tools/0/cache_control", "/tools/0/cache_control/scope", "/tools/0/x"],
    )


@case(14)
@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("auto"), "auto"),
        (ToolChoice("none"), "none"),
        (ToolChoice("required"), "required"),
        (ToolChoice("named", ("f",)), {"type": "function", "function": {"name": "f"}}),
        (ToolChoice("named", ("c",)), {"type": "custom", "custom": {"name": "c"}}),
        (ToolChoice("named", ("a.b",)), {"type": "function", "function": {"name": "a_b"}}),
        (
            ToolChoice("allowed", ("f",), required=True),
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
        ),
        (
            ToolChoice("allowed", ("c",)),
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "custom", "custom": {"name": "c"}}],
                },
            },
        ),
    ],
)
def test_every_choice_among_tools_is_said(choice: ToolChoice, expected: object) -> None:
    custom = Tool("c", custom=True)
    assert said(Tool("f"), Tool("a.b"), custom, choice=choice)["tool_choice"] == expected


@case(14)
def test_a_tool_of_free_text_is_said_with_its_grammar() -> None:
    tool = Tool("c", "Sums.", custom=True, grammar=Grammar("lark", "start: X"))
    form = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: X"}}
    expected = {"name": "c", "description": "Sums.", "format": form}
    assert said(tool)["tools"] == [{"type": "custom", "custom": expected}]


@case(18)
@pytest.mark.parametrize("parallel", [True, False])
def test_calls_at_once_are_allowed_or_not(parallel: bool) -> None:
    assert said(Tool("f"), parallel=parallel)["parallel_tool_calls"] is parallel


@case(35)
def test_without_tools_nothing_is_said_of_them() -> None:
    assert said(choice=ToolChoice("auto"), parallel=False) == {}


@case(29)
def test_a_name_that_is_not_allowed_is_replaced() -> None:
    assert said(Tool("a.b"))["tools"] == [{"type": "function", "function": {"name": "a_b"}}]
