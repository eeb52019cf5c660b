import pytest

from modelmux.errors import InvalidRequest
from modelmux.ir.request import Envelope
from modelmux.wire.openai_responses import envelopes
from tests.unit.wire.openai_responses.bodies import body, raw


def test_an_envelope_is_what_routing_needs():
    given = body(stream=True, tools=[{"type": "web_search"}])
    found = envelopes.decode(given)
    assert (found.model, found.stream, found.has_tools) == ("m", True, True)
    assert not envelopes.decode(body(tools=[])).has_tools


def test_an_answer_repeats_what_the_caller_set():
    found = envelopes.decode(body(temperature=0.5, metadata=None, instructions="x", future=1))
    assert envelopes.echo(found) == {"temperature": raw(0.5), "instructions": raw("x")}


def test_without_a_request_there_is_nothing_to_repeat():
    assert envelopes.echo(Envelope("m")) == {}


def test_a_body_without_a_model_is_refused():
    with pytest.raises(InvalidRequest) as caught:
        envelopes.decode(b'{"input":"x"}')
    assert caught.value.param == "model"


def test_another_name_is_all_that_changes():
    given = b'{ "model" : "m", "input":"x" }'
    assert envelopes.readdress(given, envelopes.decode(given), "n") == given.replace(b'"m"', b'"n"')
