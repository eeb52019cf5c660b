import pytest
from msgspec import Raw
from msgspec.structs import replace

from modelmux.ir.parts import Text
from modelmux.ir.request import Encoded, Envelope, Message, Request, Sampling, Tool


def test_a_request_that_says_nothing_more_asks_for_one_whole_answer():
    request = Request("m", (Message("user", (Text("hi"),)),))
    assert (request.choices, request.stream, request.include_usage) == (1, False, True)
    assert request.sampling == Sampling()
    assert request.tools == ()
    assert request.max_tokens is None


def test_an_envelope_asks_for_the_same():
    envelope = Envelope("m")
    assert (envelope.choices, envelope.stream, envelope.include_usage) == (1, False, True)


def test_a_change_to_a_request_leaves_the_request_as_it_was():
    request = Request("m", ())
    assert replace(request, model="n").model == "n"
    assert request.model == "m"
    with pytest.raises(AttributeError):
        request.model = "n"


def test_requests_that_say_the_same_are_equal():
    def made(schema: bytes) -> Request:
        return Request("m", (), tools=(Tool("f", parameters=Raw(schema)),))

    assert made(b"{}") == made(b"{}")
    assert made(b"{}") != made(b"{ }")


def test_a_body_is_said_without_loss_unless_it_says_so():
    encoded = Encoded(b"{}")
    assert encoded.losses == ()
    assert encoded.restore is None
