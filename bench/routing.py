"""What choosing a target costs, with ten models and with ten thousand.

    python -m bench.routing

Two hundred targets of two hundred providers, and names of `[[models]]` that share them, three each.
For each number of names: how long it takes to build all of it, to find a name's route for the first
time, and what a call costs from its name to the candidate that it is sent to. The last figure is to
stay flat. Nothing is sent.
"""

import gc
import random
import time
from collections.abc import Sequence
from statistics import median

from modelmux.config.build import surface
from modelmux.config.lasting import Lasting, Telemetry
from modelmux.config.load import Loaded
from modelmux.config.schema import Config, Provider
from modelmux.config.schema_routing import Model
from modelmux.target.balance import Balance
from modelmux.target.call import Call
from modelmux.target.choice import Choice
from modelmux.target.registry import Registry
from modelmux.wire import openai_chat

PROVIDERS = 200
SIZES = (10, 1_000, 10_000)
CALLS = 20_000


class Unheard:
    """A log that nobody reads."""

    batch_lines = 1
    lost_lines = 0

    def put(self, batch: bytes) -> None:
        pass

    def close(self, timeout_s: float) -> bool:
        return True


def configuration(names: int, strategy: str) -> Loaded:
    """So many names, each with three of the targets."""
    providers = tuple(
        Provider(
            name=f"p{number}",
            type="openai_compatible",
            base_url=f"http://127.0.0.1:{10_000 + number}/v1",
            models=("m",),
        )
        for number in range(PROVIDERS)
    )
    models = tuple(
        Model(
            name=f"name-{number}",
            strategy=strategy,  # type: ignore[arg-type]
            targets=tuple(f"p{(number + step) % PROVIDERS}/m" for step in (0, 7, 31)),
        )
        for number in range(names)
    )
    return Loaded(Config(providers=providers, models=models), {}, (), (), frozenset())


def built(loaded: Loaded) -> Registry:
    """Everything of a configuration that answering needs."""
    return surface(loaded, Lasting(Telemetry(loaded.config, output=Unheard())))[0].registry


def calls(names: int, count: int) -> Sequence[Call]:
    """Calls for names drawn at random."""
    rng = random.Random(1)
    made: list[Call] = []
    for _ in range(count):
        body = b'{"model":"name-%d","messages":[]}' % rng.randrange(names)
        made.append(Call(openai_chat.WIRE, body, openai_chat.WIRE.envelope(body)))
    return made


def choose(registry: Registry, call: Call) -> str:
    """The candidate that a call is sent to first."""
    inner: object = registry.route(call)
    while not isinstance(inner, Balance):
        inner = getattr(inner, "_inner")  # noqa: B009 # whatever layers there are
    found = Choice(inner.chooser, call).next()
    assert found is not None
    return found.name


def measured(names: int, strategy: str = "latency") -> tuple[float, float, float]:
    """Seconds to build, microseconds for a first call and for any other."""
    loaded = configuration(names, strategy)
    started = time.perf_counter()
    registry = built(loaded)
    build_s = time.perf_counter() - started
    asked = calls(names, CALLS)
    gc.collect()
    first = [
        _timed(registry, call) for call in {each.envelope.model: each for each in asked}.values()
    ]
    later = [_timed(registry, call) for call in asked]
    return build_s, median(first) * 1e6, median(later) * 1e6


def _timed(registry: Registry, call: Call) -> float:
    started = time.perf_counter()
    choose(registry, call)
    return time.perf_counter() - started


def main() -> None:
    """Print the table."""
    print(f"{'names':>8} {'build':>10} {'first call':>12} {'any other':>12}")
    for names in SIZES:
        build_s, first_us, later_us = measured(names)
        print(f"{names:8,} {build_s:8.3f} s {first_us:9.1f} us {later_us:9.2f} us")


if __name__ == "__main__":
    main()
