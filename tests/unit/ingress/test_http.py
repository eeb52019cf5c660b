import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import InvalidRequest
from modelmux.ingress.http import Answer, HttpRequest, field_value, text


def request(*fields: tuple[bytes, bytes]) -> HttpRequest:
    return HttpRequest("POST", "/v1/messages", b"a=b", fields, b"body", 7.0)


def test_only_fields_that_somebody_reads_are_kept():
    got = request((b"accept", b"*/*"), (b"cookie", b"secret"), (b"user-agent", b"curl/8"))
    assert got.headers == {"accept": "*/*", "user-agent": "curl/8"}


def test_several_fields_of_a_name_are_one_list():
    got = request((b"anthropic-beta", b"a-1"), (b"accept", b"x/y"), (b"anthropic-beta", b"b-2,c-3"))
    assert got.headers["anthropic-beta"] == "a-1, b-2,c-3"


def test_any_byte_may_stand_in_a_field():
    every = bytes(range(256))
    assert request((b"x-api-key", every)).headers["x-api-key"].encode("latin-1") == every


@pytest.mark.parametrize("coding", [None, b"identity", b"IDENTITY"])
def test_a_plain_body_is_taken(coding: bytes | None):
    request(*([(b"content-encoding", coding)] if coding else [])).check()


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"identity, gzip", b"zstd"])
def test_a_compressed_body_is_refused(coding: bytes):
    with pytest.raises(InvalidRequest, match="uncompressed"):
        request((b"content-encoding", coding)).check()


@given(st.text())
def test_every_text_becomes_a_legal_field_value(value: str):
    made = field_value(value)
    assert all(0x20 <= byte < 0x7F for byte in made)
    assert len(made) == len(value)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_printable_ascii_is_a_field_value_as_it_is(value: str):
    assert field_value(value).decode() == value


def test_text_is_answered_plainly():
    answer = text("né\n")
    assert answer.status == 200
    assert answer.headers == [(b"content-type", b"text/plain; charset=utf-8")]
    assert answer.body == "né\n".encode()


def test_an_answer_frees_what_it_holds_after_its_stream_is_closed():
    happened: list[str] = []

    async def stream() -> AsyncGenerator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            happened.append("stream")

    async def free() -> None:
        happened.append("reply")

    async def run() -> None:
        body = stream()
        answer = Answer(200, [], body, free)
        assert await anext(body) == b"a"
        await answer.aclose()

    asyncio.run(run())
    assert happened == ["stream", "reply"]


def test_a_stream_that_was_never_begun_frees_what_it_holds_too():
    happened: list[str] = []

    async def stream() -> AsyncGenerator[bytes]:
        yield b"never"

    async def free() -> None:
        happened.append("reply")

    asyncio.run(Answer(200, [], stream(), free).aclose())
    assert happened == ["reply"]


def test_a_plain_answer_holds_nothing():
    asyncio.run(Answer(200, [], b"x").aclose())
