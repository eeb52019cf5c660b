"""The composition root: a configuration as objects, layers in their order."""

import asyncio
import itertools
import os
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256

from msgspec import Struct

from modelmux.config.catalogue import catalogue
from modelmux.config.journal import Journal
from modelmux.config.lasting import Lasting, Telemetry, level
from modelmux.config.load import Loaded
from modelmux.config.providers import Builder, Built, Clocks
from modelmux.config.schema import Config, Key, Model, Provider
from modelmux.ingress.auth import Keyring
from modelmux.ingress.load import Load
from modelmux.ingress.streaming import Streaming
from modelmux.ingress.surface import ModelRow, Surface
from modelmux.ir.request import OnLoss
from modelmux.layer.losses import LossPolicy
from modelmux.layer.peek import Peek
from modelmux.layer.record import Record, Recorder
from modelmux.layer.retry import Pacing, Retry, RetryPolicy
from modelmux.layer.timeout import Timeout
from modelmux.provider import echo
from modelmux.target.base import Layer, Target, compose
from modelmux.target.call import Caller
from modelmux.target.fallback import Fallback
from modelmux.target.registry import Registry


class Alias(Struct, frozen=True):
    """A name of `[[models]]`, with those who answer, in order."""

    name: str
    targets: tuple[str, ...]


def surface(
    loaded: Loaded, lasting: Lasting, earlier: Built | None = None
) -> tuple[Surface, Built]:
    """The surface of a configuration, and the providers behind it. Does no I/O.

    Args:
        loaded: The configuration.
        lasting: What outlives it.
        earlier: The providers in force, with whom connections are shared; they are not changed.

    Raises:
        ConfigError: The configuration says what cannot be built.
    """
    config = loaded.config
    telemetry = lasting.telemetry
    now = time.monotonic
    clocks = Clocks(now, time.time, _later)
    builder = Builder(catalogue(config), clocks, partial(_target_layers, now=now), earlier)
    built = builder.add_all(config)
    recorder = built.recorder = Recorder(
        telemetry.metrics, [telemetry.log.write], prices=built.tariff, now=now, unix_time=time.time
    )
    registry = Registry(
        built.offers,
        [_alias(model, config) for model in config.models],
        _combiner(config, recorder, lasting, now),
        built_in={echo.NAME: echo.Echo(time.time)},
        default=config.routing.default,
        fallback=_fallbacks(config),
    )
    return (
        Surface(
            registry,
            Keyring({_digest(key): _caller(key) for key in config.keys}),
            Streaming(
                config.streaming.mode,
                config.streaming.buffer_size,
                config.streaming.chunk_timeout_ms / 1000,
            ),
            Journal(recorder, telemetry.log),
            _rows(registry, built, int(time.time())),
            load=_load(config, telemetry),
            debug=level(config) in {"trace", "debug"},
        ),
        built,
    )


def new_ids() -> Callable[[], str]:
    """A maker of request ids: unique in this process, and unlikely to meet another's."""
    process = os.urandom(5).hex()
    numbers = itertools.count(1)
    return lambda: f"{process}{next(numbers):08x}"


def _target_layers(target: Target, provider: Provider, *, now: Callable[[], float]) -> Target:
    """Round each target: `timeout, peek` (ADR 11)."""
    layers: list[Layer] = []
    if provider.timeout_s:
        layers.append(partial(Timeout, timeout_s=provider.timeout_s, now=now))
    return compose(target, *layers, partial(Peek, now=now))


def _combiner(
    config: Config, recorder: Recorder, lasting: Lasting, now: Callable[[], float]
) -> Callable[[str, Sequence[Target]], Target]:
    """Round each whole call: `record, retry` (ADR 11)."""
    policy = RetryPolicy(max_attempts=config.server.max_retry_attempts)
    pacing = Pacing(now, random.random, asyncio.sleep)
    meter = lasting.telemetry.metrics
    retry = partial(Retry, policy=policy, budget=lasting.retry_budget, meter=meter, pacing=pacing)
    retries: list[Layer] = []
    if config.server.enable_retries and policy.max_attempts > 1:
        retries.append(retry)

    policies: dict[str, OnLoss | None] = {model.name: model.on_loss for model in config.models}

    def combine(name: str, targets: Sequence[Target]) -> Target:
        on_loss = policies.get(name)
        whole = _combined(name, targets)
        return LossPolicy(whole, on_loss=on_loss) if on_loss is not None else whole

    def _combined(name: str, targets: Sequence[Target]) -> Target:
        if len(targets) == 1:
            return compose(targets[0], partial(Record, recorder=recorder), *retries)
        members = [Record(target, recorder=recorder) for target in targets]
        composite = partial(Record, recorder=recorder, composite=True)
        return compose(Fallback(name, members), composite, *retries)

    return combine


def _load(config: Config, telemetry: Telemetry) -> Load:
    def told(why: str, count: int) -> None:
        if why:
            telemetry.log.event("warn", f"calls are sent away: {why}")
        else:
            telemetry.log.event("warn", "calls are taken again", sent_away=count)

    server = config.server
    return Load(
        telemetry.metrics,
        max_in_flight=server.max_in_flight,
        max_lag_s=server.max_lag_ms / 1000,
        now=time.monotonic,
        later=_later,
        told=told,
    )


def _later(delay_s: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(delay_s, callback)


def _fallbacks(config: Config) -> int:
    """How many further providers of a model may be tried."""
    fallback = config.routing.fallback
    return fallback.max_retries if fallback.enabled else 0


def _alias(model: Model, config: Config) -> Alias:
    behind = model.fallback if config.routing.fallback.enabled else ()
    return Alias(model.name, (*model.target_names, *behind))


def _digest(key: Key) -> bytes:
    if key.sha256:
        return bytes.fromhex(key.sha256)
    return sha256(key.secret.encode()).digest()


def _caller(key: Key) -> Caller:
    return Caller(key.name, key.models, key.tags, priority=key.priority, on_loss=key.on_loss)


def _rows(registry: Registry, built: Built, loaded_at_s: int) -> Callable[[Caller], list[ModelRow]]:
    def rows(caller: Caller) -> list[ModelRow]:
        return [
            _row(name, targets, built, loaded_at_s) for name, targets in registry.models(caller)
        ]

    return rows


def _row(name: str, targets: Sequence[str], built: Built, created_at_s: int) -> ModelRow:
    profile = built.profile(targets[0]) if targets else None
    return ModelRow(
        name,
        tuple(targets),
        created_at_s,
        profile.context_tokens if profile is not None else 0,
        profile.max_output_tokens if profile is not None else 0,
    )
