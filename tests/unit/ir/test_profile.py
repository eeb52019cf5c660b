from modelmux.ir.profile import UNKNOWN, Profile


def test_an_unknown_model_is_asked_for_whatever_the_caller_wants():
    assert Profile() == UNKNOWN
    assert UNKNOWN.input_modalities is None
    assert UNKNOWN.reasoning is None
    assert UNKNOWN.tools
    assert UNKNOWN.prefill
    assert not UNKNOWN.refuses


def test_no_limit_is_known_of_an_unknown_model():
    assert (UNKNOWN.context_tokens, UNKNOWN.max_output_tokens) == (0, 0)
