import asyncio
from collections.abc import Mapping
from hashlib import sha256

import msgspec
import pytest

from modelmux.config.build import new_ids, surface
from modelmux.config.gateway import Gateway
from modelmux.config.lasting import Lasting, Telemetry
from modelmux.config.providers import Built
from modelmux.config.schema import (
    Config,
    Key,
    Model,
    Provider,
    Routing,
    Server,
    Streaming,
)
from modelmux.config.schema_routing import RoutingFallback, WeightedTarget
from modelmux.errors import ConfigError, PermissionDenied, Unauthenticated, UnknownModel
from modelmux.ingress.http import HttpRequest
from modelmux.ingress.surface import Surface
from modelmux.layer.peek import Peek
from modelmux.layer.record import Record
from modelmux.layer.retry import Retry
from modelmux.layer.timeout import Timeout
from modelmux.layer.watch import Watch
from modelmux.provider.echo import Echo
from modelmux.provider.model import ModelTarget
from modelmux.target.balance import Balance
from modelmux.target.base import Target
from modelmux.target.call import ANONYMOUS
from tests.unit.config.gateways import Lines, loaded


def provider(name: str = "a", **more: object) -> Provider:
    said: dict[str, object] = {"type": "openai", "api_key": f"sk-{name}-123456", "models": ("m",)}
    return Provider(name=name, **{**said, **more})  # type: ignore[arg-type]


def built(config: Config) -> tuple[Surface, Built]:
    return surface(loaded(config), Lasting(Telemetry(config, output=Lines())))


def made(config: Config) -> Surface:
    return built(config)[0]


def layers(target: Target) -> list[str]:
    """What stands round a target and inside of it, from outside to inside."""
    names: list[str] = []
    inner: object = target
    while inner is not None:
        names.append(type(inner).__name__)
        if isinstance(inner, Balance):
            candidates = [each for tier in inner.chooser.tiers for each in tier]
            members = [layers(each.target) for each in candidates]
            assert all(member == members[0] for member in members)
            return [*names, *members[0]]
        inner = getattr(inner, "_inner", None)
    return names


def resolved(config: Config, model: str = "m") -> Target:
    return made(config).registry.resolve(model, ANONYMOUS)


def behind(config: Config, model: str) -> list[str]:
    """The names of those who answer, in order."""
    return made(config).registry.targets(model, ANONYMOUS)


def tries(config: Config, model: str) -> int:
    """How many targets one call for `model` may be sent to."""
    inner: object = resolved(config, model)
    while not isinstance(inner, Balance):
        inner = getattr(inner, "_inner")  # noqa: B009
    return inner.chooser.max_tries


# Layers


def test_one_target_has_the_layers_of_the_call_and_its_own():
    assert layers(resolved(Config(providers=(provider(),)))) == [
        "Record",
        "Retry",
        "Watch",
        "Timeout",
        "Peek",
        "ModelTarget",
    ]


def test_several_targets_have_the_layers_of_the_call_once_and_their_own_each():
    config = Config(providers=(provider("a"), provider("b")))
    assert layers(resolved(config)) == [
        "Record",
        "Retry",
        "Balance",
        "Record",
        "Watch",
        "Timeout",
        "Peek",
        "ModelTarget",
    ]


@pytest.mark.parametrize(
    ("config", "left_out"),
    [
        (Config(providers=(provider(),), server=Server(enable_retries=False)), "Retry"),
        (Config(providers=(provider(),), server=Server(max_retry_attempts=1)), "Retry"),
        (Config(providers=(provider(timeout_s=0.0),)), "Timeout"),
    ],
)
def test_a_layer_that_has_nothing_to_do_is_left_out(config: Config, left_out: str):
    found = layers(resolved(config))
    assert left_out not in found
    assert found[0] == "Record"
    assert found[-2:] == ["Peek", "ModelTarget"]


