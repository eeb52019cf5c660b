import asyncio
import os
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from modelmux import __version__
from modelmux.config.gateway import Gateway
from modelmux.config.load import Loaded, Source
from modelmux.config.schema import Config, Key, Model, Provider, Server
from modelmux.errors import InvalidRequest, Rejected, TargetError, UnknownModel, Unreachable
from modelmux.ingress.control import Actions, Control, Log, Reloaded, Upgraded
from modelmux.ingress.http import HttpRequest
from modelmux.ir.parts import Text
from tests.support import http1, plain
from tests.support.upstream import Do, Upstream
from tests.unit.config.gateways import Lines, loaded
from tests.unit.ingress.loopback import Asgi, scope

HELLO = [{"role": "user", "content": "Hello there"}]
COMPLETION = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


def sse(*deltas: object) -> list[bytes]:
    said = [
        {
            "id": "c-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
        }
        for delta in deltas
    ]
    return [b"data: " + msgspec.json.encode(each) + b"\n\n" for each in said]


FINISH = [
    sse({})[0].replace(b'"finish_reason":null', b'"finish_reason":"stop"'),
    b"data: [DONE]\n\n",
]


def at(upstream: Upstream, **more: object) -> Provider:
    said: dict[str, object] = {
        "type": "openai_compatible",
        "base_url": upstream.base_url,
        "models": ("m",),
    }
    return Provider(name="up", **{**said, **more})  # type: ignore[arg-type]


def run(config: Config, scene: Callable[[Gateway], Awaitable[None]]) -> Lines:
    """Play a scene with a gateway; its log."""
    lines = Lines()

    async def whole() -> None:
        async with Gateway(loaded(config), output=lines) as gateway:
            await scene(gateway)

    asyncio.run(whole())
    assert lines.is_closed
    return lines


def patient(*providers: Provider, **more: object) -> Config:
    """A configuration that tries nothing twice."""
    return Config(providers=providers, server=Server(enable_retries=False), **more)  # type: ignore[arg-type]


# In process


def test_a_question_is_answered_in_process():
    async def scene(gateway: Gateway) -> None:
        response = await gateway.chat("modelmux/echo", HELLO)
        assert response.parts == (Text("Hello there"),)
        assert response.model == "modelmux/echo"

    assert "modelmux/echo" in run(Config(), scene).text


def test_a_question_goes_to_the_provider_with_all_its_options():
    with Upstream(lambda _request: [http1.answer(200, COMPLETION)]) as upstream:

        async def scene(gateway: Gateway) -> None:
            response = await gateway.chat("m", HELLO, temperature=0.5)
            assert response.parts == (Text("hi"),)

        run(patient(at(upstream)), scene)
    (request,) = upstream.requests
    assert msgspec.json.decode(request.body)["temperature"] == 0.5


def test_an_answer_in_process_comes_as_it_is_said():
    with Upstream(
        lambda _r: http1.stream(*sse({"content": "one "}, {"content": "two"}), *FINISH)
    ) as up:

        async def scene(gateway: Gateway) -> None:
            assert [text async for text in gateway.chat_stream("m", "Hello")] == ["one ", "two"]

        run(patient(at(up)), scene)


