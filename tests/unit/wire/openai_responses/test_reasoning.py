import msgspec
import pytest

from modelmux.ir.parts import Reasoning
from modelmux.wire.openai_responses import items, reasoning
from modelmux.wire.openai_responses.schema import NAME
from tests.support.cases import case
from tests.unit.wire.openai_responses.bodies import raw


def part(answers: bool = False, **fields: object) -> Reasoning:
    item = raw({"type": "reasoning", "id": "rs_1", "summary": [], **fields})
    (found,) = items.decode(item, "/input/0", answers=answers).parts
    assert isinstance(found, Reasoning)
    return found


def summary(*texts: str) -> list[dict[str, str]]:
    return [{"type": "summary_text", "text": text} for text in texts]


def back(given: Reasoning) -> object:
    return msgspec.json.decode(msgspec.json.encode(reasoning.encode(given, "rs_new")))


@case(66)
def test_what_must_come_back_is_the_encrypted_content_with_its_id():
    found = part(encrypted_content="gAAA:B=", summary=summary("why"))
    assert (found.text, found.signature, found.origin) == ("why", "rs_1:gAAA:B=", NAME)
    bare = Reasoning(found.text, found.signature, origin=NAME)  # as another wire gives it back
    assert back(bare) == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": summary("why"),
        "encrypted_content": "gAAA:B=",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"summary": summary("a", "b"), "encrypted_content": "e"},
        {"content": [{"type": "reasoning_text", "text": "raw"}], "status": "completed"},
        {"summary": summary("a"), "later": 1},
    ],
)
def test_an_item_comes_back_as_it_was(fields: dict[str, object]):
    expected = {"type": "reasoning", "id": "rs_1", "summary": [], **fields}
    assert back(part(**fields)) == expected


def test_parts_of_a_summary_are_paragraphs():
    assert part(summary=summary("a", "b")).text == "a\n\nb"


def test_a_text_that_another_hand_changed_is_said():
    found = part(summary=summary("secret", "b"), encrypted_content="e")
    changed = msgspec.structs.replace(found, text="[redacted]")
    said = back(changed)
    assert isinstance(said, dict)
    assert said["summary"] == summary("[redacted]")
    assert said["encrypted_content"] == "e"


@case(55, 56)
@pytest.mark.parametrize(
    "foreign",
    [
        Reasoning("why", "sig", origin="anthropic.messages"),
        Reasoning("", encrypted="opaque", origin="anthropic.messages"),
    ],
)
def test_reasoning_of_another_wire_is_sealed_and_read_again(foreign: Reasoning):
    said = back(foreign)
    assert isinstance(said, dict)
    assert said["encrypted_content"].startswith("modelmux/anthropic.messages:")
    (found,) = items.decode(raw(said), "/input/0").parts
    assert msgspec.structs.replace(found, extra=None) == foreign


def test_in_an_answer_a_targets_strings_are_its_own():
    found = part(answers=True, encrypted_content="modelmux/anthropic.messages:s:x")
    assert found.origin == NAME
    assert found.signature == "rs_1:modelmux/anthropic.messages:s:x"


def test_nothing_encrypted_is_nothing_to_give_back():
    assert reasoning.sign("rs_1", None) is None
    assert part().signature is None
