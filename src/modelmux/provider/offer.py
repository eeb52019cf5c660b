"""What one provider offers to the registry: names, globs, and a target for each."""

import re
from collections.abc import Callable, Sequence
from fnmatch import translate

from modelmux.target.base import Target

MAX_TARGETS = 1024
"""Targets kept for names that only a glob takes: callers choose those names."""

_GLOB_CHARACTERS = frozenset("*?[")


class Offering:
    """A provider's models. Immutable but for the targets it has made."""

    def __init__(
        self,
        name: str,
        priority: int,
        listed: Sequence[str],
        make: Callable[[str], Target],
        *,
        takes_any: bool = False,
        ignores_case: bool = False,
    ) -> None:
        """Offer models.

        Args:
            name: The provider's.
            priority: Lower is preferred.
            listed: Names and globs.
            make: Makes the target for one model.
            takes_any: Any model may be asked for as `provider/model`.
            ignores_case: Names match whatever their case.
        """
        self.name = name
        self.priority = priority
        self.weight = 1.0
        """Its share among those of equal priority."""
        self.models = tuple(model for model in listed if not is_glob(model))
        self.takes_any = takes_any
        self._globs = [re.compile(translate(model)) for model in listed if is_glob(model)]
        self._fold: Callable[[str], str] = str.lower if ignores_case else str
        self._listed = {self._fold(model): model for model in self.models}
        self._make = make
        self._targets = {model: make(model) for model in self.models}
        self._others: dict[str, Target] = {}

    def exact(self, model: str) -> str | None:
        """The listed name that `model` means, or `None`."""
        return self._listed.get(self._fold(model))

    def matches(self, model: str) -> bool:
        """Whether one of the globs takes `model`."""
        return any(glob.match(model) for glob in self._globs)

    def target(self, model: str) -> Target:
        """The target for a model."""
        target = self._targets.get(model) or self._others.get(model)
        if target is None:
            if len(self._others) >= MAX_TARGETS:
                self._others.clear()
            target = self._others[model] = self._make(model)
        return target


def is_glob(model: str) -> bool:
    """Whether a name stands for all that it matches."""
    return not _GLOB_CHARACTERS.isdisjoint(model)
