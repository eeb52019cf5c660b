"""Connections over vsock for httpcore, whose pools take a way to connect.

The classes have the methods that httpcore asks of a network backend and of its streams; they serve
both of its generations, whose names for errors are told them.
"""

import asyncio
import socket
import time
from collections.abc import Iterable
from types import ModuleType


def family() -> int:
    """The number of the address family. Raises `OSError` where the system has none."""
    number: int | None = getattr(socket, "AF_VSOCK", None)
    if number is None:
        raise OSError("this system has no vsock")
    return number


class Backend:
    """Connects to one place, whatever host is asked for."""

    def __init__(self, cid: int, port: int, errors: ModuleType) -> None:
        self._place = (cid, port)
        self._errors = errors

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[object] | None = None,
    ) -> "Stream":
        """A connection. Raises httpcore's `ConnectError`, `ConnectTimeout`."""
        made = None
        try:
            made = socket.socket(family(), socket.SOCK_STREAM)
            made.settimeout(timeout)
            made.connect(self._place)
        except OSError as exc:
            if made is not None:
                made.close()
            kind = "ConnectTimeout" if isinstance(exc, TimeoutError) else "ConnectError"
            raise getattr(self._errors, kind)(f"vsock {self._place}: {exc}") from exc
        return Stream(made, self._errors)

    def sleep(self, seconds: float) -> None:
        """Wait, between two tries."""
        time.sleep(seconds)


class Stream:
    """One connection."""

    def __init__(self, connected: socket.socket, errors: ModuleType) -> None:
        self._socket = connected
        self._errors = errors

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """The next bytes; none at the end. Raises httpcore's `ReadError`, `ReadTimeout`."""
        try:
            self._socket.settimeout(timeout)
            return self._socket.recv(max_bytes)
        except OSError as exc:
            kind = "ReadTimeout" if isinstance(exc, TimeoutError) else "ReadError"
            raise getattr(self._errors, kind)(str(exc)) from exc

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send it all. Raises httpcore's `WriteError`, `WriteTimeout`."""
        try:
            self._socket.settimeout(timeout)
            self._socket.sendall(buffer)
        except OSError as exc:
            kind = "WriteTimeout" if isinstance(exc, TimeoutError) else "WriteError"
            raise getattr(self._errors, kind)(str(exc)) from exc

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def start_tls(self, *_: object, **__: object) -> "Stream":
        """There is none: nobody stands between a machine and its host."""
        raise self._errors.ConnectError("TLS is not spoken over vsock; use http://")

    def get_extra_info(self, info: str) -> object:
        """What a pool asks to find out whether an idle connection was closed."""
        return self._socket if info == "socket" else None


class AsyncBackend:
    """The same for asyncio."""

    def __init__(self, cid: int, port: int, errors: ModuleType) -> None:
        self._place = (cid, port)
        self._errors = errors

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[object] | None = None,
    ) -> "AsyncStream":
        """A connection. Raises httpcore's `ConnectError`, `ConnectTimeout`."""
        made = None
        try:
            async with asyncio.timeout(timeout):
                made = socket.socket(family(), socket.SOCK_STREAM)
                made.setblocking(False)
                await asyncio.get_running_loop().sock_connect(made, self._place)
                reader, writer = await asyncio.open_connection(sock=made)
        except OSError as exc:
            if made is not None:
                made.close()
            kind = "ConnectTimeout" if isinstance(exc, TimeoutError) else "ConnectError"
            raise getattr(self._errors, kind)(f"vsock {self._place}: {exc}") from exc
        return AsyncStream(reader, writer, self._errors)

    async def sleep(self, seconds: float) -> None:
        """Wait, between two tries."""
        await asyncio.sleep(seconds)


class AsyncStream:
    """One connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, errors: ModuleType
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._errors = errors

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """The next bytes; none at the end. Raises httpcore's `ReadError`, `ReadTimeout`."""
        try:
            async with asyncio.timeout(timeout):
                return await self._reader.read(max_bytes)
        except OSError as exc:
            kind = "ReadTimeout" if isinstance(exc, TimeoutError) else "ReadError"
            raise getattr(self._errors, kind)(str(exc)) from exc

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send it all. Raises httpcore's `WriteError`, `WriteTimeout`."""
        try:
            async with asyncio.timeout(timeout):
                self._writer.write(buffer)
                await self._writer.drain()
        except OSError as exc:
            kind = "WriteTimeout" if isinstance(exc, TimeoutError) else "WriteError"
            raise getattr(self._errors, kind)(str(exc)) from exc

    async def aclose(self) -> None:
        """Close it."""
        self._writer.close()

    async def start_tls(self, *_: object, **__: object) -> "AsyncStream":
        """There is none: nobody stands between a machine and its host."""
        raise self._errors.ConnectError("TLS is not spoken over vsock; use http://")

    def get_extra_info(self, info: str) -> object:
        """What a pool asks to find out whether an idle connection was closed."""
        return self._writer.get_extra_info("socket") if info == "socket" else None
