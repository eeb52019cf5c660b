import msgspec
import pytest

from bench import fixture
from bench.fixture import CALLER_KEY, UPSTREAM_KEYS, Ask, Stream, WireName


def split(request: bytes) -> tuple[list[str], dict[str, object]]:
    head, _, body = request.partition(b"\r\n\r\n")
    return head.decode().split("\r\n"), msgspec.json.decode(body)


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
def test_a_call_looks_like_an_sdks(wire: WireName):
    request = fixture.request(Ask(wire, "some-model"), port=3000, prefix="", credential=CALLER_KEY)
    (line, *headers), body = split(request)
    assert line == f"POST {fixture.PATHS[wire]} HTTP/1.1"
    assert 15 <= len(headers) <= 20
    assert sum(CALLER_KEY in header for header in headers) == 1
    assert f"Content-Length: {len(msgspec.json.encode(body))}" in headers
    assert body["model"] == "some-model"
    assert 900 < len(request) - len(line) < 2500


def test_a_streams_pace_travels_in_the_prompt():
    ask = Ask("anthropic", "m", Stream(chunks=7, interval_us=250))
    request = fixture.request(ask, port=3000, prefix="/x", credential="k")
    assert request.startswith(b"POST /x/v1/messages ")
    assert b"[[mock chunks=7 interval_us=250 ]]" in request
    assert b'"stream":true' in request


def test_a_large_prompt_makes_a_large_body():
    ask = Ask("openai", "m", prompt_bytes=127 * 1024)
    assert 127 * 1024 < len(fixture.request(ask, port=1, prefix="", credential="k")) < 135 * 1024


def test_the_callers_key_is_none_of_the_providers():
    assert not any(key in CALLER_KEY or CALLER_KEY in key for key in UPSTREAM_KEYS.values())


def test_a_streams_text_begins_again_when_it_is_longer_than_its_words():
    once = fixture.text_of(Stream(len(fixture.WORDS)))
    assert fixture.text_of(Stream(2 * len(fixture.WORDS))) == once * 2
    assert fixture.text_of(None) == fixture.TEXT
