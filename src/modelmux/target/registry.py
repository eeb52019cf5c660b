"""Names to targets: the only way to get one, and every target it gives is wrapped in its layers.

Which target answers a model name, in this order: a name of the configuration's `[[models]]`;
`provider/model`; a model that some provider lists, exactly or by glob, in order of priority; the
same without a `modelplex-` or `modelmux-` prefix; the default; nobody.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import translate
from functools import lru_cache
from typing import Protocol

from modelmux.errors import ConfigError, PermissionDenied, UnknownModel
from modelmux.target.base import Target
from modelmux.target.call import Caller

MAX_ROUTES = 4096
"""Resolved names kept; callers choose names, so there must be an end to it."""

_PREFIXES = ("modelplex-", "modelmux-")


class Offer(Protocol):
    """A provider, as the registry sees it."""

    @property
    def name(self) -> str: ...

    @property
    def priority(self) -> int:
        """Lower is preferred."""
        ...

    @property
    def models(self) -> Sequence[str]:
        """The names it lists, without globs."""
        ...

    @property
    def takes_any(self) -> bool:
        """Any model may be asked for as `provider/model`."""
        ...

    def exact(self, model: str) -> str | None:
        """The listed name that `model` means, or `None`."""
        ...

    def matches(self, model: str) -> bool:
        """Whether one of its globs takes `model`."""
        ...

    def target(self, model: str) -> Target:
        """The target for a model it offers, without the layers of a whole call."""
        ...


class Alias(Protocol):
    """A name of the configuration's own."""

    @property
    def name(self) -> str: ...

    @property
    def targets(self) -> Sequence[str]:
        """Names of targets, the preferred one first."""
        ...


Combine = Callable[[str, Sequence[Target]], Target]
"""Makes one target of one or more, wrapped in the layers of a whole call."""


class Registry:
    """Immutable once made; a new configuration is a new registry."""

    def __init__(
        self,
        offers: Sequence[Offer],
        aliases: Sequence[Alias],
        combine: Combine,
        *,
        built_in: Mapping[str, Target] | None = None,
        default: str = "",
        fallback: int = MAX_ROUTES,
    ) -> None:
        """Build the registry.

        Args:
            offers: Providers.
            aliases: Names of the configuration's own, which win over providers' models.
            combine: How several targets for one name become one.
            built_in: Targets of the gateway's own, by their full names.
            default: The name that answers for a model nobody offers; empty: nobody.
            fallback: How many further providers of the same model may be tried.

        Raises:
            ConfigError: An alias leads nowhere, or to itself.
        """
        self._offers = sorted(offers, key=lambda offer: offer.priority)  # stable: file order next
        self._by_name: Mapping[str, Offer] = {offer.name: offer for offer in offers}
        self._aliases: Mapping[str, Alias] = {alias.name: alias for alias in aliases}
        self._combine = combine
        self._built_in = built_in or {}
        self._default = default
        self._fallback = fallback
        self._routes: dict[tuple[str, str], Target] = {}
        for alias in aliases:
            self._alias(alias, ())
        if default and not self._candidates(default):
            raise ConfigError(
                f"routing.default: expected a model that somebody offers, got {default!r}"
            )

    def resolve(self, model: str, caller: Caller) -> Target:
        """The target that answers `model` for `caller`.

        Raises:
            UnknownModel: Nobody offers it.
            PermissionDenied: The caller's key does not allow it.
        """
        key = (model, caller.name)
        target = self._routes.get(key)
        if target is None:
            target = self._resolve(model, caller)
            if len(self._routes) >= MAX_ROUTES:
                self._routes.clear()
            self._routes[key] = target
        return target

    def models(self, caller: Caller) -> list[tuple[str, list[str]]]:
        """What `caller` may ask for by name, each with the names of the targets behind it."""
        rows: dict[str, list[str]] = {
            name: list(alias.targets) for name, alias in self._aliases.items()
        }
        for offer in self._offers:
            for model in offer.models:
                rows.setdefault(model, []).append(f"{offer.name}/{model}")
        rows |= {name: [name] for name in self._built_in}
        return [
            (name, targets)
            for name, targets in rows.items()
            if any(allows(caller, allowed) for allowed in (name, *targets))
        ]

    def _resolve(self, model: str, caller: Caller) -> Target:
        candidates = self._candidates(model)
        if not candidates:
            candidates = self._candidates(self._default) if self._default else []
        if not candidates:
            raise self._unknown(model, caller)
        if not allows(caller, model):
            candidates = [target for target in candidates if allows(caller, target.name)]
        if not candidates:
            raise PermissionDenied(
                f"the key {caller.name!r} does not allow the model {model!r}; "
                f"it allows {', '.join(caller.models)}",
                param="model",
            )
        return self._combine(model, candidates)

    def _candidates(self, model: str) -> list[Target]:
        if alias := self._aliases.get(model):
            return self._alias(alias, ())
        if found := self._offered(model):
            return found
        for prefix in _PREFIXES:
            if model.startswith(prefix):
                return self._candidates(model.removeprefix(prefix))
        return []

    def _offered(self, model: str) -> list[Target]:
        if built_in := self._built_in.get(model):
            return [built_in]
        provider, slash, name = model.partition("/")
        if slash and (offer := self._by_name.get(provider)):
            listed = offer.exact(name)
            if listed is not None:
                return [offer.target(listed)]
            if offer.takes_any or offer.matches(name):
                return [offer.target(name)]
        exact = [(offer, offer.exact(model)) for offer in self._offers]
        found = [offer.target(listed) for offer, listed in exact if listed is not None]
        if not found:
            found = [offer.target(model) for offer in self._offers if offer.matches(model)]
        return found[: 1 + self._fallback]

    def _alias(self, alias: Alias, path: tuple[str, ...]) -> list[Target]:
        if alias.name in path:
            raise ConfigError(f"models: {' -> '.join((*path, alias.name))} leads back to itself")
        targets: list[Target] = []
        for name in alias.targets:
            inner = self._aliases.get(name)
            found = self._alias(inner, (*path, alias.name)) if inner else self._offered(name)
            if not found:
                raise ConfigError(
                    f"models.{alias.name}: nobody offers the target {name!r}"
                    + _suggest(name, self._names()),
                )
            targets += found
        return targets

    def _names(self) -> Iterable[str]:
        yield from self._aliases
        yield from self._built_in
        for offer in self._offers:
            yield from offer.models
            yield from (f"{offer.name}/{model}" for model in offer.models)

    def _unknown(self, model: str, caller: Caller) -> UnknownModel:
        visible = [name for name in self._names() if allows(caller, name)]
        return UnknownModel(
            f"no provider offers the model {model!r}{_suggest(model, visible)}; "
            "GET /v1/models lists what there is",
            param="model",
        )


def allows(caller: Caller, name: str) -> bool:
    """Whether the caller's key allows the model or target called `name`."""
    return not caller.models or any(_glob(pattern).match(name) for pattern in caller.models)


@lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def _suggest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=3)
    return f"; nearest: {', '.join(near)}" if near else ""
