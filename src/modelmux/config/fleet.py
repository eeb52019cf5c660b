"""How targets fare, for those who look: status and readiness."""

from collections.abc import Sequence
from typing import Final

from modelmux.ingress.control import TargetStatus
from modelmux.target.health import HealthBook, TargetHealth

MAX_TOLD: Final = 100
"""Targets that status tells of, and reasons that readiness gives: nobody reads more."""


def statuses(book: HealthBook) -> list[TargetStatus]:
    """Targets that were asked, whoever is in trouble first."""
    now = book.now()
    asked = [each for each in book if _is_known(each)]
    ranked = sorted(asked, key=lambda each: (not each.has_trouble, each.name))
    return [
        TargetStatus(
            each.name,
            each.state,
            round(each.waits_s(now), 1),
            round(each.rate(now), 3),
            each.in_flight,
            round(each.latency(stream=True).seconds * 1000, 1),
        )
        for each in ranked[:MAX_TOLD]
    ]


def troubles(book: HealthBook) -> list[str]:
    """Why calls go past targets, in words without what they said."""
    now = book.now()
    told: list[str] = []
    for each in book:
        if each.state != "closed":
            told.append(f"{each.name}: fails, next try in {each.waits_s(now):.0f} s")
        elif each.waits_s(now) > 0.0:
            told.append(f"{each.name}: over its limit for {each.waits_s(now):.0f} s")
    return told[:MAX_TOLD]


def is_down(book: HealthBook, providers: Sequence[str]) -> bool:
    """Whether each of these providers was asked, and all of its targets that were are broken."""
    if not providers:
        return False
    for name in providers:
        asked = [each for each in book if each.name.startswith(f"{name}/") and _is_known(each)]
        if not asked or any(each.state != "open" for each in asked):
            return False
    return True


def _is_known(health: TargetHealth) -> bool:
    """Whether it was asked: of the others there is nothing to tell."""
    return bool(health.has_trouble or health.in_flight) or health.answers > 0
