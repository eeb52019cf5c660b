"""Strategies by the words of the configuration, and those that others wrote in Python."""

from collections.abc import Callable
from importlib import import_module
from typing import Final, cast

from modelmux.errors import ConfigError
from modelmux.target import strategy
from modelmux.target.strategy import Strategy

GROUP: Final = "modelmux.strategies"
"""Group of entry points in which packages offer strategies."""


def named(
    word: str, custom: str, *, now: Callable[[], float], rng: Callable[[], float]
) -> Strategy:
    """A new strategy.

    Args:
        word: As `strategy` of the configuration has it.
        custom: For `custom`: an entry point, or `module:name`.
        now: Monotonic clock.
        rng: Random numbers of at least 0 and below 1.

    Raises:
        ConfigError: There is no such custom strategy, or it is none.
    """
    match word:
        case "round_robin":
            return strategy.RoundRobin()
        case "weighted":
            return strategy.Weighted()
        case "least_connections":
            return strategy.LeastConnections()
        case "latency":
            return strategy.Latency(now, rng)
        case "cost":
            return strategy.Cost()
        case "availability":
            return strategy.Availability()
        case "custom":
            return load(custom)
        case _:  # those that only say who may be chosen
            return strategy.Priority()


def load(name: str) -> Strategy:
    """The strategy of a package: what its entry point, or `module:name`, makes when called.

    Raises:
        ConfigError: It cannot be found, or has no `choose`.
    """
    made = _factory(name)()
    if not callable(getattr(made, "choose", None)):
        raise ConfigError(
            f"the strategy {name!r} makes a {type(made).__name__}, which has no method `choose`",
            hint="see docs/howto/strategies.md",
        )
    return cast("Strategy", made)


def _factory(name: str) -> Callable[[], object]:
    # Most processes never ask, and it takes 15 ms.
    from importlib.metadata import entry_points  # noqa: PLC0415

    module, colon, attribute = name.partition(":")
    try:
        if colon:
            found: object = getattr(import_module(module), attribute)
        else:
            (point,) = entry_points(group=GROUP, name=name)
            found = point.load()
    except (ImportError, AttributeError, ValueError) as exc:
        known = sorted({point.name for point in entry_points(group=GROUP)})
        there_are = f"entry points are: {', '.join(known)}" if known else "no package offers any"
        raise ConfigError(
            f"there is no strategy {name!r}: {exc}", hint=f"write module:name; {there_are}"
        ) from exc
    if not callable(found):
        raise ConfigError(f"the strategy {name!r} is no class or function", hint="write a class")
    return cast("Callable[[], object]", found)
