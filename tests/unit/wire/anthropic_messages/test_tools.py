import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import CacheControl, Extra
from modelmux.ir.request import GenericTool, Loss, Request, Tool, ToolChoice
from modelmux.wire.anthropic_messages import tools
from modelmux.wire.anthropic_messages.schema import NAME
from modelmux.wire.anthropic_messages.tools import Choice, Names
from tests.support import foreign
from tests.support.cases import case

CLOSED = Raw(b'{"type":"object","properties":{},"additionalProperties":false}')


def named(*names: str) -> tuple[Tool, ...]:
    return tuple(Tool(name) for name in names)


def request(*offered: Tool | GenericTool, choice: ToolChoice | None = None) -> Request:
    return replace(foreign.request(foreign.user()), tools=offered, tool_choice=choice)


def said(*offered: Tool | GenericTool, only: frozenset[str] | None = None):
    losses: list[Loss] = []
    made = tools.definitions(request(*offered), Names(offered), only, losses)
    return msgspec.json.decode(msgspec.json.encode(made)), losses


@case(29)
@pytest.mark.parametrize(
    ("name", "as_said"),
    [
        ("get_weather-2", "get_weather-2"),
        ("mcp.server/tool", "mcp_server_tool"),
        ("wetter für Köln", "wetter_f_r_K_ln"),
        ("a" * 100, "a" * 64),
        ("", "_"),
    ],
)
def test_names_are_made_to_fit(name, as_said):
    assert Names(named(name)).say(name) == as_said


@case(29)
def test_names_that_would_be_the_same_are_told_apart():
    names = Names(named("a.b", "a/b", "a_b", "c" * 80, "c" * 90))
    assert [names.say(name) for name in ("a.b", "a/b", "a_b")] == ["a_b_2", "a_b_3", "a_b"]
    assert names.say("c" * 90) == "c" * 62 + "_2"
    assert names.changed == {
        "a_b_2": "a.b",
        "a_b_3": "a/b",
        "c" * 64: "c" * 80,
        "c" * 62 + "_2": "c" * 90,
    }


@case(29)
@given(st.lists(st.text(max_size=70), max_size=8, unique=True))
def test_every_name_fits_and_comes_back(callers):
    names = Names(named(*callers))
    as_said = [names.say(name) for name in callers]
    assert len(set(as_said)) == len(callers)
    for name, fitted in zip(callers, as_said, strict=True):
        assert tools._VALID.fullmatch(fitted)
        assert names.changed.get(fitted, fitted) == name


@case(64)
def test_names_are_the_same_on_every_turn():
    first, later = Names(named("a.b", "c")), Names(named("a.b", "c"))
    later.say("d.e")
    assert later.say("a.b") == first.say("a.b")


def test_a_reserved_name_is_nobodys():
    names = Names(named("answer"))
    assert names.reserve("answer") == "answer_2"
    assert names.say("answer_2") == "answer_2_2"
    assert "answer_2" not in names.changed


def test_a_tool_is_said_with_all_there_is_to_it():
    tool = Tool("f", "d", CLOSED, True, CacheControl("1h"))
    assert said(tool) == (
        [
            {
                "name": "f",
                "description": "d",
                "input_schema": msgspec.json.decode(CLOSED),
                "strict": True,
                "cache_control": {"type": "ephemeral", "ttl": "1h"},
            }
        ],
        [],
    )


@case(38)
@pytest.mark.parametrize(
    ("parameters", "schema"),
    [
        (None, {"type": "object"}),
        (b"{}", {"type": "object"}),
        (b'{"properties":{"a":{}}}', {"type": "object", "properties": {"a": {}}}),
        (b'{"type":"object"}', {"type": "object"}),
    ],
)
def test_a_schema_says_that_it_is_of_an_object(parameters, schema):
    ((tool,), _) = said(Tool("f", parameters=Raw(parameters) if parameters else None))
    assert tool["input_schema"] == schema


@case(64)
def test_a_schema_keeps_every_byte():
    schema = Raw(b'{ "type" : "object" }')
    losses: list[Loss] = []
    tool = Tool("f", parameters=schema)
    (made,) = tools.definitions(request(tool), Names((tool,)), None, losses)
    assert b'"input_schema":{ "type" : "object" }' in msgspec.json.encode(made)


