"""Metrics of several processes as those of one."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

_OTHERWISE: Final[Mapping[str, Callable[[float, float], float]]] = {
    "modelmux_build": max,
    "process_start_time_seconds": min,
    "process_max_fds": max,
}
"""How figures are put together that are no sums."""

_ONLY_GROWING: Final = frozenset({"counter", "histogram"})


class _Family:
    """A metric with all of its samples."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heads: list[str] = []
        self.type = ""
        self.samples: dict[str, float] = {}


def merged(texts: Iterable[bytes], ended: Iterable[bytes] = ()) -> bytes:
    """One text in Prometheus's format 0.0.4, of several: figures are added up.

    Args:
        texts: Of processes that run.
        ended: The last of processes that have ended, of which only what never falls counts.
    """
    families: dict[str, _Family] = {}
    for text in texts:
        _add(families, text, lambda _family: True)
    for text in ended:
        _add(families, text, lambda family: family.type in _ONLY_GROWING)
    lines: list[str] = []
    for family in families.values():
        lines += family.heads
        lines += [f"{key} {value!r}" for key, value in family.samples.items()]
    return "\n".join([*lines, ""]).encode()


def _add(families: dict[str, _Family], text: bytes, counts: Callable[[_Family], bool]) -> None:
    family = _Family("")
    for line in text.decode().splitlines():
        if line.startswith("#"):
            _, word, name, *rest = line.split(" ", 3)
            family = families.setdefault(name, _Family(name))
            if line not in family.heads:
                family.heads.append(line)
            if word == "TYPE":
                family.type = rest[0]
        elif line and counts(family):
            key, _, value = line.rpartition(" ")
            figure = float(value)
            if key in family.samples:
                together = _OTHERWISE.get(family.name)
                before = family.samples[key]
                figure = together(before, figure) if together else before + figure
            family.samples[key] = figure