def test_only_text_is_told_of_an_answer_in_process():
    call = {"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    deltas = sse({"content": "one"}, {"tool_calls": [call]})
    with Upstream(lambda _request: http1.stream(*deltas, *FINISH)) as upstream:

        async def scene(gateway: Gateway) -> None:
            assert [text async for text in gateway.chat_stream("m", "Hello")] == ["one"]

        run(patient(at(upstream)), scene)


def test_an_answer_in_process_that_breaks_off_says_so():
    parts = [http1.stream_head(), http1.chunk(sse({"content": "one"})[0]), Do.CLOSE]
    with Upstream(lambda _request: parts) as upstream:

        async def scene(gateway: Gateway) -> None:
            said: list[str] = []
            with pytest.raises(TargetError):
                async for text in gateway.chat_stream("m", "Hello"):
                    said.append(text)  # noqa: PERF401
            assert said == ["one"]

        run(patient(at(upstream)), scene)


def test_an_answer_that_is_not_read_to_its_end_is_given_up():
    parts = [http1.stream_head(), http1.chunk(sse({"content": "one"})[0]), Do.WAIT_FOR_CLOSE]
    with Upstream(lambda _request: parts) as upstream:

        async def scene(gateway: Gateway) -> None:
            texts = gateway.chat_stream("m", "Hello")
            assert await anext(texts) == "one"
            await texts.aclose()
            assert gateway.telemetry.metrics.in_flight == 0
            (request,) = upstream.requests
            assert await asyncio.to_thread(request.abandoned.wait, 10)

        run(patient(at(upstream)), scene)


def test_a_question_that_cannot_be_answered_says_why():
    async def scene(gateway: Gateway) -> None:
        with pytest.raises(UnknownModel):
            await gateway.chat("nothing-such", HELLO)
        with pytest.raises(InvalidRequest):
            await gateway.chat("modelmux/echo", [{"role": "nobody"}])
        with pytest.raises(UnknownModel):
            await anext(gateway.chat_stream("nothing-such", "Hello"))

    run(Config(), scene)


def test_what_the_provider_refuses_is_told():
    refusal = http1.answer(400, {"error": {"message": "no such thing", "type": "t"}})
    with Upstream(lambda _request: [refusal]) as upstream:

        async def scene(gateway: Gateway) -> None:
            with pytest.raises(Rejected, match="no such thing"):
                await gateway.chat("m", HELLO)

        run(patient(at(upstream)), scene)


def test_a_provider_that_is_down_leaves_the_question_to_the_next():
    down = Provider(
        name="down",
        type="openai_compatible",
        base_url=f"http://127.0.0.1:{plain.free_port()}",
        models=("m",),
        priority=0,
    )
    with Upstream(lambda _request: [http1.answer(200, COMPLETION)]) as upstream:

        async def scene(gateway: Gateway) -> None:
            assert (await gateway.chat("m", HELLO)).parts == (Text("hi"),)

        run(patient(down, at(upstream)), scene)


# What can be asked for


def test_models_are_told_with_their_price():
    config = Config(
        providers=(Provider(name="o", type="openai", api_key="sk-1", models=("gpt-5.4", "x")),),
        models=(Model(name="fast", targets=("o/gpt-5.4",)),),
        keys=(Key(name="k", secret="s", models=("nothing",)),),
    )

    async def scene(gateway: Gateway) -> None:
        models = {model.id: model for model in gateway.models()}
        assert set(models) == {"fast", "gpt-5.4", "x", "modelmux/echo"}
        assert models["fast"].targets == ("o/gpt-5.4",)
        assert models["fast"].price is not None
        assert models["fast"].price.input is not None
        assert models["x"].price is None
        assert models["gpt-5.4"].context_tokens == 1_050_000

    run(config, scene)


# Whether anybody would answer


def checks(*providers: Provider) -> list[tuple[str, bool, str, str]]:
    found: list[tuple[str, bool, str, str]] = []

    async def scene(gateway: Gateway) -> None:
        found.extend((each.name, each.ok, each.detail, each.fix) for each in await gateway.check())

    run(patient(*providers), scene)
    assert found[0] == ("modelmux/echo", True, "built in", "")
    return found[1:]


def test_a_provider_that_answers_is_well():
    with Upstream(lambda _request: [http1.answer(200, {"data": []})]) as upstream:
        ((name, ok, detail, fix),) = checks(at(upstream))
    assert (name, ok, fix) == ("up", True, "")
    assert detail == f"{upstream.base_url} answers"


def test_a_provider_that_does_not_answer_comes_with_a_fix():
    refusal = http1.answer(401, {"error": {"message": "bad key", "type": "t"}})
    with Upstream(lambda _request: [refusal]) as upstream:
        gone = Provider(
            name="gone",
            type="openai_compatible",
            base_url=f"http://127.0.0.1:{plain.free_port()}",
        )
        refused, lost = checks(at(upstream, api_key="sk-1"), gone)
    for name, ok, _, fix in (refused, lost):
        assert name in {"up", "gone"}
        assert not ok
        assert fix
    assert "bad key" in refused[2]
    assert "refused" in lost[2]


# How it fares


def test_the_status_tells_of_the_process_and_its_work():
    config = Config(providers=(Provider(name="o", type="openai", api_keys=("sk-1", "sk-2")),))

    async def scene(gateway: Gateway) -> None:
        await gateway.chat("modelmux/echo", HELLO)
        gateway.listening = ["127.0.0.1:3000"]
        status = gateway.status()
        assert (status.pid, status.version) == (os.getpid(), __version__)
        assert status.started_at.endswith("+00:00")
        assert status.listen == ["127.0.0.1:3000"]
        assert (status.requests_total, status.failures_total, status.in_flight) == (1, 0, 0)
        assert not status.draining
        ((name, usable, total),) = [
            (each.name, each.keys_usable, each.keys_total) for each in status.providers
        ]
        assert (name, usable, total) == ("o", 2, 2)

    run(config, scene)


def test_the_status_names_the_files_that_were_found(tmp_path):
    sources = (
        Source("system", tmp_path / "none.toml", found=False),
        Source("user", tmp_path / "config.toml", found=True),
    )
    gateway = Gateway(Loaded(Config(), {}, sources, (), frozenset()), output=Lines())
    assert gateway.status().config_sources == [str(tmp_path / "config.toml")]
    asyncio.run(gateway.aclose())


async def ask(gateway: Gateway, path: str, method: str = "GET", body: bytes = b"") -> Asgi:
    line = Asgi({"type": "http.request", "body": body})
    await gateway.app()(scope(method, path), line.receive, line.send)
    return line


def test_a_gateway_without_providers_is_ready():
    async def scene(gateway: Gateway) -> None:
        line = await ask(gateway, "/readyz")
        assert (line.status, msgspec.json.decode(line.body)["reasons"]) == (200, [])

    run(Config(), scene)


def test_a_gateway_that_drains_is_not_ready():
    async def scene(gateway: Gateway) -> None:
        gateway.draining = True
        line = await ask(gateway, "/readyz")
        assert (line.status, msgspec.json.decode(line.body)["reasons"]) == (503, ["draining"])

    run(Config(), scene)


@pytest.mark.parametrize(("others", "status"), [((), 503), (("b",), 200)])
def test_a_gateway_is_ready_while_some_provider_has_a_key(others: tuple[str, ...], status: int):
    config = Config(
        providers=tuple(
            Provider(name=name, type="openai", api_key="sk-1") for name in ("a", *others)
        )
    )

    async def scene(gateway: Gateway) -> None:
        ring = gateway._built.rings[0]
        ring.keys[0].bench(asyncio.get_running_loop().time())
        line = await ask(gateway, "/readyz")
        reasons = msgspec.json.decode(line.body)["reasons"]
        assert (line.status, reasons) == (status, ["a: no key can be used now"])

    run(config, scene)


def test_metrics_count_calls_and_connections():
    with Upstream(lambda _request: [http1.answer(200, COMPLETION)]) as upstream:

        async def scene(gateway: Gateway) -> None:
            await gateway.chat("m", HELLO)
            for _ in range(2):
                text = (await ask(gateway, "/metrics")).body.decode()
                assert "modelmux_" in text
                assert '"up"' in text

        run(patient(at(upstream)), scene)


def test_health_counts_calls():
    async def scene(gateway: Gateway) -> None:
        await gateway.chat("modelmux/echo", HELLO)
        body = msgspec.json.decode((await ask(gateway, "/health")).body)
        assert body["metrics"]["total_requests"] == 1

    run(Config(), scene)


# The applications


def test_the_application_answers_callers_and_minds_the_limit():
    async def scene(gateway: Gateway) -> None:
        body = msgspec.json.encode({"model": "modelmux/echo", "messages": HELLO})
        line = await ask(gateway, "/v1/chat/completions", "POST", body)
        assert line.status == 200
        assert b"Hello there" in line.body
        line = await ask(gateway, "/v1/chat/completions", "POST", b"x" * 1001)
        assert line.status == 413
        assert (await ask(gateway, "/control/status")).status == 404

    run(Config(server=Server(max_body_bytes=1000)), scene)


def test_a_server_starts_and_stops_the_gateway():
    lines = Lines()
    gateway = Gateway(loaded(), output=lines)
    line = Asgi({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    asyncio.run(gateway.app()({"type": "lifespan"}, line.receive, line.send))
    assert [message["type"] for message in line.sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert lines.is_closed


def test_a_defect_is_written_down():
    async def scene(gateway: Gateway) -> None:
        class Broken:
            def identify(self, _request: HttpRequest) -> object:
                raise ZeroDivisionError("oh")

        gateway.current().keyring = Broken()  # type: ignore[assignment]
        line = await ask(gateway, "/v1/models")
        assert line.status == 500

    assert "ZeroDivisionError" in run(Config(), scene).text


def test_the_control_socket_needs_no_key_and_knows_the_log():
    config = Config(keys=(Key(name="k", secret="s-123"),))

    async def scene(gateway: Gateway) -> None:
        stops: list[bool] = []

        async def reload(_cause: str) -> Reloaded:
            return Reloaded(reloaded=True)

        async def upgrade() -> Upgraded:
            return Upgraded(upgraded=True)

        actions = Actions(stops.append, reload, upgrade)
        control = Control(gateway.status, gateway.log_access(), actions)
        app = gateway.control_app(control)

        async def at_control(method: str, path: str, body: bytes = b"") -> Asgi:
            line = Asgi({"type": "http.request", "body": body})
            await app(scope(method, path), line.receive, line.send)
            return line

        body = msgspec.json.encode({"model": "modelmux/echo", "messages": HELLO})
        assert (await ask(gateway, "/v1/chat/completions", "POST", body)).status == 401
        assert (await at_control("POST", "/v1/chat/completions", body)).status == 200
        assert (await at_control("GET", "/control/status")).status == 200
        assert (await at_control("POST", "/control/reload")).status == 200
        assert (await at_control("POST", "/control/upgrade")).status == 200
        assert (await at_control("POST", "/control/stop")).status == 202
        assert stops == [False]
        assert b"modelmux/echo" in (await at_control("GET", "/control/logs")).body

    run(config, scene)


def test_the_log_can_be_followed():
    async def scene(gateway: Gateway) -> None:
        log: Log = gateway.log_access()
        following = log.follow()
        gateway.telemetry.log.event("info", "something happened")
        gateway.telemetry.log.flush()
        line = await anext(aiter(following))
        assert "something happened" in line
        assert "something happened" in log.recent(1)[0]

    run(Config(), scene)


def test_nobody_can_be_reached_after_the_end():
    with Upstream(lambda _request: [http1.answer(200, COMPLETION)]) as upstream:

        async def whole() -> None:
            gateway = Gateway(loaded(patient(at(upstream))), output=Lines())
            async with gateway:
                await gateway.chat("m", HELLO)
            with pytest.raises((Unreachable, TargetError)):
                await gateway.chat("m", HELLO)

        asyncio.run(whole())
