import re
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from modelmux.provider import quirks
from modelmux.provider.body import BodyEdits
from modelmux.provider.catalog import ProviderRow, Quirk
from modelmux.provider.quirks import MARKS, QUIRKS
from tests.support.cases import case

USER = {"role": "user", "content": "hi"}


def asks(*ids: str) -> dict[str, Any]:
    calls = [
        {"id": id_, "type": "function", "function": {"name": "f", "arguments": "{}"}} for id_ in ids
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def told(id_: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": "ok"}


def edited(quirk: Quirk, **fields: object) -> tuple[dict[str, Any], list[str]]:
    row = ProviderRow(type="x", quirks=(quirk,))
    body, losses = BodyEdits(row).apply(msgspec.json.encode(fields))
    return msgspec.json.decode(body), [
        loss.path + "!" * (loss.kind == "content") for loss in losses
    ]


def test_every_quirk_has_an_edit_and_a_mark():
    assert set(QUIRKS) == set(MARKS) == set(get_args(Quirk))


@pytest.mark.parametrize("quirk", sorted(QUIRKS))
def test_a_plain_body_is_left_as_the_bytes_that_came(quirk: Quirk):
    body = b'{"model" : "m", "messages":[{"role":"user","content":"hi"}]}'
    assert BodyEdits(ProviderRow(type="x", quirks=(quirk,))).apply(body) == (body, ())


@case(30)
def test_mistrals_ids_are_nine_letters_and_digits_and_the_same_everywhere():
    body, losses = edited(
        "mistral_tool_ids", messages=[USER, asks("call_abc", "abcDEF123"), told("call_abc")]
    )
    first, second = (call["id"] for call in body["messages"][1]["tool_calls"])
    assert re.fullmatch(r"[a-zA-Z0-9]{9}", first)
    assert second == "abcDEF123"
    assert body["messages"][2]["tool_call_id"] == first
    assert losses == []


def test_an_assistant_speaks_between_tools_and_the_user():
    body, _ = edited("assistant_after_tools", messages=[asks("a"), told("a"), USER])
    assert [message["role"] for message in body["messages"]] == [
        "assistant",
        "tool",
        "assistant",
        "user",
    ]


@case(27)
def test_results_stand_in_the_order_of_the_calls():
    messages = [USER, asks("a", "b"), told("b"), told("a"), USER]
    body, _ = edited("tool_results_in_order", messages=messages)
    assert [m.get("tool_call_id") for m in body["messages"][2:4]] == ["a", "b"]


@case(35)
def test_empty_lists_of_tools_are_left_out():
    message = {"role": "assistant", "content": "x", "tool_calls": []}
    body, _ = edited("no_empty_tool_calls", messages=[message], tools=[])
    assert body == {"messages": [{"role": "assistant", "content": "x"}]}


@case(53)
def test_nulls_are_left_out():
    assert edited("no_nulls", messages=[], stop=None)[0] == {"messages": []}


@pytest.mark.parametrize(
    ("fields", "choice", "losses"),
    [
        ({"enable_thinking": True, "tool_choice": "required"}, "auto", ["/tool_choice"]),
        ({"enable_thinking": True, "tool_choice": {"type": "function"}}, "auto", ["/tool_choice"]),
        ({"enable_thinking": False, "tool_choice": "required"}, "required", []),
        ({"tool_choice": "required"}, "required", []),
        ({"enable_thinking": True, "tool_choice": "auto"}, "auto", []),
    ],
)
def test_no_tool_is_forced_on_a_model_that_thinks(
    fields: dict[str, object], choice: object, losses: list[str]
):
    body, found = edited("no_forced_tools_while_thinking", **fields)
    assert (body["tool_choice"], found) == (choice, losses)


@case(49)
@pytest.mark.parametrize(("n", "losses"), [(1, []), (2, ["/n!"]), ("two", [])])
def test_several_answers_are_content(n: object, losses: list[str]):
    assert edited("one_choice", n=n)[1] == losses


@pytest.mark.parametrize("quirk", sorted(QUIRKS))
@given(
    st.dictionaries(
        st.sampled_from(["messages", "n", "tool_choice", "tools", "enable_thinking"]),
        st.recursive(
            st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["role", "tool_calls", "id"]), inner, max_size=3)
            ),
        ),
    )
)
def test_no_body_makes_a_quirk_raise(quirk: Quirk, fields: dict[str, object]):
    raws = {name: Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    quirks.QUIRKS[quirk](raws, [])
