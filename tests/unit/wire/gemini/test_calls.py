from modelmux.ir import signed_ids
from modelmux.wire.gemini import calls
from tests.support.cases import case


@case(26)
def test_a_made_id_goes_back_as_none() -> None:
    assert calls.split(calls.made("abc", 2)) == (None, None)
    assert calls.split("8f2b1a3c") == ("8f2b1a3c", None)


@case(26)
def test_made_ids_differ_by_answer_and_place_and_keep_to_letters() -> None:
    made = {calls.made(response, number) for response in ("a", "b") for number in (0, 1)}
    assert len(made) == 4
    assert calls.made("a/b_c=", 0) == "gem_abc_0"


@case(59)
def test_a_signature_travels_in_the_id_and_comes_out_of_it() -> None:
    signed = signed_ids.join(calls.made("abc", 0), "Cp+/cw==")
    assert calls.split(signed) == (None, "Cp+/cw==")
    assert calls.split(signed_ids.join("own-1", "Cp+/cw==")) == ("own-1", "Cp+/cw==")
