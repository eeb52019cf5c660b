import msgspec
import pytest

from modelmux.ir.request import Envelope
from modelmux.wire.openai import chunks
from tests.support.cases import case

SILENT = Envelope("m", stream=True, include_usage=False)


@case(79)
@pytest.mark.parametrize("options", [b"", b',"stream_options":{"x":1}', b',"stream_options":null'])
def test_usage_is_asked_for_in_a_stream(options: bytes):
    body = b'{"model":"m","stream":true%b}' % options
    asked = msgspec.json.decode(chunks.readdress(body, SILENT, "n", ask_usage=True))
    assert asked["stream_options"]["include_usage"] is True
    assert asked["model"] == "n"


def test_nothing_else_changes():
    body = b'{ "model" : "m", "stream":true }'
    assert chunks.readdress(body, SILENT, "n", ask_usage=False) == body.replace(b'"m"', b'"n"')


def test_an_answer_is_renamed_where_it_has_a_name():
    assert chunks.rename(b'{"model":"a"}', "b") == b'{"model":"b"}'
    assert chunks.rename(b'{"error":{}}', "b") == b'{"error":{}}'
    assert chunks.rename(b"[", "b") == b"["
