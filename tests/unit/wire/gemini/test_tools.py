import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.profile import Profile
from modelmux.ir.request import GenericTool, Request, Tool, ToolChoice
from modelmux.wire.gemini import tools
from tests.support import foreign
from tests.support.cases import case
from tests.unit.wire.gemini import translate

SCHEMA = Raw(b'{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}')


def asking(*defined: Tool | GenericTool, choice: ToolChoice | None = None) -> Request:
    return replace(foreign.request(foreign.user()), tools=defined, tool_choice=choice)


def calling(choice: ToolChoice, *defined: Tool) -> object:
    defined = defined or (Tool("f"), Tool("g"))
    config = translate.body(asking(*defined, choice=choice)).get("toolConfig", {})
    assert isinstance(config, dict)
    return config.get("functionCallingConfig")


@case(14)
@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("named", ("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            ToolChoice("allowed", ("f", "g"), required=True),
            {"mode": "ANY", "allowedFunctionNames": ["f", "g"]},
        ),
    ],
)
def test_the_choice_has_its_word(choice: ToolChoice, expected: object) -> None:
    assert calling(choice) == expected


def test_what_may_be_called_is_all_that_is_offered() -> None:
    body = translate.body(asking(Tool("f"), Tool("g"), choice=ToolChoice("allowed", ("g",))))
    assert [d["name"] for d in body["tools"][0]["functionDeclarations"]] == ["g"]  # type: ignore[index]


@case(19)
def test_without_functions_nothing_is_said_of_calling() -> None:
    own = GenericTool("googleSearch", "googleSearch", "gemini", Raw(b'{"googleSearch":{}}'))
    body = translate.body(asking(own, choice=ToolChoice("auto")))
    assert body["tools"] == [{"googleSearch": {}}]
    assert "toolConfig" not in body


def test_a_choice_of_what_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="'h'"):
        calling(ToolChoice("named", ("h",)))
    with pytest.raises(InvalidRequest, match="no tools"):
        translate.body(asking(choice=ToolChoice("required")))


def test_a_model_that_cannot_be_made_to_call_is_offered_the_one() -> None:
    request = asking(Tool("f"), Tool("g"), choice=ToolChoice("named", ("f",)))
    profile = Profile(forced_tools=False)
    assert "/tool_choice" in translate.lost(request, profile)


def test_schemas_go_verbatim_where_the_model_takes_json_schema() -> None:
    body = translate.body(asking(Tool("f", "does", SCHEMA)))
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "f",
                    "description": "does",
                    "parametersJsonSchema": msgspec.json.decode(SCHEMA),
                }
            ]
        }
    ]


@case(37, 38)
def test_schemas_are_narrowed_for_older_models() -> None:
    old = Profile(json_schema=False)
    body = translate.body(asking(Tool("f", "does", SCHEMA)), old)
    declared = body["tools"][0]["functionDeclarations"][0]  # type: ignore[index]
    assert declared["parameters"] == {"type": "object", "properties": {"a": {"type": "string"}}}
    for profile in (old, Profile()):
        bare = translate.body(asking(Tool("f", "d", Raw(b'{"type":"object"}'))), profile)
        assert bare["tools"][0]["functionDeclarations"] == [{"name": "f", "description": "d"}]  # type: ignore[index]


@case(29)
def test_names_are_made_to_fit_and_mapped_back() -> None:
    request = asking(Tool("a/b"), Tool("a_b"), Tool("1st"), Tool("x" * 70))
    restore = translate.encoded(request).restore
    assert restore is not None
    assert restore.tool_names["a_b_2"] == "a/b"
    assert restore.tool_names["_st"] == "1st"
    assert "x" * 70 in restore.tool_names.values()


@case(33)
def test_tools_that_another_provider_runs_are_refused_by_name() -> None:
    own = GenericTool("web_search", "web_search", "openai.responses", Raw(b"{}"))
    losses = translate.encoded(asking(own)).losses
    assert [loss.kind for loss in losses] == ["content"]
    assert "web_search" in losses[0].reason


@case(34, 63)
def test_what_is_not_enforced_or_marked_is_declared() -> None:
    from modelmux.ir.parts import CacheControl

    tool = Tool("f", strict=True, cache_control=CacheControl())
    assert translate.lost(asking(tool)) == ["/tools/0/strict", "/tools/0/cache_control"]


def test_names_are_the_same_on_every_turn() -> None:
    defined = (Tool("a.b"), Tool("a b"))
    assert tools.Names(defined).changed == tools.Names(defined).changed == {"a_b": "a b"}
