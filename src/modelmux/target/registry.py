"""Names to targets: the only way to get one, and every target it gives is wrapped in its layers.

Which target answers a model name, in this order: a name of the configuration's `[[models]]`;
`provider/model`; a model that some provider lists, exactly or by glob, in order of priority; the
same without a `modelplex-` or `modelmux-` prefix; the default; nobody. Rules come before all that.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import translate
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct
from msgspec.structs import replace

from modelmux.errors import ConfigError, PermissionDenied, UnknownModel
from modelmux.target.base import Target
from modelmux.target.call import ANONYMOUS, Call, Caller
from modelmux.target.rules import Condition
from modelmux.target.steer import Steering

MAX_ROUTES = 4096
"""Routes kept beside one for each name of the configuration's own; callers choose names and keys
differ in what they allow, so there must be an end to it."""

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
    def weight(self) -> float:
        """Its share among equals."""
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


Role = Literal["target", "context_length", "content_policy", "capability", "mirror"]
"""What somebody is there for: to answer, to answer what others refused, or to get copies."""


class Entry(Struct, frozen=True):
    """Somebody whom a name of the configuration's own names."""

    target: str
    """`provider/model`, the name of a model, or another alias."""
    weight: float = 1.0
    tier: int = 0
    """Of those with the lowest tier one is chosen, as long as there is one."""
    when: Condition | None = None
    """The calls that may go to it; `None`: all."""
    share: float = 1.0
    """For mirrors: how many of the calls are copied."""


class Alias(Protocol):
    """A name of the configuration's own."""

    @property
    def name(self) -> str: ...

    @property
    def entries(self) -> Mapping[Role, Sequence[Entry]]:
        """Who is there for what, the preferred one first; `target` is."""
        ...

    @property
    def is_plain(self) -> bool:
        """It is only a list: where another name names it, its targets may stand in its place."""
        ...


class Member(NamedTuple):
    """Somebody who could answer, as a plan has them."""

    target: Target
    entry: Entry


class Plan(Struct, frozen=True):
    """Who could answer a name for one kind of caller."""

    name: str
    alias: Alias | None
    """`None` where providers offer the model by themselves."""
    members: Mapping[Role, Sequence[Member]]
    is_nested: bool = False
    """It is for another plan's member, and not for a caller's own call."""

    @property
    def targets(self) -> Sequence[Member]:
        """Who could answer at once; at least one."""
        return self.members["target"]


Combine = Callable[[Plan], Target]
"""Makes one target of a plan: in the layers of a whole call, unless it is nested."""


class _Node(NamedTuple):
    """One whom an alias names: a target, or another alias that is more than a list."""

    entry: Entry
    target: Target | None
    alias: str = ""


class _Found(NamedTuple):
    """Somebody who could answer, and the name that callers know them by."""

    name: str
    member: Member


