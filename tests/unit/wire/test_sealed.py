import pytest

from modelmux.ir.parts import Reasoning
from modelmux.wire import sealed
from tests.support.cases import case

ORIGIN = "openai.responses"


@case(55, 56, 66)
@pytest.mark.parametrize(
    "part",
    [
        Reasoning("t", "rs_1:a:b=", origin=ORIGIN),
        Reasoning("", "sig", origin=ORIGIN),
        Reasoning("", encrypted="opaque", origin=ORIGIN),
    ],
)
def test_what_is_sealed_is_had_back_as_it_was(part: Reasoning) -> None:
    opaque = sealed.seal(part)
    assert opaque is not None
    assert opaque.startswith("modelmux/openai.responses:")
    assert sealed.unseal(part.text, opaque) == part


def test_reasoning_that_nobody_wants_back_is_not_sealed() -> None:
    assert sealed.seal(Reasoning("t", origin=ORIGIN)) is None


@pytest.mark.parametrize("opaque", [None, "", "EqQBCgIYAhIM", "gAAAAABm"])
def test_a_wires_own_strings_are_not_opened(opaque: str | None) -> None:
    assert sealed.unseal("t", opaque) is None


def test_a_string_that_was_cut_holds_nothing_to_give_back() -> None:
    assert sealed.unseal("t", "modelmux/x") == Reasoning("t", origin="x")
