import msgspec
import pytest
from anthropic.types.beta.message_create_params import (
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)
from msgspec import Raw
from msgspec.structs import replace
from pydantic import TypeAdapter

from modelmux.errors import InvalidRequest, Unrepresentable
from modelmux.ir.parts import CacheControl, Extra, Reasoning, Text, ToolCall, ToolResult
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import (
    Encoded,
    GenericTool,
    ReasoningOptions,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from modelmux.ir.restore import Restore
from modelmux.wire.anthropic_messages import request_decode, request_encode, structured
from modelmux.wire.anthropic_messages.schema import NAME
from tests.support import foreign
from tests.support.cases import case
from tests.support.foreign import answered, assistant, called, plain, said, user
from tests.support.goldens import goldens

FOREIGN = [golden for golden in goldens("request.json") if golden.wire_name != NAME]
OLDER = {"temperature", "top_p", "top_k"}
SDK = {
    False: TypeAdapter(MessageCreateParamsNonStreaming),
    True: TypeAdapter(MessageCreateParamsStreaming),
}

REQUEST = foreign.request(user())
LIMITED = Profile(max_output_tokens=8_000)
BY_TOOL = Profile(max_output_tokens=8_000, structured_output="tool", reasoning="budget")
BUDGET = Profile(max_output_tokens=64_000, reasoning="budget")
SCHEMA = {"type": "object", "properties": {"a": {}}, "additionalProperties": False}
FORM = ResponseFormat("json_schema", "person", schema=Raw(msgspec.json.encode(SCHEMA)))
THINK = ReasoningOptions(effort="high")
TOOL = Tool("f", parameters=Raw(b'{"type":"object"}'))
F = {"name": "f", "input_schema": {"type": "object"}}


def encode(profile: Profile = LIMITED, /, *, messages=None, **fields: object) -> Encoded:
    request = replace(REQUEST, **fields)
    if messages is not None:
        request = replace(request, messages=tuple(messages))
    return request_encode.encode(request, profile)


def body(encoded: Encoded) -> dict[str, object]:
    return msgspec.json.decode(encoded.body)


def lost(encoded: Encoded) -> list[str]:
    return [loss.path for loss in encoded.losses]


def test_the_least_that_a_request_says():
    encoded = encode()
    assert encoded == Encoded(
        b'{"model":"m","max_tokens":8000,"messages":[{"role":"user","content":"hi"}]}'
    )


@case(52)
def test_everything_that_has_a_word_is_said():
    encoded = encode(
        messages=[plain("system", "s"), user(), assistant(), user()],
        tools=(TOOL,),
        tool_choice=ToolChoice("auto"),
        max_tokens=100,
        sampling=Sampling(0.5, 0.9, 40, stop=("END",)),
        user="u",
        stream=True,
    )
    assert body(encoded) == {
        "model": "m",
        "max_tokens": 100,
        "system": "s",
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"},
            {"role": "user", "content": "hi"},
        ],
        "tools": [F],
        "tool_choice": {"type": "auto"},
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u"},
        "stream": True,
    }
    assert encoded.losses == ()
    assert encoded.restore is None


@case(4)
def test_a_system_prompt_of_several_texts_is_a_list_of_them():
    encoded = encode(messages=[plain("system", "a"), plain("developer", "b"), user()])
    assert body(encoded)["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    marked = said("system", Text("a", cache_control=CacheControl()))
    assert body(encode(messages=[marked, user()]))["system"] == [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    ]


@case(49)
def test_several_answers_are_refused():
    with pytest.raises(Unrepresentable) as caught:
        encode(choices=2)
    assert (caught.value.param, len(caught.value.losses)) == ("n", 1)


@case(35)
def test_an_empty_list_of_tools_is_not_sent():
    assert "tools" not in body(encode(tools=(), tool_choice=ToolChoice("auto")))


@case(14)
@pytest.mark.parametrize(
    ("choice", "said_as"),
    [
        (ToolChoice("auto"), {"type": "auto"}),
        (ToolChoice("none"), {"type": "none"}),
        (ToolChoice("required"), {"type": "any"}),
        (ToolChoice("named", ("f",)), {"type": "tool", "name": "f"}),
    ],
)
def test_the_choice_among_tools(choice, said_as):
    assert body(encode(tools=(TOOL,), tool_choice=choice))["tool_choice"] == said_as


@case(14)
@pytest.mark.parametrize(("required", "type_"), [(False, "auto"), (True, "any")])
def test_tools_that_may_not_be_called_are_not_offered(required, type_):
    tools = (TOOL, Tool("g"), Tool("h"))
    encoded = encode(tools=tools, tool_choice=ToolChoice("allowed", ("g", "h"), required))
    assert [tool["name"] for tool in body(encoded)["tools"]] == ["g", "h"]
    assert body(encoded)["tool_choice"] == {"type": type_}
    assert encoded.losses == ()


@case(14)
@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("named", ("f",))])
def test_a_choice_without_tools_is_refused(choice):
    with pytest.raises(InvalidRequest) as caught:
        encode(tool_choice=choice)
    assert caught.value.param == "tool_choice"