_Key = tuple[str, str | None, tuple[str, ...], tuple[str, ...]]
"""A name, the name asked for where a rule led to it, and what key and listener of the caller allow.
"""


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
        steering: Steering | None = None,
    ) -> None:
        """Build the registry.

        Args:
            offers: Providers.
            aliases: Names of the configuration's own, which win over providers' models.
            combine: How those who could answer a name become one.
            built_in: Targets of the gateway's own, by their full names.
            default: The name that answers for a model nobody offers; empty: nobody.
            steering: Rules that decide before names do.

        Raises:
            ConfigError: An alias, a rule or the default leads nowhere, or to itself.
        """
        self._offers = sorted(offers, key=lambda offer: offer.priority)  # stable: file order next
        self._by_name: Mapping[str, Offer] = {offer.name: offer for offer in offers}
        # Tiers are small numbers, and priorities any.
        ranks = sorted({offer.priority for offer in offers})
        self._tiers = {priority: tier for tier, priority in enumerate(ranks)}
        self._aliases: Mapping[str, Alias] = {alias.name: alias for alias in aliases}
        self._combine = combine
        self._built_in = built_in or {}
        self._default = default
        self.steering = steering if steering is not None and steering.rules else None
        self._routes: dict[_Key, Target] = {}
        self._most_routes = MAX_ROUTES + len(aliases) + sum(len(each.models) for each in offers)
        self._aliased: dict[str, Mapping[Role, Sequence[_Node]]] = {}
        for alias in aliases:
            self._expand(alias, ())
        if default and not self._is_offered(default):
            raise ConfigError(
                f"routing.default: expected a model that somebody offers, got {default!r}"
            )
        for index, rule in enumerate(steering.rules if steering is not None else ()):
            name = rule.target or rule.model
            if name and not self._is_offered(name):
                raise ConfigError(
                    f"routing.rules[{index}]: expected a model that somebody offers, got {name!r}"
                    + _suggest(name, self._names())
                )

    def route(self, call: Call) -> Target:
        """The target that answers `call`: where the first rule says, else by its model's name.

        Raises:
            UnknownModel: Nobody offers it.
            PermissionDenied: The caller's key does not allow it.
        """
        if self.steering is not None:
            for _, name in self.steering.matches(call):
                target = self.steered(call.envelope.model, name, call.caller)
                if target is not None:
                    return target
        return self.resolve(call.envelope.model, call.caller)

    def steered(self, model: str, name: str, caller: Caller) -> Target | None:
        """The target called `name` for a caller who asked for `model`; `None`: nobody offers it.

        Raises:
            PermissionDenied: The caller's key allows neither.
        """
        is_bound = caller.models or caller.within
        key = (name, model if is_bound else "", caller.models, caller.within)
        target = self._routes.get(key)
        if target is None:
            if len(model) > MAX_NAME_CHARS or not self._is_offered(name):
                return None
            plan = self._plan(name, caller, (model,))
            if plan is None:
                raise self._denied(model, caller)
            target = self._keep(key, self._combine(plan))
        return target

    def resolve(self, model: str, caller: Caller) -> Target:
        """The target that answers `model` for `caller`.

        Raises:
            UnknownModel: Nobody offers it.
            PermissionDenied: The caller's key does not allow it.
        """
        # By what the key allows, and not by its name: what a route is made of must be its key.
        key = (model, None, caller.models, caller.within)
        target = self._routes.get(key)
        if target is None:
            target = self._keep(key, self._combine(self.plan(model, caller)))
        return target

    def plan(self, model: str, caller: Caller) -> Plan:
        """Who could answer `model` for `caller`. Raises as `resolve` does."""
        if len(model) > MAX_NAME_CHARS:
            raise UnknownModel(
                f"no provider offers the model {model[:32]!r}…, whose name has {len(model)} "
                f"characters; the longest that is looked for has {MAX_NAME_CHARS}",
                param="model",
            )
        plan = self._plan(model, caller)
        is_offered = plan is not None or self._is_offered(model)
        if not is_offered and self._default:
            # Not by the name asked for: it is nobody's, and says nothing of who answers.
            plan = self._plan(self._default, caller)
        if plan is not None:
            return plan
        raise self._denied(model, caller) if is_offered else self._unknown(model, caller)

    def names(self) -> Iterable[str]:
        """What can be asked for by name, each once."""
        listed = [model for offer in self._offers for model in offer.models]
        return dict.fromkeys([*self._aliases, *listed, *self._built_in])

    def models(self, caller: Caller) -> list[tuple[str, list[str]]]:
        """What `caller` may ask for by name, each with the names of those who would answer."""
        return [(name, found) for name in self.names() if (found := self._leaves(name, caller))]

    def targets(self, model: str, caller: Caller) -> list[str]:
        """The names of those who offer `model` to `caller`; the default does not count."""
        return self._leaves(self._known_as(model), caller)

    def _keep(self, key: _Key, target: Target) -> Target:
        if len(self._routes) >= self._most_routes:
            del self._routes[next(iter(self._routes))]  # the oldest
        self._routes[key] = target
        return target

    def _known_as(self, model: str) -> str:
        """`model`, or what it is without a prefix where nobody offers it with one."""
        if model not in self._aliased and not self._offered(model):
            for prefix in _PREFIXES:
                if model.startswith(prefix):
                    return model.removeprefix(prefix)
        return model

    def _is_offered(self, model: str) -> bool:
        name = self._known_as(model)
        return name in self._aliased or bool(self._offered(name))

    def _plan(self, model: str, caller: Caller, via: tuple[str, ...] = ()) -> Plan | None:
        """Who could answer; `None`: nobody, or nobody the caller is allowed.

        Args:
            model: Any name.
            caller: Who asks.
            via: Names that led here; who may ask for one of them may have what it leads to.
        """
        name = self._known_as(model)
        if name in self._aliased:
            members = self._members(name, caller, via)
            return Plan(model, self._aliases[name], members) if members["target"] else None
        found = [
            each.member
            for each in self._offered(name)
            if allows(caller, *via, each.name, each.member.target.name)
        ]
        return Plan(model, None, {"target": found}) if found else None

    def _members(
        self, alias: str, caller: Caller, via: tuple[str, ...]
    ) -> Mapping[Role, Sequence[Member]]:
        """Those whom an alias names and the caller is allowed."""
        via = (*via, alias)
        members: dict[Role, Sequence[Member]] = {}
        for role, nodes in self._aliased[alias].items():
            # Whom the operator copies to is no caller's matter.
            asks = ANONYMOUS if role == "mirror" else caller
            made = [self._member(node, asks, via) for node in nodes]
            members[role] = [member for member in made if member is not None]
        return members

    def _member(self, node: _Node, caller: Caller, via: tuple[str, ...]) -> Member | None:
        if node.target is not None:
            is_allowed = allows(caller, *via, node.target.name)
            return Member(node.target, node.entry) if is_allowed else None
        members = self._members(node.alias, caller, via)
        if not members["target"]:
            return None
        plan = Plan(node.alias, self._aliases[node.alias], members, is_nested=True)
        return Member(self._combine(plan), node.entry)

    def _leaves(self, name: str, caller: Caller, via: tuple[str, ...] = ()) -> list[str]:
        """The names of the targets that could answer, each once."""
        if name not in self._aliased:
            return [
                each.member.target.name
                for each in self._offered(name)
                if allows(caller, *via, each.name, each.member.target.name)
            ]
        via = (*via, name)
        leaves: list[str] = []
        for node in self._aliased[name]["target"]:
            if node.target is None:
                leaves += self._leaves(node.alias, caller, via)
            elif allows(caller, *via, node.target.name):
                leaves.append(node.target.name)
        return list(dict.fromkeys(leaves))

    def _offered(self, model: str) -> Sequence["_Found"]:
        """Everybody who offers `model` without an alias, the preferred one first."""
        if built_in := self._built_in.get(model):
            return [_Found(model, Member(built_in, Entry(model)))]
        provider, _, name = model.partition("/")
        if name and (offer := self._by_name.get(provider)):
            listed = offer.exact(name)
            if listed is None and (offer.takes_any or offer.matches(name)):
                listed = name
            if listed is not None:
                return [self._found(f"{provider}/{listed}", offer, listed)]
        exact = [(offer, offer.exact(model)) for offer in self._offers]
        found = [self._found(name, offer, name) for offer, name in exact if name is not None]
        if found or not model:
            return found
        return [self._found(model, offer, model) for offer in self._offers if offer.matches(model)]

    def _found(self, name: str, offer: Offer, model: str) -> "_Found":
        entry = Entry(name, weight=offer.weight, tier=self._tiers[offer.priority])
        return _Found(name, Member(offer.target(model), entry))

    def _expand(self, alias: Alias, path: tuple[str, ...]) -> Mapping[Role, Sequence[_Node]]:
        """Those whom an alias names, each once."""
        if alias.name in path:
            raise ConfigError(f"models: {' -> '.join((*path, alias.name))} leads back to itself")
        if alias.name in self._aliased:
            return self._aliased[alias.name]
        path = (*path, alias.name)
        roles: dict[Role, Sequence[_Node]] = {}
        for role, entries in alias.entries.items():
            nodes: dict[str, _Node] = {}
            for entry in entries:
                for node in self._nodes(alias, entry, path):
                    name = node.target.name if node.target is not None else node.alias
                    nodes.setdefault(name, node)
            roles[role] = tuple(nodes.values())
        if not roles.get("target"):
            raise ConfigError(f"models.{alias.name}: expected at least one target, got none")
        self._aliased[alias.name] = roles
        return roles

    def _nodes(self, alias: Alias, entry: Entry, path: tuple[str, ...]) -> Sequence[_Node]:
        """Those whom one entry of an alias names."""
        inner = self._aliases.get(entry.target)
        if inner is None:
            found = self._offered(entry.target)
            if not found:
                raise ConfigError(
                    f"models.{alias.name}: nobody offers the target {entry.target!r}"
                    + _suggest(entry.target, self._names()),
                )
            return [_Node(entry, each.member.target) for each in found]
        nodes = self._expand(inner, path)["target"]
        if not inner.is_plain:
            return [_Node(entry, None, inner.name)]
        # In the order written, and behind each other as they are in it.
        return [_Node(replace(entry, target=node.entry.target), *node[1:]) for node in nodes]

    def _names(self) -> Iterable[str]:
        yield from self._aliases
        yield from self._built_in
        for offer in self._offers:
            yield from offer.models
            yield from (f"{offer.name}/{model}" for model in offer.models)

    def _denied(self, model: str, caller: Caller) -> PermissionDenied:
        who, models = f"the key {caller.name!r}", caller.models
        if self._plan(model, replace(caller, within=())) is not None:
            who, models = "this listener", caller.within
        return PermissionDenied(
            f"{who} does not allow the model {model!r}; it allows {', '.join(models)}",
            param="model",
        )

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
