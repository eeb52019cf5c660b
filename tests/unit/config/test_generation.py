import asyncio

from modelmux.config.generation import Generation
from modelmux.config.lasting import Lasting, Telemetry
from modelmux.config.schema import Config, Provider
from modelmux.target.call import ANONYMOUS, Call
from modelmux.wire import openai_chat
from tests.unit.config.gateways import Lines, loaded

BODY = b'{"model":"modelmux/echo","messages":[{"role":"user","content":"hi"}],"stream":true}'


def made(*providers: Provider, earlier: Generation | None = None) -> Generation:
    config = Config(providers=providers)
    return Generation(loaded(config), Lasting(Telemetry(config, output=Lines())), earlier)


def test_a_call_is_under_way_until_its_stream_has_ended():
    async def scene() -> None:
        generation = made()
        wire = openai_chat.WIRE
        call = Call(wire, BODY, wire.envelope(BODY), id="c")
        target = generation.surface.registry.resolve("modelmux/echo", ANONYMOUS)
        reply = await target.send(call)
        stream = reply.stream(wire, call.envelope)
        await anext(stream)
        idle = asyncio.ensure_future(generation.wait_idle())
        await asyncio.wait([idle], timeout=0)
        assert (generation.under_way, idle.done()) == (1, False)
        async for _ in stream:
            pass
        await idle
        assert generation.under_way == 0

    asyncio.run(scene())


def test_connections_are_those_of_the_generation_before_where_they_lead_to_the_same():
    provider = Provider(name="a", type="openai", api_key="sk-1")
    before = made(provider)
    after = made(provider, earlier=before)
    assert list(after.clients) == list(before.clients)


def test_closing_leaves_what_others_use():
    async def scene() -> None:
        provider = Provider(name="a", type="openai", api_key="sk-1")
        before = made(provider)
        after = made(provider, earlier=before)
        await before.aclose(set(after.clients))
        for client in after.clients:
            client._pool.check_open()

    asyncio.run(scene())