@case(18)
@pytest.mark.parametrize(
    ("choice", "parallel", "said_as"),
    [
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (None, True, None),
        (ToolChoice("required"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("none"), False, {"type": "none"}),
    ],
)
def test_one_tool_at_a_time(choice, parallel, said_as):
    encoded = encode(tools=(TOOL,), tool_choice=choice, parallel_tool_calls=parallel)
    assert body(encoded).get("tool_choice") == said_as
    assert encoded.losses == ()


@case(18)
def test_one_tool_at_a_time_without_tools_says_nothing():
    assert "tool_choice" not in body(encode(parallel_tool_calls=False))


@case(29)
def test_names_that_do_not_fit_come_back_in_the_answer():
    encoded = encode(
        messages=[user(), called("a", name="x.y"), answered("a")],
        tools=(Tool("x.y"), TOOL),
        tool_choice=ToolChoice("named", ("x.y",)),
    )
    assert [tool["name"] for tool in body(encoded)["tools"]] == ["x_y", "f"]
    assert body(encoded)["tool_choice"] == {"type": "tool", "name": "x_y"}
    assert encoded.restore == Restore(tool_names={"x_y": "x.y"})
    assert encoded.losses == ()


def test_a_model_without_tools_is_offered_none():
    encoded = encode(Profile(tools=False), tools=(TOOL,), tool_choice=ToolChoice("named", ("f",)))
    assert "tools" not in body(encoded)
    assert [(loss.path, loss.kind) for loss in encoded.losses] == [("/tools", "content")]


@case(33)
def test_a_choice_among_tools_that_are_all_lost_is_lost_with_them():
    theirs = GenericTool("computer", "c", "other", Raw(b"{}"))
    encoded = encode(tools=(theirs,), tool_choice=ToolChoice("required"))
    assert "tools" not in body(encoded)
    assert "tool_choice" not in body(encoded)
    assert lost(encoded) == ["/tools/0"]


@case(45, 51)
def test_thinking_is_within_the_limit_of_the_answer():
    encoded = encode(BUDGET, reasoning=THINK, max_tokens=4_000)
    assert body(encoded)["thinking"] == {"type": "enabled", "budget_tokens": 3_000}
    assert body(encoded)["max_tokens"] == 4_000
    encoded = encode(Profile(reasoning="adaptive"), reasoning=THINK)
    assert body(encoded)["thinking"] == {"type": "adaptive"}
    assert body(encoded)["output_config"] == {"effort": "high"}


@case(46)
def test_a_model_that_thinks_is_not_told_how_to_sample():
    encoded = encode(BUDGET, reasoning=THINK, sampling=Sampling(0.5))
    assert "temperature" not in body(encoded)
    assert lost(encoded) == ["/sampling/temperature"]


@case(17)
def test_a_model_that_thinks_is_not_made_to_call_a_tool():
    encoded = encode(
        BUDGET, reasoning=THINK, tools=(TOOL, Tool("g")), tool_choice=ToolChoice("named", ("f",))
    )
    assert body(encoded)["tools"] == [F]
    assert body(encoded)["tool_choice"] == {"type": "auto"}
    assert lost(encoded) == ["/tool_choice"]


@case(17)
def test_a_model_that_cannot_be_made_to_call_a_tool_is_only_offered_it():
    encoded = encode(
        Profile(forced_tools=False),
        tools=(TOOL, Tool("g")),
        tool_choice=ToolChoice("named", ("f",)),
    )
    assert body(encoded)["tools"] == [F]
    assert body(encoded)["tool_choice"] == {"type": "auto"}
    assert lost(encoded) == ["/tool_choice"]


@case(17)
def test_a_model_that_is_told_not_to_think_is_made_to_call_a_tool():
    encoded = encode(
        BUDGET,
        reasoning=ReasoningOptions("disabled"),
        tools=(TOOL,),
        tool_choice=ToolChoice("required"),
    )
    assert body(encoded)["tool_choice"] == {"type": "any"}
    assert encoded.losses == ()


def test_a_model_does_not_think_before_it_goes_on_with_an_answer():
    encoded = encode(BUDGET, messages=[user(), assistant("So")], reasoning=THINK)
    assert "thinking" not in body(encoded)
    assert lost(encoded) == ["/reasoning"]


@case(55, 58)
def test_a_model_whose_thoughts_are_missing_does_not_think_on():
    foreign_thought = said("assistant", Reasoning("t"), ToolCall("a", "f"))
    messages = [user(), foreign_thought, answered("a")]
    encoded = encode(BUDGET, messages=messages, reasoning=THINK, max_tokens=100)
    assert "thinking" not in body(encoded)
    assert body(encoded)["max_tokens"] == 100
    assert lost(encoded) == ["/messages/1/parts/0", "/reasoning"]


@case(55)
def test_a_model_that_gets_its_thoughts_back_thinks_on():
    thought = said("assistant", Reasoning("t", "s", origin=NAME), ToolCall("a", "f"))
    encoded = encode(BUDGET, messages=[user(), thought, answered("a")], reasoning=THINK)
    assert "thinking" in body(encoded)
    assert encoded.losses == ()


@case(39)
def test_the_form_of_the_answer_is_enforced_where_the_model_can():
    encoded = encode(response_format=FORM, tools=(TOOL,))
    assert body(encoded)["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert body(encoded)["tools"] == [F]
    assert encoded.restore is None
    assert encoded.losses == ()


@case(39)
def test_the_form_of_the_answer_is_a_tool_that_must_be_called():
    encoded = encode(BY_TOOL, response_format=FORM)
    assert body(encoded)["tools"] == [
        {"name": "person", "description": request_encode.ANSWER_TOOL, "input_schema": SCHEMA}
    ]
    assert body(encoded)["tool_choice"] == {
        "type": "tool",
        "name": "person",
        "disable_parallel_tool_use": True,
    }
    assert encoded.restore == Restore(format_tool="person")
    assert encoded.losses == ()


@case(39, 41)
@pytest.mark.parametrize("choice", [None, ToolChoice("auto"), ToolChoice("allowed", ("f",))])
def test_beside_the_callers_tools_the_model_answers_or_calls(choice):
    encoded = encode(BY_TOOL, response_format=FORM, tools=(TOOL,), tool_choice=choice)
    assert [tool["name"] for tool in body(encoded)["tools"]] == ["f", "person"]
    assert body(encoded)["tool_choice"] == {"type": "any"}
    assert encoded.restore == Restore(format_tool="person")


@case(41)
def test_a_caller_who_wants_no_tool_called_gets_the_answer():
    encoded = encode(BY_TOOL, response_format=FORM, tools=(TOOL,), tool_choice=ToolChoice("none"))
    assert body(encoded)["tool_choice"] == {
        "type": "tool",
        "name": "person",
        "disable_parallel_tool_use": True,
    }


@case(41)
@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("named", ("f",))])
def test_a_caller_who_wants_a_tool_called_gets_no_answer_to_form(choice):
    encoded = encode(BY_TOOL, response_format=FORM, tools=(TOOL,), tool_choice=choice)
    assert body(encoded)["tools"] == [F]
    assert encoded.restore is None


