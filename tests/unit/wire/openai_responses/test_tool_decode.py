import pytest

from modelmux.errors import InvalidRequest
from modelmux.ir.request import GenericTool, Grammar, Tool, ToolChoice
from tests.support.cases import case
from tests.unit.wire.openai_responses.bodies import request, user

ADD = {"type": "function", "name": "add", "parameters": {"type": "object"}}


def tools(*given: object) -> tuple[Tool | GenericTool, ...]:
    return request(user(), tools=given).tools


def choice(given: object) -> ToolChoice | None:
    return request(user(), tools=[ADD], tool_choice=given).tool_choice


@case(34)
def test_a_function_is_a_tool():
    (tool,) = tools({**ADD, "description": "Sums.", "strict": True})
    assert isinstance(tool, Tool)
    assert (tool.name, tool.description, tool.strict) == ("add", "Sums.", True)
    assert bytes(tool.parameters or b"") == b'{"type":"object"}'


def test_a_custom_tool_takes_free_text_by_a_grammar():
    form = {"type": "grammar", "syntax": "regex", "definition": "a+"}
    plain, ruled = tools(
        {"type": "custom", "name": "a"}, {"type": "custom", "name": "b", "format": form}
    )
    assert isinstance(plain, Tool)
    assert isinstance(ruled, Tool)
    assert plain.custom
    assert plain.grammar is None
    assert ruled.grammar == Grammar("regex", "a+")


def test_tools_of_a_namespace_are_tools():
    inner = [ADD, {"type": "custom", "name": "note"}]
    space = {"type": "namespace", "name": "mcp__x", "description": "d", "tools": inner}
    assert [tool.name for tool in tools(space)] == ["mcp__x__add", "mcp__x__note"]
    odd = {**space, "tools": [{"type": "of_the_future"}]}
    assert isinstance(tools(odd)[0], GenericTool)


@case(33)
@pytest.mark.parametrize(
    ("kind", "optional"),
    [
        ("web_search", True),
        ("web_search_preview", True),
        ("tool_search", True),
        ("file_search", False),
        ("computer_use_preview", False),
        ("image_generation", False),
        ("mcp", False),
        ("local_shell", False),
    ],
)
def test_tools_that_the_provider_runs_are_its_own(kind: str, optional: bool):
    (tool,) = tools({"type": kind})
    assert isinstance(tool, GenericTool)
    assert (tool.type, tool.name, tool.optional) == (kind, kind, optional)


@case(14)
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("auto", ("auto", ())),
        ("none", ("none", ())),
        ("required", ("required", ())),
        ({"type": "function", "name": "add"}, ("named", ("add",))),
        ({"type": "function", "name": "add", "namespace": "m"}, ("named", ("m__add",))),
        ({"type": "custom", "name": "add"}, ("named", ("add",))),
        ({"type": "file_search"}, ("named", ("file_search",))),
        (
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "add"}],
            },
            ("allowed", ("add",)),
        ),
    ],
)
def test_every_choice_is_understood(given: object, expected: tuple[str, tuple[str, ...]]):
    found = choice(given)
    assert found is not None
    assert (found.mode, found.names) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [5]},
        {"tools": [{"type": "function"}]},
        {"tools": [{"type": "namespace", "name": "x", "tools": [5]}]},
        {"tools": [ADD], "tool_choice": "always"},
        {
            "tools": [ADD],
            "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [5]},
        },
    ],
)
def test_what_is_no_tool_and_no_choice_is_refused(fields: dict[str, object]):
    with pytest.raises(InvalidRequest) as caught:
        request(user(), **fields)
    assert (caught.value.param or "").startswith("tool")
