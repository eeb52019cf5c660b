from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from modelmux.ir.parts import Extra, Reasoning
from modelmux.wire.openai_chat import reasoning
from modelmux.wire.openai_chat.schema import NAME
from tests.support.cases import case

SIGNED = Reasoning("I think", "sig==", origin="anthropic.messages")
HIDDEN = Reasoning(encrypted="enc==", origin="anthropic.messages")


def written(*parts: Reasoning) -> dict[str, object]:
    message: dict[str, object] = {}
    reasoning.encode(parts, message)
    return msgspec.json.decode(msgspec.json.encode(message))


def read(message: dict[str, object]) -> list[Reasoning]:
    details = message.get("reasoning_details")
    raws = None if details is None else [Raw(msgspec.json.encode(item)) for item in details]
    return reasoning.decode(message.get("reasoning_content"), message.get("reasoning"), raws)


@case(62)
@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_content": "why"},
        {"reasoning": "why"},
        {"reasoning": "why", "reasoning_content": "why"},
        {"reasoning_content": ""},
    ],
)
def test_reasoning_goes_back_under_the_name_it_came_with(message: dict[str, object]) -> None:
    (part,) = read(message)
    assert (part.text, part.origin) == (message.get("reasoning_content", "why"), NAME)
    assert written(part) == message


DETAIL = {
    "type": "reasoning.text",
    "text": "why",
    "signature": "s",
    "format": "anthropic-claude-v1",
}


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning": "why", "reasoning_details": [DETAIL, {"type": "reasoning.encrypted"}]},
        {"reasoning_content": "why", "reasoning_details": [DETAIL]},
        {"reasoning_details": [DETAIL]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "why"}]},
        {"reasoning": "why", "reasoning_details": ["odd", 5]},
    ],
)
@case(58)
def test_details_of_a_foreign_format_are_opaque_and_go_back(message: dict[str, object]) -> None:
    (part,) = read(message)
    assert (part.text, part.signature, part.origin) == ("why", None, NAME)
    assert written(part) == message


@case(55, 56)
def test_what_the_origin_wants_back_goes_out_beside_the_text() -> None:
    assert written(SIGNED, HIDDEN) == {
        "reasoning_content": "I think",
        "reasoning_details": [
            {
                "type": "reasoning.text",
                "text": "I think",
                "signature": "sig==",
                "format": "modelmux/anthropic.messages",
            },
            {
                "type": "reasoning.encrypted",
                "data": "enc==",
                "format": "modelmux/anthropic.messages",
            },
        ],
    }


@case(55, 56)
def test_a_client_that_echoes_its_message_keeps_the_signature_and_the_place() -> None:
    assert read(written(SIGNED, HIDDEN, SIGNED)) == [SIGNED, HIDDEN, SIGNED]


def test_reasoning_of_which_only_the_proof_is_shown_has_no_text() -> None:
    (part,) = read(written(Reasoning("", "sig", origin="anthropic.messages")))
    assert part == Reasoning("", "sig", origin="anthropic.messages")
    assert "reasoning_content" not in written(part)


def test_reasoning_without_proof_needs_no_details() -> None:
    assert written(Reasoning("hm", origin="gemini")) == {"reasoning_content": "hm"}


def test_no_reasoning_is_none() -> None:
    assert read({}) == []
    assert written() == {}


def test_reasoning_marked_by_another_wire_has_its_plain_name() -> None:
    part = Reasoning("hm", origin="other", extra=Extra("other", {"/reasoning": Raw(b"1")}))
    assert written(part) == {"reasoning_content": "hm"}


def pieces(*texts: str) -> list[tuple[str, str]]:
    tags = reasoning.Tags()
    found = [piece for text in texts for piece in tags.feed(text)] + tags.finish()
    whole: list[tuple[str, str]] = []
    for kind, text in found:
        assert text
        if whole and whole[-1][0] == kind:
            whole[-1] = (kind, whole[-1][1] + text)
        else:
            whole.append((kind, text))
    return whole


@case(62)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>why</think>because", [("reasoning", "why"), ("text", "because")]),
        ("\n<think>\nwhy \n</think>\n\nbecause", [("reasoning", "why"), ("text", "because")]),
        ("<think>\n\n</think>\n\nbecause", [("text", "because")]),
        ("<think>a < b </ c</think>d", [("reasoning", "a < b </ c"), ("text", "d")]),
        ("<think>cut off", [("reasoning", "cut off")]),
        ("<think>cut off</thin", [("reasoning", "cut off</thin")]),
        ("<think>", []),
        ("<thinking>x", [("text", "<thinking>x")]),
        ("<thin", [("text", "<thin")]),
        ("Use `<think>x</think>`", [("text", "Use `<think>x</think>`")]),
        (" \n hi ", [("text", " \n hi ")]),
        (" " * 200 + "<think>x", [("text", " " * 200 + "<think>x")]),
        ("<think>a</think>b<think>c</think>", [("reasoning", "a"), ("text", "b<think>c</think>")]),
        ("", []),
        (f"<think>a{' ' * 2000}</think>", [("reasoning", f"a{' ' * 976}")]),
        (f"<think>{' ' * 2000}</think>b", [("text", "b")]),
        (f"<think>a{' ' * 2000}b", [("reasoning", f"a{' ' * 2000}b")]),
    ],
)
def test_thinking_between_tags_is_told_from_the_answer(
    text: str, expected: list[tuple[str, str]]
) -> None:
    assert pieces(text) == expected
    assert pieces(*text) == expected


@case(62)
@given(
    st.text(alphabet="<>/think \n", max_size=40),
    st.lists(st.integers(0, 60), max_size=6),
    st.booleans(),
)
def test_thinking_is_told_the_same_however_the_text_is_split(
    text: str, cuts: list[int], tagged: bool
) -> None:
    text = f"<think>{text}" if tagged else text
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    assert pieces(*[text[a:b] for a, b in pairwise(places)]) == pieces(text)


def test_once_the_answer_has_begun_nobody_needs_to_ask() -> None:
    tags = reasoning.Tags()
    tags.feed("<think>a</think>")
    assert not tags.settled
    tags.feed("b")
    assert tags.settled
