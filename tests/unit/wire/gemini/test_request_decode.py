import msgspec
import pytest

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Text, ToolCall, ToolResult
from modelmux.ir.request import Request
from modelmux.wire import extra
from modelmux.wire.gemini import request_decode
from tests.support.cases import case


def decode(**body: object) -> Request:
    body.setdefault("contents", [{"role": "user", "parts": [{"text": "hi"}]}])
    return request_decode.decode(msgspec.json.encode(body))


def calling(*parts: object) -> dict[str, object]:
    return {"role": "model", "parts": list(parts)}


def test_the_envelope_tells_how_many_answers_are_wanted() -> None:
    assert request_decode.envelope(b'{"generationConfig":{"candidateCount":3}}').choices == 3
    assert request_decode.envelope(b"{}").choices == 1
    with pytest.raises(InvalidRequest):
        request_decode.envelope(b"[]")


def test_a_body_without_contents_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="contents") as refused:
        request_decode.decode(b"{}")
    assert refused.value.param == "contents"


@case(26)
def test_results_find_their_calls_by_id_name_and_place() -> None:
    request = decode(
        contents=[
            calling(
                {"functionCall": {"name": "f", "args": {}}},
                {"functionCall": {"name": "g", "args": {}, "id": "own"}},
                {"functionCall": {"name": "f", "args": {}}},
            ),
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "g", "id": "own", "response": {"a": 1}}},
                    {"functionResponse": {"name": "f", "response": {"a": 2}}},
                    {"functionResponse": {"name": "h", "response": {"a": 3}}},
                ],
            },
        ]
    )
    asked = [part.id for part in request.messages[0].parts if isinstance(part, ToolCall)]
    results = [part for part in request.messages[1].parts if isinstance(part, ToolResult)]
    assert len(set(asked)) == 3
    assert [part.id for part in results] == [asked[1], asked[0], asked[2]]
    assert results[0].parts == (Text('{"a":1}'),)
    assert results[0].extra is None
    assert list(extra.losses(results[2].extra, "other")) != []


def test_a_result_without_a_call_is_read_all_the_same() -> None:
    request = decode(
        contents=[{"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}]
    )
    result = request.messages[0].parts[0]
    assert isinstance(result, ToolResult)
    assert result.id.startswith("gem_")


def test_functions_become_tools_and_google_s_own_stay_whole() -> None:
    request = decode(
        tools=[
            {"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]},
            {"googleSearch": {}},
        ]
    )
    first, second = request.tools
    assert first.name == "f"
    assert bytes(first.parameters) == b'{"type":"object"}'  # type: ignore[union-attr,arg-type]
    assert (second.type, bytes(second.raw)) == ("googleSearch", b'{"googleSearch":{}}')  # type: ignore[union-attr]


@case(14)
@pytest.mark.parametrize(
    ("said", "mode", "names"),
    [
        ({"mode": "AUTO"}, "auto", ()),
        ({"mode": "NONE"}, "none", ()),
        ({"mode": "ANY"}, "required", ()),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, "named", ("f",)),
        ({"mode": "ANY", "allowedFunctionNames": ["f", "g"]}, "allowed", ("f", "g")),
        ({"mode": "VALIDATED"}, "auto", ()),
    ],
)
def test_the_choice_of_functions_is_neutral(said: object, mode: str, names: object) -> None:
    choice = decode(toolConfig={"functionCallingConfig": said}).tool_choice
    assert choice is not None
    assert (choice.mode, choice.names) == (mode, names)


@case(51)
@pytest.mark.parametrize(
    ("said", "mode", "effort", "budget"),
    [
        ({"thinkingBudget": 0}, "disabled", None, None),
        ({"thinkingBudget": -1}, "adaptive", None, None),
        ({"thinkingBudget": 512}, "enabled", None, 512),
        ({"thinkingLevel": "HIGH"}, "enabled", "high", None),
        ({"includeThoughts": True}, "enabled", None, None),
        ({"includeThoughts": False}, None, None, None),
    ],
)
def test_thinking_is_neutral(
    said: object, mode: str | None, effort: str | None, budget: int | None
) -> None:
    options = decode(generationConfig={"thinkingConfig": said}).reasoning
    assert options is not None
    assert (options.mode, options.effort, options.budget_tokens) == (mode, effort, budget)
    assert options.extra is None


@case(39, 40)
@pytest.mark.parametrize(
    ("said", "type_"),
    [
        ({"responseMimeType": "application/json"}, "json_object"),
        (
            {"responseMimeType": "application/json", "responseSchema": {"type": "STRING"}},
            "json_schema",
        ),
        ({"responseJsonSchema": {"type": "string"}}, "json_schema"),
        ({"responseMimeType": "text/plain"}, "text"),
    ],
)
def test_the_form_of_the_answer_is_neutral(said: object, type_: str) -> None:
    form = decode(generationConfig=said).response_format
    assert form is not None
    assert form.type == type_
    if type_ == "json_schema":
        assert bytes(form.schema) == b'{"type":"string"}'  # type: ignore[arg-type]


def test_a_form_that_only_gemini_knows_is_kept() -> None:
    config = {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING"}}
    request = decode(generationConfig=config)
    assert request.response_format is None
    assert request.extra is not None
    assert set(request.extra.fields) == {
        "/generationConfig/responseMimeType",
        "/generationConfig/responseSchema",
    }


def test_two_schemas_of_one_thing_are_both_kept() -> None:
    both = {"responseSchema": {"type": "STRING"}, "responseJsonSchema": {"type": "string"}}
    assert decode(generationConfig=both).extra is not None
    function = {"name": "f", "parameters": {"type": "OBJECT"}, "parametersJsonSchema": {}}
    assert decode(tools=[{"functionDeclarations": [function]}]).tools[0].extra is not None  # type: ignore[union-attr]


@case(110)
def test_a_request_to_count_may_hold_a_whole_one() -> None:
    inner = {"model": "models/m", "contents": [{"parts": [{"text": "hi"}]}]}
    body = msgspec.json.encode({"generateContentRequest": inner})
    assert request_decode.decode_count(body).messages[0].parts == (Text("hi"),)
    bare = msgspec.json.encode({"contents": inner["contents"]})
    assert request_decode.decode_count(bare).messages[0].parts == (Text("hi"),)
    with pytest.raises(InvalidRequest):
        request_decode.decode_count(b"7")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"contents": [{"parts": [{"inlineData": {"data": "x"}}]}]}, r"inlineData\.mimeType"),
        ({"contents": 7}, "contents"),
        ({"tools": [7]}, r"tools\[0\]"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "name"),
        ({"generationConfig": {"temperature": "hot"}}, r"generationConfig\.temperature"),
    ],
)
def test_a_mistake_is_named(body: dict[str, object], where: str) -> None:
    with pytest.raises(InvalidRequest, match=where):
        decode(**body)