@pytest.mark.parametrize("parameters", [b"[]", b"true", b'"x"'])
def test_a_schema_that_is_no_object_is_refused(parameters):
    with pytest.raises(InvalidRequest) as caught:
        said(Tool("e"), Tool("f", parameters=Raw(parameters)))
    assert caught.value.param == "tools[1].parameters"


@case(34)
@pytest.mark.parametrize(
    ("tool", "strict", "lost"),
    [
        (Tool("f", parameters=CLOSED, strict=True), True, False),
        (Tool("f", parameters=CLOSED, strict=False), None, False),
        (Tool("f", parameters=CLOSED), None, False),
        (Tool("f", parameters=Raw(b'{"type":"object","properties":{}}'), strict=True), None, True),
        (Tool("f", strict=True), None, True),
        (
            Tool(
                "f",
                parameters=Raw(
                    b'{"type":"object","properties":{"a":{"type":"integer","minimum":1}},'
                    b'"additionalProperties":false}'
                ),
                strict=True,
            ),
            None,
            True,
        ),
    ],
)
def test_strictness_is_kept_where_the_schema_can_be_enforced(tool, strict, lost):
    ((made,), losses) = said(tool)
    assert made.get("strict") is strict
    assert [loss.path for loss in losses] == (["/tools/0/strict"] if lost else [])


@case(34)
def test_an_enforced_schema_is_closed():
    schema = {"type": "object", "properties": {"a": {}}}
    ((made,), losses) = said(Tool("f", parameters=Raw(msgspec.json.encode(schema)), strict=True))
    assert made["input_schema"] == {**schema, "additionalProperties": False}
    assert made["strict"] is True
    assert losses == []


@case(33)
def test_tools_that_another_provider_runs_are_lost():
    theirs = GenericTool("code_interpreter", "", "other", Raw(b"{}"))
    own = GenericTool("web_search_20260318", "web_search", NAME, Raw(b'{"type":"w"}'))
    assert said(theirs, own) == (
        [{"type": "w"}],
        [
            Loss(
                "/tools/0",
                f"{NAME} has no tool 'code_interpreter' of type 'code_interpreter'",
                "content",
            )
        ],
    )


@case(54)
def test_unknown_fields_of_a_tool_are_lost():
    tool = Tool("f", extra=Extra("other", {"/x": Raw(b"1")}, "/tools/0/function"))
    _, losses = said(tool)
    assert [loss.path for loss in losses] == ["/tools/0/function/x"]


@case(14)
def test_only_those_that_may_be_called_are_offered():
    made, _ = said(*named("a", "b", "c"), only=frozenset({"a", "c"}))
    assert [tool["name"] for tool in made] == ["a", "c"]


@case(14)
@pytest.mark.parametrize(
    ("asked", "choice"),
    [
        (None, Choice(None)),
        (ToolChoice("auto"), Choice("auto")),
        (ToolChoice("none"), Choice("none")),
        (ToolChoice("required"), Choice("any")),
        (ToolChoice("named", ("a",)), Choice("tool", "a")),
        (ToolChoice("allowed", ("a",)), Choice("auto", only=frozenset({"a"}))),
        (
            ToolChoice("allowed", ("a", "b"), required=True),
            Choice("any", only=frozenset({"a", "b"})),
        ),
    ],
)
def test_the_callers_choice(asked, choice):
    assert tools.choice(request(*named("a", "b"), choice=asked)) == choice


@case(14)
@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        (ToolChoice("named", ("z",)), named("a")),
        (ToolChoice("allowed", ("a", "z")), named("a")),
        (ToolChoice("required"), ()),
    ],
)
def test_a_tool_that_is_not_there_cannot_be_chosen(asked, offered):
    with pytest.raises(InvalidRequest) as caught:
        tools.choice(request(*offered, choice=asked))
    assert caught.value.param == "tool_choice"


@case(17)
@pytest.mark.parametrize(
    ("forced", "free"),
    [
        (Choice("any"), Choice("auto")),
        (Choice("tool", "a"), Choice("auto", only=frozenset({"a"}))),
        (Choice("any", only=frozenset({"a"})), Choice("auto", only=frozenset({"a"}))),
    ],
)
def test_a_model_that_thinks_is_only_offered_what_it_should_call(forced, free):
    losses: list[Loss] = []
    assert tools.unforced(forced, losses) == free
    assert [loss.path for loss in losses] == ["/tool_choice"]
