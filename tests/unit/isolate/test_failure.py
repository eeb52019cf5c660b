from modelmux.isolate.failure import CANNOT, Refused


def test_a_refusal_says_what_to_change():
    refused = Refused("it cannot be had", hint="change it")
    assert (refused.message, refused.hint, str(refused)) == (
        "it cannot be had",
        "change it",
        "it cannot be had",
    )
    assert CANNOT not in (0, 1, 2)
