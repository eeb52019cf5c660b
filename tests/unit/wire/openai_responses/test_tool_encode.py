import pytest
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import CacheControl
from modelmux.ir.request import GenericTool, Grammar, Request, Tool, ToolChoice
from tests.support import foreign
from tests.support.cases import case
from tests.unit.wire.openai_responses.bodies import encoded, lost

SCHEMA = Raw(b'{"type":"object","properties":{"b":{},"a":{}}}')


def request(*tools: Tool | GenericTool, **fields: object) -> Request:
    return replace(foreign.request(foreign.user()), tools=tools, **fields)


@case(34, 64)
def test_a_function_that_says_nothing_of_it_is_not_strict():
    (tool,) = encoded(request(Tool("f", "Does.", SCHEMA)))["tools"]
    assert tool["strict"] is False  # which would be the API's default
    assert list(tool["parameters"]["properties"]) == ["b", "a"]
    (tool,) = encoded(request(Tool("f", strict=True)))["tools"]
    assert tool["strict"] is True
    assert tool["parameters"] == {"type": "object", "properties": {}}


@case(38)
def test_a_schema_without_properties_gets_none_of_them():
    (tool,) = encoded(request(Tool("f", parameters=Raw(b'{"type":"object"}'))))["tools"]
    assert tool["parameters"]["properties"] == {}
    with pytest.raises(InvalidRequest, match="parameters of 'f'"):
        encoded(request(Tool("f", parameters=Raw(b"5"))))


def test_a_custom_tool_is_said_with_its_grammar():
    tool = Tool("f", custom=True, grammar=Grammar("lark", "start: X"))
    (said,) = encoded(request(tool))["tools"]
    form = {"type": "grammar", "syntax": "lark", "definition": "start: X"}
    assert said == {"type": "custom", "name": "f", "format": form}


@case(29)
def test_a_name_that_is_not_allowed_is_replaced():
    assert encoded(request(Tool("a.b")))["tools"][0]["name"] == "a_b"


@case(14)
@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("auto"), "auto"),
        (ToolChoice("none"), "none"),
        (ToolChoice("required"), "required"),
        (ToolChoice("named", ("f",)), {"type": "function", "name": "f"}),
        (ToolChoice("named", ("c",)), {"type": "custom", "name": "c"}),
        (
            ToolChoice("allowed", ("f",), required=True),
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}],
            },
        ),
    ],
)
def test_every_choice_is_said(choice: ToolChoice, expected: object):
    given = request(Tool("f"), Tool("c", custom=True), tool_choice=choice)
    assert encoded(given)["tool_choice"] == expected


@case(18, 35)
def test_without_tools_nothing_is_said_of_them():
    given = request(tool_choice=ToolChoice("auto"), parallel_tool_calls=False)
    assert "tool_choice" not in encoded(given)
    assert encoded(replace(given, tools=(Tool("f"),)))["parallel_tool_calls"] is False


@case(33)
def test_another_providers_tools_are_lost_by_how_much_they_matter():
    search = GenericTool("web_search_20250305", "web_search", "anthropic.messages", Raw(b"{}"))
    given = request(search, replace(search, optional=True), Tool("f", cache_control=CacheControl()))
    assert lost(given) == [
        ("/tools/0", "content"),
        ("/tools/1", "tuning"),
        ("/tools/2/cache_control", "tuning"),
    ]
