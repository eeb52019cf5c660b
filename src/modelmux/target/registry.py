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
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from modelmux.errors import ConfigError, PermissionDenied, UnknownModel
from modelmux.target.base import Target
from modelmux.target.call import Caller

MAX_ROUTES = 4096
"""Resolved names kept; callers choose names, so there must be an end to it."""

MAX_NAME_CHARS = 512
"""A longer name is nobody's: names are kept, compared with all others, and told in errors. The
longest that providers give, with an account and a region in them, have about 200."""

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


class _Found(NamedTuple):
    """Somebody who could answer, and the name that callers know them by: theirs, or an alias."""

    name: str
    target: Target


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
            fallback: How many more of those who could answer may be tried.

        Raises:
            ConfigError: An alias leads nowhere, or to itself.
        """
        self._offers = sorted(offers, key=lambda offer: offer.priority)  # stable: file order next
        self._by_name: Mapping[str, Offer] = {offer.name: offer for offer in offers}
        self._aliases: Mapping[str, Alias] = {alias.name: alias for alias in aliases}
        self._combine = combine
        self._built_in = built_in or {}
        self._default = default
        self._most = 1 + fallback
        self._routes: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Target] = {}
        self._aliased: dict[str, Sequence[Target]] = {}
        for alias in aliases:
            self._expand(alias, ())
        if default and not self._found(default):
            raise ConfigError(
                f"routing.default: expected a model that somebody offers, got {default!r}"
            )

    def resolve(self, model: str, caller: Caller) -> Target:
        """The target that answers `model` for `caller`.

        Raises:
            UnknownModel: Nobody offers it.
            PermissionDenied: The caller's key does not allow it.
        """
        # By what the key allows, and not by its name: what a route is made of must be its key.
        key = (model, caller.models, caller.within)
        target = self._routes.get(key)
        if target is None:
            target = self._resolve(model, caller)
            if len(self._routes) >= MAX_ROUTES:
                self._routes.clear()
            self._routes[key] = target
        return target

    def names(self) -> Iterable[str]:
        """What can be asked for by name, each once."""
        listed = [model for offer in self._offers for model in offer.models]
        return dict.fromkeys([*self._aliases, *listed, *self._built_in])

    def models(self, caller: Caller) -> list[tuple[str, list[str]]]:
        """What `caller` may ask for by name, each with the names of those who would answer."""
        rows: list[tuple[str, list[str]]] = []
        for name in self.names():
            targets = self._allowed(self._named(name), caller)
            if targets:
                rows.append((name, [target.name for target in targets]))
        return rows

    def targets(self, model: str, caller: Caller) -> list[str]:
        """The names of those who offer `model` to `caller`; the default does not count."""
        return [target.name for target in self._allowed(self._found(model), caller)]

    def _resolve(self, model: str, caller: Caller) -> Target:
        if len(model) > MAX_NAME_CHARS:
            raise UnknownModel(
                f"no provider offers the model {model[:32]!r}…, whose name has {len(model)} "
                f"characters; the longest that is looked for has {MAX_NAME_CHARS}",
                param="model",
            )
        found = self._found(model)
        targets = self._allowed(found, caller)
        if not found and self._default:
            # Not by the name asked for: it is nobody's, and says nothing of who answers.
            targets = self._allowed(self._found(self._default), caller)
        if targets:
            return self._combine(model, targets)
        if not found:
            raise self._unknown(model, caller)
        who, models = f"the key {caller.name!r}", caller.models
        if self._allowed(found, replace(caller, within=())):
            who, models = "this listener", caller.within
        raise PermissionDenied(
            f"{who} does not allow the model {model!r}; it allows {', '.join(models)}",
            param="model",
        )

    def _allowed(self, found: Sequence["_Found"], caller: Caller) -> list[Target]:
        """Those of `found` who may answer `caller`, the preferred one first."""
        targets = [each.target for each in found if allows(caller, each.name, each.target.name)]
        return targets[: self._most]

    def _found(self, model: str) -> Sequence["_Found"]:
        """Everybody who could answer `model`, the preferred one first."""
        if found := self._named(model):
            return found
        for prefix in _PREFIXES:
            if model.startswith(prefix):
                return self._named(model.removeprefix(prefix))
        return ()

    def _named(self, model: str) -> Sequence["_Found"]:
        if model in self._aliased:
            return [_Found(model, target) for target in self._aliased[model]]
        return self._offered(model)

    def _offered(self, model: str) -> Sequence["_Found"]:
        if built_in := self._built_in.get(model):
            return [_Found(model, built_in)]
        provider, _, name = model.partition("/")
        if name and (offer := self._by_name.get(provider)):
            listed = offer.exact(name)
            if listed is None and (offer.takes_any or offer.matches(name)):
                listed = name
            if listed is not None:
                return [_Found(f"{provider}/{listed}", offer.target(listed))]
        exact = [(offer, offer.exact(model)) for offer in self._offers]
        found = [_Found(name, offer.target(name)) for offer, name in exact if name is not None]
        if found or not model:
            return found
        return [
            _Found(model, offer.target(model)) for offer in self._offers if offer.matches(model)
        ]

    def _expand(self, alias: Alias, path: tuple[str, ...]) -> Sequence[Target]:
        """Those who answer an alias, each once."""
        if alias.name in path:
            raise ConfigError(f"models: {' -> '.join((*path, alias.name))} leads back to itself")
        if alias.name in self._aliased:
            return self._aliased[alias.name]
        targets: dict[str, Target] = {}
        for name in alias.targets:
            inner = self._aliases.get(name)
            if inner is not None:
                found = self._expand(inner, (*path, alias.name))
            else:
                found = [each.target for each in self._offered(name)]
            if not found:
                raise ConfigError(
                    f"models.{alias.name}: nobody offers the target {name!r}"
                    + _suggest(name, self._names()),
                )
            for target in found:
                targets.setdefault(target.name, target)
        if not targets:
            raise ConfigError(f"models.{alias.name}: expected at least one target, got none")
        self._aliased[alias.name] = tuple(targets.values())
        return self._aliased[alias.name]

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


def allows(caller: Caller, *names: str) -> bool:
    """Whether key and listener allow a model or target that is called by any of `names`."""
    return _fits(caller.models, names) and _fits(caller.within, names)


def _fits(patterns: Sequence[str], names: Sequence[str]) -> bool:
    return not patterns or any(_glob(each).match(name) for each in patterns for name in names)


@lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def _suggest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=3)
    return f"; nearest: {', '.join(near)}" if near else ""
