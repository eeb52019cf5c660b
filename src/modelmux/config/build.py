"""The composition root: a configuration as objects, layers in their order."""

import asyncio
import itertools
import os
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256

from modelmux.config.journal import Journal
from modelmux.config.lasting import Lasting, Telemetry, level
from modelmux.config.load import Loaded
from modelmux.config.providers import Builder, Built, Clocks
from modelmux.config.routing import Clock, Router
from modelmux.config.schema import Config, Key, Provider
from modelmux.ingress.auth import Keyring
from modelmux.ingress.load import Load
from modelmux.ingress.streaming import Streaming
from modelmux.ingress.surface import ModelRow, Surface
from modelmux.layer.peek import Peek
from modelmux.layer.record import Recorder
from modelmux.layer.retry import Pacing, Retry, RetryPolicy
from modelmux.layer.timeout import Timeout
from modelmux.layer.watch import Watch
from modelmux.provider import catalog
from modelmux.target.base import Layer, Target, compose
from modelmux.target.call import Caller
from modelmux.target.health import HealthBook
from modelmux.target.registry import Registry


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
    layers = partial(_target_layers, health=lasting.health, now=now)
    builder = Builder(catalog.load(), clocks, layers, earlier)
    built = builder.add_all(config)
    recorder = built.recorder = Recorder(
        telemetry.metrics, [telemetry.log.write], prices=built.tariff, now=now, unix_time=time.time
    )
    clock = Clock(now, random.random)
    router = Router(config, built, recorder, lasting.health, _retries(config, lasting, now), clock)
    registry = router.registry()
    built.background, built.regions = router.background, router.regions
    return (
        Surface(
            registry,
            Keyring({_digest(key): caller(key) for key in config.keys}),
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


def _target_layers(
    target: Target, provider: Provider, *, health: HealthBook, now: Callable[[], float]
) -> Target:
    """Round each target: `watch, timeout, peek` (ADR 11)."""
    layers: list[Layer] = [partial(Watch, health=health.of(target.name), now=now)]
    if provider.timeout_s:
        layers.append(partial(Timeout, timeout_s=provider.timeout_s, now=now))
    return compose(target, *layers, partial(Peek, now=now))


def _retries(config: Config, lasting: Lasting, now: Callable[[], float]) -> Sequence[Layer]:
    """The layer that tries a whole call again, if there is to be one."""
    policy = RetryPolicy(max_attempts=config.server.max_retry_attempts)
    if not config.server.enable_retries or policy.max_attempts == 1:
        return ()
    pacing = Pacing(now, random.random, asyncio.sleep)
    meter = lasting.telemetry.metrics
    return [partial(Retry, policy=policy, budget=lasting.retry_budget, meter=meter, pacing=pacing)]


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


def _digest(key: Key) -> bytes:
    if key.sha256:
        return bytes.fromhex(key.sha256)
    return sha256(key.secret.encode()).digest()


def caller(key: Key) -> Caller:
    """Who calls with a key of the configuration."""
    return Caller(key.name, key.models, key.tags, priority=key.priority, region=key.region)


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