@case(18, 41)
def test_one_tool_at_a_time_holds_for_the_form_too():
    encoded = encode(BY_TOOL, response_format=FORM, tools=(TOOL,), parallel_tool_calls=False)
    assert body(encoded)["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}


@case(39)
def test_the_form_has_a_name_that_is_nobodys():
    encoded = encode(BY_TOOL, response_format=FORM, tools=(Tool("person"),))
    assert encoded.restore == Restore(format_tool="person_2")


@case(39)
def test_a_model_that_must_call_a_tool_to_answer_does_not_think():
    encoded = encode(BY_TOOL, response_format=FORM, reasoning=THINK)
    assert "thinking" not in body(encoded)
    assert lost(encoded) == ["/reasoning"]


@case(40, 42)
def test_json_of_any_kind_is_asked_for_after_all_else_the_system_says():
    form = ResponseFormat("json_object")
    encoded = encode(messages=[plain("system", "s"), user()], response_format=form)
    assert body(encoded)["system"] == [
        {"type": "text", "text": "s"},
        {"type": "text", "text": structured.JSON_ONLY},
    ]
    assert encoded.restore == Restore(fenced_json=True)
    assert body(encode(response_format=form))["system"] == structured.JSON_ONLY


@case(63)
def test_only_as_many_cache_markers_are_kept_as_the_api_takes():
    marker = CacheControl()
    encoded = encode(
        messages=[
            said("system", Text("s", cache_control=marker)),
            said("user", Text("a", cache_control=marker), Text("b", cache_control=marker)),
            said("assistant", ToolCall("i", "f", cache_control=marker)),
            said("user", ToolResult("i", (Text("r"),), cache_control=marker)),
        ],
        tools=(Tool("f", cache_control=marker),),
    )
    assert encoded.body.count(b'"cache_control"') == 4
    assert "cache_control" not in body(encoded)["tools"][0]
    assert body(encoded)["system"] == [{"type": "text", "text": "s"}]
    assert lost(encoded) == ["/messages"]


@case(63)
def test_as_many_cache_markers_as_the_api_takes_are_kept():
    marker = CacheControl()
    texts = [Text(str(number), cache_control=marker) for number in range(4)]
    encoded = encode(messages=[said("user", *texts)])
    assert encoded.body.count(b'"cache_control"') == 4
    assert encoded.losses == ()


@case(54)
def test_unknown_fields_are_lost_wherever_they_are():
    def extra(at: str) -> Extra:
        return Extra("other", {"/x": Raw(b"1")}, at)

    encoded = encode(
        extra=extra(""),
        tools=(TOOL,),
        tool_choice=ToolChoice("auto", extra=extra("/tool_choice")),
        response_format=ResponseFormat("text", extra=extra("/response_format")),
        reasoning=ReasoningOptions(extra=extra("/reasoning")),
    )
    assert lost(encoded) == ["/x", "/tool_choice/x", "/response_format/x", "/reasoning/x"]


def test_a_request_of_this_wire_is_written_back():
    text = b'{"model":"m","max_tokens":0,"messages":[{"role":"assistant","content":" "}],"x":1}'
    assert request_encode.encode(request_decode.decode(text), UNKNOWN) == Encoded(text)


@case(64)
def test_the_same_conversation_begins_with_the_same_bytes_on_every_turn():
    turns = [plain("system", "s"), user(), called("a", name="x.y"), answered("a")]
    tools = (Tool("x.y"), TOOL)
    first = encode(messages=turns[:2], tools=tools).body
    second = encode(messages=turns, tools=tools).body
    upto = first.index(b'}],"tools"')
    assert second[:upto] == first[:upto]


@pytest.mark.parametrize("golden", FOREIGN, ids=str)
@pytest.mark.parametrize("profile", [UNKNOWN, BY_TOOL, Profile(reasoning="adaptive")], ids=range(3))
def test_the_sdk_knows_all_that_is_said_for_another_wire(golden, profile):
    request = golden.wire.decode_request(golden.read())
    if request.choices > 1:
        with pytest.raises(Unrepresentable):
            request_encode.encode(request, profile)
        return
    value = body(request_encode.encode(request, profile))
    # What the SDK no longer names, because newer models refuse it, older ones still take.
    known = {name: field for name, field in value.items() if name not in OLDER}
    read = SDK[request.stream].validate_python(known)
    assert set(known) <= set(read)
