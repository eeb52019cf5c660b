"""Compressed bodies, which nobody asked for."""

import asyncio
import gzip
import itertools
import tracemalloc
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelmux.errors import Interrupted, ProtocolViolation
from modelmux.transport.connection import Connection
from modelmux.transport.content import PIECE_BYTES, decoded
from tests.unit.transport.loopback import POST, TIMEOUTS, Owner, Wire, begin, play

BODY = b'{"id": "a long enough body to be worth compressing"}' * 20


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


CODINGS = {
    "gzip": (b"gzip", gzip.compress),
    "x-gzip": (b"X-GZip", gzip.compress),
    "deflate": (b"deflate", zlib.compress),
    "deflate without wrapper": (b"deflate", raw_deflate),
    "two gzip members": (b"gzip", lambda b: gzip.compress(b[:9]) + gzip.compress(b[9:])),
    "identity and gzip": (b"identity, gzip", gzip.compress),
}


def response_of(coding: bytes, raw: bytes, *, status: int = 200, said_bytes: int | None = None):
    """A response whose body has come as far as `raw`."""
    wire = Wire()
    connection = Connection(Owner(), "http://test", asyncio.get_running_loop())
    connection.connection_made(wire)
    response = connection.start(POST, b"", TIMEOUTS, None)
    length = len(raw) if said_bytes is None else said_bytes
    head = b"HTTP/1.1 %d X\r\nContent-Encoding: %b\r\nx-a: b\r\ncontent-length: %d\r\n\r\n"
    connection.data_received(head % (status, coding, length))
    if raw:
        connection.data_received(raw)
    return response, connection, wire


def run(scene):
    return play(scene, asyncio.new_event_loop)


@pytest.mark.parametrize("case", CODINGS)
def test_a_compressed_body_is_read_decompressed(case):
    coding, compress = CODINGS[case]

    async def scene():
        response, _, _ = response_of(coding, compress(BODY))
        assert response.is_encoded
        plain = decoded(response)
        assert plain.status == 200
        assert list(plain.headers) == [(b"x-a", b"b")]
        assert plain.header(b"x-a") == b"b"
        assert plain.header(b"content-encoding") is None
        assert await plain.read(len(BODY)) == BODY

    run(scene)


@pytest.mark.parametrize("case", CODINGS)
def test_no_cut_changes_what_is_decompressed(case):
    coding, compress = CODINGS[case]
    raw = compress(BODY)

    @given(st.lists(st.integers(0, len(raw)), max_size=5))
    @example([1])
    @example([2])
    def check(cuts):
        async def scene():
            response, connection, _ = response_of(coding, b"", said_bytes=len(raw))
            reading = begin(decoded(response).read(len(BODY)))
            edges = [0, *sorted(cuts), len(raw)]
            for first, end in itertools.pairwise(edges):
                await asyncio.sleep(0)
                connection.data_received(raw[first:end])
            assert await reading == BODY

        run(scene)

    check()


@pytest.mark.parametrize("case", CODINGS)
def test_a_compressed_body_of_one_byte_is_interrupted(case):
    coding, compress = CODINGS[case]

    async def scene():
        response, _, _ = response_of(coding, compress(BODY)[:1])
        with pytest.raises(Interrupted, match="compressed body was cut"):
            await decoded(response).read(10_000)

    run(scene)


@pytest.mark.parametrize("case", CODINGS)
def test_a_compressed_body_that_is_cut_is_interrupted(case):
    coding, compress = CODINGS[case]
    raw = compress(BODY)[:-3]

    async def scene():
        response, _, _ = response_of(coding, raw)
        with pytest.raises(Interrupted, match="compressed body was cut"):
            await decoded(response).read(10_000)

    run(scene)


def test_a_connection_that_is_cut_inside_a_compressed_body_is_interrupted():
    async def scene():
        raw = gzip.compress(BODY)
        response, connection, _ = response_of(b"gzip", raw, said_bytes=len(raw) + 1)
        plain = decoded(response)
        assert await anext(plain) == BODY
        connection.connection_lost(None)
        with pytest.raises(Interrupted):
            await anext(plain)

    run(scene)


def test_an_empty_body_needs_no_compression():
    async def scene():
        response, _, _ = response_of(b"gzip", b"")
        assert await decoded(response).read(0) == b""

    run(scene)


@pytest.mark.parametrize("coding", [b"", b"identity", b"Identity , identity"])
def test_a_body_as_it_is_stays_as_it_is(coding):
    async def scene():
        response, _, _ = response_of(coding, BODY)
        assert decoded(response) is response

    run(scene)


@pytest.mark.parametrize("status", [204, 304])
def test_a_response_without_body_has_nothing_to_decompress(status):
    async def scene():
        response, _, _ = response_of(b"br", b"", status=status)
        assert decoded(response) is response

    run(scene)


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"gzip, gzip", b"compress"])
def test_a_coding_that_we_cannot_undo_is_refused_and_never_handed_on(coding):
    async def scene():
        response, _, wire = response_of(coding, b"\x1b\x00", said_bytes=99)
        with pytest.raises(ProtocolViolation, match="was not asked for"):
            decoded(response)
        assert wire.is_aborted
        assert response.chunks == []

    run(scene)


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_bytes_that_do_not_decompress_are_refused(coding):
    async def scene():
        response, _, wire = response_of(coding, b"\xff" * 50, said_bytes=99)
        plain = decoded(response)
        for _ in range(2):
            with pytest.raises(ProtocolViolation, match="does not decompress"):
                await anext(plain)
        assert wire.is_aborted

    run(scene)


def test_few_bytes_that_become_many_do_so_piece_by_piece():
    bomb = gzip.compress(bytes(64 * 1024 * 1024), 1)

    async def scene():
        response, _, _ = response_of(b"gzip", bomb)
        plain = decoded(response)
        tracemalloc.start()
        try:
            assert len(await anext(plain)) <= PIECE_BYTES
            with pytest.raises(ProtocolViolation, match="longer than 1000000 bytes"):
                await plain.read(1_000_000)
            assert tracemalloc.get_traced_memory()[1] < 8_000_000
        finally:
            tracemalloc.stop()

    run(scene)


def test_giving_up_a_compressed_body_closes_the_connection():
    async def scene():
        raw = gzip.compress(BODY)
        response, _, wire = response_of(b"gzip", raw, said_bytes=len(raw) + 1)
        plain = decoded(response)
        await plain.aclose()
        assert wire.is_aborted
        with pytest.raises(Interrupted):
            await anext(plain)

    run(scene)
