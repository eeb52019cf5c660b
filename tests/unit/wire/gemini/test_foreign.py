import base64

from modelmux.ir.parts import Reasoning
from modelmux.wire.gemini import foreign
from tests.support.cases import case


@case(58)
def test_another_provider_s_signature_comes_back_as_its_own() -> None:
    for part in (
        Reasoning("hm", "c2ln", origin="anthropic.messages"),
        Reasoning("", encrypted="b3BhcXVl", origin="openai.responses"),
    ):
        sealed = foreign.signature(part)
        assert sealed is not None
        base64.b64decode(sealed, validate=True)  # what Google's SDK does with it
        assert sealed.startswith(foreign.START)
        assert foreign.read(part.text, sealed) == part


def test_gemini_s_own_signature_is_left_alone() -> None:
    assert foreign.signature(Reasoning("", "Cp==", origin="gemini")) == "Cp=="
    assert foreign.read("", "Cp==") == Reasoning("", "Cp==", origin="gemini")


def test_unsigned_thoughts_of_others_have_no_signature() -> None:
    assert foreign.signature(Reasoning("hm", origin="openai.chat")) is None


def test_what_only_looks_sealed_is_gemini_s() -> None:
    assert foreign.read("", foreign.START + "?").origin == "gemini"
