"""vsock itself needs a virtual machine: here unix sockets stand for it, and errors are real."""

import asyncio
import socket
from collections.abc import Generator
from pathlib import Path

import httpcore2
import pytest

from modelmux.client import vsock
from modelmux.client.vsock import AsyncBackend, AsyncStream, Backend, Stream


@pytest.fixture
def pair() -> Generator[tuple[socket.socket, socket.socket], None, None]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_bytes_go_both_ways_and_an_end_is_seen(pair: tuple[socket.socket, socket.socket]):
    ours, theirs = pair
    stream = Stream(ours, httpcore2)
    stream.write(b"ping", 1.0)
    assert theirs.recv(10) == b"ping"
    theirs.sendall(b"pong")
    assert stream.read(10, 1.0) == b"pong"
    theirs.close()
    assert stream.read(10, 1.0) == b""
    assert stream.get_extra_info("socket") is ours
    assert stream.get_extra_info("ssl_object") is None
    stream.close()


def test_silence_and_a_lost_peer_are_httpcores_errors(pair: tuple[socket.socket, socket.socket]):
    ours, theirs = pair
    stream = Stream(ours, httpcore2)
    with pytest.raises(httpcore2.ReadTimeout):
        stream.read(1, 0.01)
    theirs.close()
    with pytest.raises(httpcore2.WriteError):
        for _ in range(2):
            stream.write(b"x" * 1_000_000, 1.0)
    with pytest.raises(httpcore2.ConnectError, match="TLS"):
        stream.start_tls()


NOBODY = (httpcore2.ConnectError, httpcore2.ConnectTimeout)
"""Which of the two it is depends on whether the system has a vsock of its own."""


def test_nobody_there_is_httpcores_error():
    with pytest.raises(NOBODY, match="vsock"):
        Backend(1, 4_000_000_000, httpcore2).connect_tcp("modelmux", 80, timeout=0.2)

    async def connect() -> None:
        await AsyncBackend(1, 4_000_000_000, httpcore2).connect_tcp("modelmux", 80, timeout=0.2)

    with pytest.raises(NOBODY, match="vsock"):
        asyncio.run(connect())


def test_a_system_without_vsock_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(socket, "AF_VSOCK")
    with pytest.raises(OSError, match="no vsock"):
        vsock.family()


def test_the_asynchronous_stream_does_the_same(tmp_path: Path):
    async def scene() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read(10))
            await writer.drain()
            await reader.read()
            writer.close()

        server = await asyncio.start_unix_server(serve, tmp_path / "s")
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        stream = AsyncStream(reader, writer, httpcore2)
        await stream.write(b"ping", 1.0)
        assert await stream.read(10, 1.0) == b"ping"
        with pytest.raises(httpcore2.ReadTimeout):
            await stream.read(1, 0.01)
        assert stream.get_extra_info("socket") is not None
        with pytest.raises(httpcore2.ConnectError, match="TLS"):
            await stream.start_tls()
        await stream.aclose()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    asyncio.run(scene())
