"""The official SDKs, each as one client however it is used: sync or async, TCP or unix socket.

    sdk.do(lambda client: client.chat.completions.create(...))              # a whole answer
    sdk.all(lambda client: client.chat.completions.create(stream=True, …))  # the items of a stream
    sdk.final(lambda client: client.messages.stream(...))                   # a streaming helper

A test is written as for the sync client. What the async one gives back is awaited here, on an event
loop that lives as long as the clients do.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, cast

import anthropic
import httpx2
import openai

from tests.support.gateway import Gateway

C = TypeVar("C")
T = TypeVar("T")

TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Way:
    """How a client is used."""

    mode: Literal["sync", "async"]
    transport: Literal["tcp", "unix"]

    def __str__(self) -> str:
        return f"{self.mode}-{self.transport}"


WAYS = (Way("sync", "tcp"), Way("sync", "unix"), Way("async", "tcp"), Way("async", "unix"))


class Sdk(Generic[C]):
    """One client of an SDK. To tests it is the sync one, also where it is the other."""

    def __init__(self, client: object, way: Way, runner: asyncio.Runner | None) -> None:
        self.way = way
        self._client = cast("C", client)
        self._runner = runner
        """Of the async client; the sync one has none."""

    def do(self, ask: Callable[[C], T]) -> T:
        """What `ask` gives back."""
        result = ask(self._client)
        if self._runner is None:
            return result
        return self._runner.run(_awaited(cast("Awaitable[T]", result)))

    def all(self, ask: Callable[[C], Iterable[T]], heard: list[T] | None = None) -> list[T]:
        """All items of the stream, or of the pages of a list, that `ask` gives back.

        Args:
            ask: The call.
            heard: Where the items go; a test that expects an exception sees what came before.
        """
        items: list[T] = [] if heard is None else heard
        result = ask(self._client)
        if self._runner is None:
            for item in result:
                items.append(item)  # noqa: PERF402 # one by one: what came before an exception
        else:
            self._runner.run(_gather(result, items))
        return items

    def final(
        self, ask: Callable[[C], AbstractContextManager[T]], method: str
    ) -> tuple[list[object], object]:
        """The events of a streaming helper, and what its `method` says in the end."""
        manager = ask(self._client)
        if self._runner is not None:
            helper = cast("AbstractAsyncContextManager[object]", manager)
            return self._runner.run(_final(helper, method))
        with manager as stream:
            events = list(cast("Iterable[object]", stream))
            return events, getattr(stream, method)()


class Clients:
    """Clients of one gateway, which do not retry. Each is made once; `close` closes them."""

    def __init__(self, gateway: Gateway, api_key: str) -> None:
        self._gateway = gateway
        self._api_key = api_key
        self._runner = asyncio.Runner()
        self._openai: dict[Way, openai.OpenAI | openai.AsyncOpenAI] = {}
        self._anthropic: dict[Way, anthropic.Anthropic | anthropic.AsyncAnthropic] = {}

    def of_openai(self, way: Way, api_key: str | None = None) -> Sdk[openai.OpenAI]:
        """OpenAI's SDK, also with another key."""
        client = self._openai.get(way)
        if client is None:
            client = self._openai[way] = self._make_openai(way)
        if api_key is not None:
            client = client.with_options(api_key=api_key)
        return Sdk(client, way, self._runner_for(way))

    def of_anthropic(self, way: Way, api_key: str | None = None) -> Sdk[anthropic.Anthropic]:
        """Anthropic's SDK, also with another key."""
        client = self._anthropic.get(way)
        if client is None:
            client = self._anthropic[way] = self._make_anthropic(way)
        if api_key is not None:
            client = client.with_options(api_key=api_key)
        return Sdk(client, way, self._runner_for(way))

    def close(self) -> None:
        """Close every client and the event loop."""
        for client in (*self._openai.values(), *self._anthropic.values()):
            closing = client.close()
            if closing is not None:
                self._runner.run(_awaited(closing))
        self._runner.close()

    def _runner_for(self, way: Way) -> asyncio.Runner | None:
        return self._runner if way.mode == "async" else None

    def _make_openai(self, way: Way) -> openai.OpenAI | openai.AsyncOpenAI:
        url, key = self._gateway.openai_url, self._api_key
        if way.mode == "sync":
            http = openai.DefaultHttpxClient(transport=self._sync_transport(way))
            return openai.OpenAI(
                base_url=url, api_key=key, max_retries=0, timeout=TIMEOUT_S, http_client=http
            )
        async_http = openai.DefaultAsyncHttpxClient(transport=self._async_transport(way))
        return openai.AsyncOpenAI(
            base_url=url, api_key=key, max_retries=0, timeout=TIMEOUT_S, http_client=async_http
        )

    def _make_anthropic(self, way: Way) -> anthropic.Anthropic | anthropic.AsyncAnthropic:
        url, key = self._gateway.base_url, self._api_key
        if way.mode == "sync":
            http = anthropic.DefaultHttpxClient(transport=self._sync_transport(way))
            return anthropic.Anthropic(
                base_url=url, api_key=key, max_retries=0, timeout=TIMEOUT_S, http_client=http
            )
        async_http = anthropic.DefaultAsyncHttpxClient(transport=self._async_transport(way))
        return anthropic.AsyncAnthropic(
            base_url=url, api_key=key, max_retries=0, timeout=TIMEOUT_S, http_client=async_http
        )

    def _sync_transport(self, way: Way) -> httpx2.HTTPTransport:
        return httpx2.HTTPTransport(uds=self._uds(way))

    def _async_transport(self, way: Way) -> httpx2.AsyncHTTPTransport:
        return httpx2.AsyncHTTPTransport(uds=self._uds(way))

    def _uds(self, way: Way) -> str | None:
        return str(self._gateway.socket_path) if way.transport == "unix" else None


async def _awaited(result: Awaitable[T]) -> T:
    return await result


async def _gather(result: object, items: list[T]) -> None:
    """Put the items of an async stream, or of what gives one when awaited, into `items`."""
    if not hasattr(result, "__aiter__"):
        result = await cast("Awaitable[object]", result)
    async for item in cast("AsyncIterator[T]", result):
        items.append(item)  # noqa: PERF401 # one by one: what came before an exception


async def _final(
    manager: AbstractAsyncContextManager[object], method: str
) -> tuple[list[object], object]:
    async with manager as stream:
        events: list[object] = []
        await _gather(stream, events)
        return events, await getattr(stream, method)()
