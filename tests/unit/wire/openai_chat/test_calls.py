import pytest
from msgspec import Raw

from modelmux.ir.parts import Extra, ToolCall
from modelmux.wire.openai_chat import calls, schema
from modelmux.wire.openai_chat.schema import NAME
from tests.support.cases import case


def test_a_function_call_keeps_its_arguments_as_the_text_the_model_wrote() -> None:
    given = schema.ToolCall("call_1", function=schema.Function("f", '{"a": 1}'))
    assert calls.decode(given, "made-up") == ToolCall("call_1", "f", '{"a": 1}')


def test_a_custom_call_takes_free_text() -> None:
    given = schema.ToolCall("call_1", custom=schema.Custom("sh", "ls"))
    assert calls.decode(given, "made-up") == ToolCall("call_1", "sh", "ls", custom=True)


@pytest.mark.parametrize("missing", [None, ""])
def test_a_call_without_an_id_gets_the_one_that_was_made_up(missing: str | None) -> None:
    given = schema.ToolCall(missing, function=schema.Function("f", "{}"))
    assert calls.decode(given, "made-up") == ToolCall("made-up", "f", "{}")


def test_a_call_of_an_unknown_kind_is_none() -> None:
    assert calls.decode(schema.ToolCall("call_1", "hologram"), "made-up") is None


@case(20)
def test_arguments_that_are_an_object_become_its_text() -> None:
    assert calls.arguments({"city": Raw(b'"Paris"'), "days": Raw(b"[1, 2]")}) == (
        '{"city":"Paris","days":[1, 2]}'
    )
    assert calls.arguments("{") == "{"
    assert calls.arguments(None) == ""


@case(20)
def test_arguments_that_are_nothing_go_out_as_an_empty_object() -> None:
    function = {"name": "g", "arguments": "{}"}
    expected = {"id": "1", "type": "function", "function": function}
    assert calls.encode(ToolCall("1", "f", ""), "g") == expected


def test_free_text_may_be_empty() -> None:
    custom = {"name": "sh", "input": ""}
    out = calls.encode(ToolCall("1", "sh", "", custom=True), "sh")
    assert out == {"id": "1", "type": "custom", "custom": custom}


def test_unknown_fields_of_a_call_go_back_where_they_stood() -> None:
    kept = Extra(NAME, {"/index": Raw(b"0"), "/function/x": Raw(b"1")})
    function = {"name": "f", "arguments": "{}", "x": Raw(b"1")}
    out = calls.encode(ToolCall("1", "f", "{}", extra=kept), "f")
    assert out == {"id": "1", "type": "function", "function": function, "index": Raw(b"0")}


@case(26)
def test_made_up_ids_differ_from_call_to_call_and_from_turn_to_turn() -> None:
    ids = {calls.made_up_id(turn, n) for turn in ("chatcmpl-a", "chatcmpl-b") for n in range(3)}
    assert len(ids) == 6
    assert calls.made_up_id("chat cmpl/1", 0) == "call_0_chatcmpl1"
    assert calls.made_up_id("", 2) == "call_2"


@case(13)
def test_a_legacy_call_is_known_by_the_id_that_was_made_up_for_it() -> None:
    assert calls.is_legacy_id(calls.legacy_id(3))
    assert not calls.is_legacy_id("function_call_x")
    assert not calls.is_legacy_id("call_3")


@case(13)
def test_a_legacy_call_has_neither_id_nor_type() -> None:
    out = calls.encode_legacy(ToolCall("function_call_1", "f"), "f")
    assert out == {"name": "f", "arguments": "{}"}
