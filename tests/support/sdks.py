"""The official SDKs as one client each, however they are used: sync or async, TCP or unix socket.

    openai_sdk.do(lambda client: client.chat.completions.create(...))      # a whole answer
    openai_sdk.all(lambda client: client.chat.completions.create(stream=True, ...))
    anthropic_sdk.final(lambda client: client.messages.stream(...))

A test is written as for the sync client; what the async one gives back is awaited here, on an event
loop that lives as long as the clients do.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar, cast

import anthropic
import httpx2
import openai

from tests.support.gateway import Gateway

C = TypeVar("C")
T = TypeVar("T")

Mode = Literal["sync", "async"]
Transport = Literal["tcp", "unix"]

TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Way:
    """How a client reaches the gateway."""

    mode: Mode
    transport: Transport

    def __str__(self) -> str:
        return f"{self.mode}-{self.transport}"


WAYS = [Way("sync", "tcp"), Way("sync", "unix"), Way("async", "tcp"), Way("async", "unix")]


class _Stream(Protocol[T]):
    """What the SDKs' streams have in common."""

    def __iter__(self) -> Iterator[T]: ...


class Sdk(Generic[C]):
    """One client. `client` is typed as the sync one, also where it is the other."""

    def __init__(self, client: object, way: Way, runner: asyncio.Runner) -> None:
        self.client = cast("C", client)
        self.way = way
        self._runner = runner

    def do(self, ask: Callable[[C], T]) -> T:
        """What `ask` gives back, awaited if need be."""
        result = ask(self.client)
        if self.way.mode == "sync":
            return result
        return self._runner.run(_awaited(cast("Awaitable[T]", result)))

    def all(self, ask: Callable[[C], _Stream[T]]) -> list[T]:
        """Everything in the stream that `ask` gives back, or in the pages of a list."""
        result = ask(self.client)
        if self.way.mode == "sync":
            return list(result)
        return self._runner.run(_gathered(result))

    def heard(self, ask: Callable[[C], _Stream[T]], heard: list[T]) -> None:
        """Put into `heard` what the stream gives, also where it ends in an exception."""
        result = ask(self.client)
        if self.way.mode == "sync":
            for item in result:
                heard.append(item)
            return
        self._runner.run(_gathered(result, heard))

    def final(self, ask: Callable[[C], AbstractContextManager[T]], get: str) -> tuple[list[object], object]:
        """The events of an SDK's streaming helper, and what its method `get` says in the end."""
        manager = ask(self.client)
        if self.way.mode == "async":
            helper = cast("AbstractAsyncContextManager[object]", manager)
            return self._runner.run(_final(helper, get))
        with manager as stream:
            events = list(cast("_Stream[object]", stream))
            return events, getattr(stream, get)()


async def _awaited(result: Awaitable[T]) -> T:
    return await result


async def _gathered(result: object, heard: list[T] | None = None) -> list[T]:
    """The items of an async stream, or of what gives one when it is awaited."""
    found: list[T] = [] if heard is None else heard
    if isinstance(result, Awaitable) and not isinstance(result, AsyncIterator) and not hasattr(result, "__aiter__"):
        result = await result
    async for item in cast("AsyncIterator[T]", result):
        found.append(item)
    return found


async def _final(manager: AbstractAsyncContextManager[object], get: str) -> tuple[list[object], object]:
    async with manager as stream:
        events: list[object] = await _gathered(stream)
        return events, await getattr(stream, get)()


@contextmanager
def openai_clients(gateway: Gateway, key: str) -> Generator[Callable[[Way], Sdk[openai.OpenAI]], None, None]:
    """OpenAI's clients, one for each way, which do not retry; closed in the end."""
    with _clients() as opened:

        def make(way: Way) -> object:
            if way.mode == "sync":
                transport = None if way.transport == "tcp" else httpx2.HTTPTransport(uds=str(gateway.socket_path))
                http = openai.DefaultHttpxClient(transport=transport)
                return openai.OpenAI(base_url=gateway.openai_url, api_key=key, max_retries=0, timeout=TIMEOUT_S, http_client=http)
            transport_a = None if way.transport == "tcp" else httpx2.AsyncHTTPTransport(uds=str(gateway.socket_path))
            http_a = openai.DefaultAsyncHttpxClient(transport=transport_a)
            return openai.AsyncOpenAI(base_url=gateway.openai_url, api_key=key, max_retries=0, timeout=TIMEOUT_S, http_client=http_a)

        yield lambda way: opened(way, make)