def test_layers_are_told_what_the_configuration_says():
    config = Config(
        providers=(provider(timeout_s=7.0),),
        server=Server(max_retry_attempts=5),
    )
    record = resolved(config)
    assert isinstance(record, Record)
    retry = record._inner
    assert isinstance(retry, Retry)
    assert retry._policy.max_attempts == 5
    watch = retry._inner
    assert isinstance(watch, Watch)
    assert watch._health.name == "a/m"
    timeout = watch._inner
    assert isinstance(timeout, Timeout)
    assert timeout._timeout_s == 7.0
    peek = timeout._inner
    assert isinstance(peek, Peek)
    assert isinstance(peek._inner, ModelTarget)
    assert {each.name for each in (record, retry, watch, timeout, peek)} == {"a/m"}


def test_the_built_in_model_is_always_there_and_is_recorded():
    target = resolved(Config(), "modelmux/echo")
    assert layers(target) == ["Record", "Retry", "Echo"]
    assert target.name == Echo.name


# Names


def test_aliases_answer_with_their_targets_and_then_with_their_fallback():
    model = Model(
        name="fast",
        targets=("b/m", WeightedTarget(target="a/m")),
        fallback=("modelmux/echo",),
    )
    config = Config(providers=(provider("a"), provider("b")), models=(model,))
    assert behind(config, "fast") == ["b/m", "a/m", "modelmux/echo"]


def test_without_fallback_nobody_else_is_asked():
    model = Model(name="fast", targets=("b/m", "a/m"), fallback=("modelmux/echo",))
    config = Config(
        providers=(provider("a"), provider("b")),
        models=(model,),
        routing=Routing(fallback=RoutingFallback(enabled=False)),
    )
    assert behind(config, "fast") == ["b/m", "a/m"]
    assert [tries(config, name) for name in ("fast", "m")] == [1, 1]


@pytest.mark.parametrize(("most", "expected"), [(0, 1), (1, 2), (9, 10)])
def test_so_many_more_are_asked(most: int, expected: int):
    config = Config(
        providers=tuple(provider(name) for name in "abc"),
        routing=Routing(fallback=RoutingFallback(max_retries=most)),
    )
    assert tries(config, "m") == expected


def test_priority_decides_who_is_asked_first():
    config = Config(providers=(provider("a", priority=2), provider("b", priority=1)))
    assert behind(config, "m") == ["b/m", "a/m"]


def test_the_default_answers_for_the_unknown():
    config = Config(providers=(provider(),), routing=Routing(default="a/m"))
    assert resolved(config, "whatever").name == "a/m"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Config(routing=Routing(default="gpt")), "routing.default"),
        (Config(models=(Model(name="fast", targets=("nobody/m",)),)), "models.fast"),
        (Config(models=(Model(name="fast"),)), "models.fast"),
        (Config(models=(Model(name="fast", targets=("fast",)),)), "leads back to itself"),
        (Config(providers=(Provider(name="p", type="nothing"),)), "providers.p"),
    ],
)
def test_what_cannot_be_built_says_where(config: Config, message: str):
    with pytest.raises(ConfigError, match=message):
        built(config)


# Keys


def ask(surface_: Surface, **headers: str) -> str:
    """Who is let in with `headers`."""
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return surface_.keyring.identify(HttpRequest("GET", "/", b"", fields, b"", 0.0)).name


def test_keys_let_in_whom_they_name_by_secret_or_by_hash():
    keys = (
        Key(name="plain", secret="s-1", models=("m",), tags={"team": "x"}),
        Key(name="hashed", sha256=sha256(b"s-2").hexdigest().upper()),
    )
    surface_ = made(Config(providers=(provider(models=("m", "n")),), keys=keys))
    assert ask(surface_, x_api_key="s-1") == "plain"
    assert ask(surface_, authorization="Bearer s-2") == "hashed"
    with pytest.raises(Unauthenticated):
        ask(surface_, x_api_key="s-3")


