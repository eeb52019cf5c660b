"""The classes of `modelmux.client`, over the socket of a gateway."""

import asyncio

import httpx
import httpx2

from modelmux.client import async_http_transport, http_transport
from modelmux.client.anthropic import Anthropic, AsyncAnthropic
from modelmux.client.openai import AsyncOpenAI, OpenAI
from tests.support.gateway import GatewayStarter

ECHO = "modelmux/echo"


def test_openais_class_takes_the_socket(start_gateway: GatewayStarter):
    address = f"unix:{start_gateway('').socket_path}"
    with OpenAI(base_url=address) as client:
        said = client.chat.completions.create(
            model=ECHO, messages=[{"role": "user", "content": "hi"}]
        )
        assert said.choices[0].message.content == "hi"
        again = client.with_options(timeout=5.0)
        assert [model.id for model in again.models.list()] == [ECHO]

    async def scene() -> str | None:
        async with AsyncOpenAI(base_url=f"{address}:/models/v1") as client:
            stream = await client.chat.completions.create(
                model=ECHO, messages=[{"role": "user", "content": "hi there"}], stream=True
            )
            return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

    assert asyncio.run(scene()) == "hi there"


def test_anthropics_class_takes_the_socket(start_gateway: GatewayStarter):
    address = f"unix:{start_gateway('').socket_path}"
    with Anthropic(base_url=address) as client:
        said = client.messages.create(
            model=ECHO, max_tokens=9, messages=[{"role": "user", "content": "hi"}]
        )
        assert said.content[0].text == "hi"  # type: ignore[union-attr]

    async def scene() -> str:
        async with (
            AsyncAnthropic(base_url=address) as client,
            client.messages.stream(
                model=ECHO, max_tokens=9, messages=[{"role": "user", "content": "hi"}]
            ) as stream,
        ):
            return "".join([text async for text in stream.text_stream])

    assert asyncio.run(scene()) == "hi"


def test_both_libraries_take_the_transport(start_gateway: GatewayStarter):
    address = f"unix:{start_gateway('').socket_path}"
    with httpx2.Client(transport=http_transport(address), base_url="http://modelmux") as two:
        assert two.get("/healthz").text.strip() == "ok"
    transport = http_transport(address, "httpx")
    with httpx.Client(transport=transport, base_url="http://modelmux") as one:
        assert one.get("/healthz").text.strip() == "ok"

    async def scene() -> str:
        over = async_http_transport(address, "httpx")
        async with httpx.AsyncClient(transport=over, base_url="http://modelmux") as client:
            return (await client.get("/healthz")).text

    assert asyncio.run(scene()).strip() == "ok"
