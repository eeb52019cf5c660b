import pytest

from modelmux.errors import InvalidRequest
from modelmux.ir.request import Envelope
from modelmux.wire.ollama_chat import GENERATE_WIRE, WIRE
from modelmux.wire.registry import BY_NAME


def test_both_wires_are_registered() -> None:
    assert BY_NAME["ollama.chat"] is WIRE
    assert BY_NAME["ollama.generate"] is GENERATE_WIRE
    assert not WIRE.in_path
    assert not WIRE.signs_ids


def test_answers_stream_unless_the_caller_says_no() -> None:
    assert WIRE.envelope(b'{"model":"m"}') == Envelope("m", stream=True)
    assert not WIRE.envelope(b'{"model":"m","stream":false}').stream
    with pytest.raises(InvalidRequest, match="model"):
        WIRE.envelope(b"{}")


def test_streams_are_lines() -> None:
    assert WIRE.stream_type(Envelope("m", stream=True)) == b"application/x-ndjson"


def test_only_the_model_s_name_changes_on_the_same_wire() -> None:
    body = b'{"messages": [], "model" : "a"}'
    sent = WIRE.readdress(body, Envelope("a"), "b", ask_usage=True)
    assert sent == b'{"messages": [], "model" : "b"}'
    assert WIRE.encode_token_count(3) == b'{"prompt_eval_count":3}'
