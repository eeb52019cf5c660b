import asyncio
from pathlib import Path

import modelmux
from modelmux.config import library
from modelmux.config.library import provider_types
from modelmux.ir.parts import Text


def test_what_is_exported_is_there() -> None:
    for name in modelmux.__all__:
        assert getattr(modelmux, name) is not None
    assert set(library.__all__) < set(modelmux.__all__)


def test_a_gateway_in_process_answers(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("")

    async def ask() -> tuple[str, str]:
        async with modelmux.Gateway(modelmux.load_config(file)) as gateway:
            messages = [{"role": "user", "content": "one two"}]
            response = await gateway.chat("modelmux/echo", messages)
            streamed = [text async for text in gateway.chat_stream("modelmux/echo", "one two")]
            part = response.parts[0]
            assert isinstance(part, Text)
            return part.text, "".join(streamed)

    assert asyncio.run(ask()) == ("one two", "one two")


def test_an_application_answers_under_a_server_of_its_own_kind(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("")
    app = modelmux.create_app(modelmux.load_config(file))
    sent: list[dict[str, object]] = []

    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, object]:
        return messages.pop() if messages else await asyncio.Future()

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/healthz",
        "query_string": b"",
        "headers": [],
    }

    async def ask() -> None:
        await app(scope, receive, send)

    asyncio.run(ask())
    assert sent[0]["status"] == 200


def test_every_provider_of_the_catalogue_can_be_configured() -> None:
    assert {"openai", "anthropic", "vertex", "openai_compatible"} <= set(provider_types())


def test_what_is_built_in_is_no_type_that_a_configuration_can_name() -> None:
    assert "echo" not in provider_types()
    assert {"openai", "anthropic", "vertex", "ollama"} <= set(provider_types())