def test_a_key_may_ask_for_what_it_names():
    config = Config(
        providers=(provider(models=("m", "n")),), keys=(Key(name="k", secret="s", models=("m",)),)
    )
    surface_ = made(config)
    fields = [(b"x-api-key", b"s")]
    caller = surface_.keyring.identify(HttpRequest("GET", "/", b"", fields, b"", 0.0))
    assert surface_.registry.resolve("m", caller).name == "a/m"
    with pytest.raises(PermissionDenied):
        surface_.registry.resolve("n", caller)
    with pytest.raises(UnknownModel):
        surface_.registry.resolve("o", caller)
    assert [row.id for row in surface_.rows(caller)] == ["m"]


# Lists


def test_rows_tell_what_is_known_of_models():
    config = Config(
        providers=(provider(models=("gpt-5.4", "unheard-of")),),
        models=(Model(name="fast", targets=("a/gpt-5.4", "a/unheard-of")),),
    )
    rows = {row.id: row for row in made(config).rows(ANONYMOUS)}
    assert set(rows) == {"fast", "gpt-5.4", "unheard-of", "modelmux/echo"}
    assert rows["gpt-5.4"].context_tokens == 1_050_000
    assert rows["gpt-5.4"].max_output_tokens == 128_000
    assert rows["fast"].targets == ("a/gpt-5.4", "a/unheard-of")
    assert rows["fast"].context_tokens == 1_050_000
    assert rows["unheard-of"].context_tokens == 0
    assert rows["modelmux/echo"].context_tokens == 0
    assert len({row.created_at_s for row in rows.values()}) == 1


# Streaming, ids


@pytest.mark.parametrize(("mode", "take"), [("never", "json"), ("buffered", "buffered")])
def test_streams_are_given_as_configured(mode: str, take: str):
    streaming = Streaming(mode=mode, buffer_size=20, chunk_timeout_ms=1500)  # type: ignore[arg-type]
    made_ = made(Config(streaming=streaming)).streaming
    assert made_.take({}) == take
    assert (made_._limit, made_._timeout_s) == (20, 1.5)


def test_ids_are_unique_and_those_of_another_process_are_others():
    first, second = new_ids(), new_ids()
    ids = [first() for _ in range(1000)] + [second() for _ in range(1000)]
    assert len(set(ids)) == 2000
    assert all(id_.isalnum() and len(id_) <= 32 for id_ in ids)


# Telemetry


def telemetry(**server: object) -> tuple[Telemetry, Lines]:
    lines = Lines()
    config = Config(server=Server(**server), providers=(provider(),))  # type: ignore[arg-type]
    return Telemetry(config, output=lines), lines


def test_log_lines_are_text_or_json():
    for form in ("text", "json"):
        told, lines = telemetry(log_format=form)
        told.log.event("info", "hello")
        assert "hello" in lines.text
        if form == "json":
            msgspec.json.decode(lines.text)


@pytest.mark.parametrize(
    ("server", "is_told"),
    [({}, False), ({"log_level": "debug"}, True), ({"debug": True}, True)],
)
def test_the_log_tells_from_its_level_on(server: Mapping[str, object], is_told: bool):
    told, lines = telemetry(**server)
    told.log.event("debug", "detail")
    assert ("detail" in lines.text) == is_told
    config = Config(server=Server(**server))  # type: ignore[arg-type]
    assert made(config).debug == is_told


def test_secrets_of_the_configuration_are_masked():
    told, lines = telemetry()
    told.log.event("info", "the key is sk-a-123456")
    assert "sk-a-123456" not in lines.text


# Making it does nothing yet


def test_building_needs_no_event_loop_and_reaches_for_nothing():
    config = Config(
        providers=(
            provider(ca_file="/nowhere/ca.pem"),
            Provider(
                name="g", type="vertex", project="p", region="us", service_account_file="/nowhere"
            ),
        ),
        keys=(Key(name="k", secret="s"),),
    )
    _, parts = built(config)
    assert all(client.counters.open == 0 for client in parts.clients.values())
    gateway = Gateway(loaded(config), output=Lines())
    asyncio.run(gateway.aclose())
