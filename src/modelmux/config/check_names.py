"""Rules about what has a name: providers, keys and models, and how they speak of one another."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from modelmux.config import vertex
from modelmux.config.check import URL_HINT, Checked, Rule, service_account, url_problem
from modelmux.config.origin import KeyPath, node_at
from modelmux.config.problem import did_you_mean
from modelmux.config.schema import Config, Provider, ProviderModel
from modelmux.config.schema_routing import Model

BUILT_IN = "modelmux"
"""Provider of the models that are always there, such as `modelmux/echo`."""

BY_WEIGHT = frozenset({"weighted", "least_connections", "latency"})
"""Strategies by which a weight changes something."""

_PROVIDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")
_OUR_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_GOOGLE_KEYS = (
    "project",
    "location",
    "publisher",
    "service_account_file",
    "service_account_json",
)
_SHORT_SECRET = 16


def unique_names(checked: Checked) -> None:
    """No two entries of an array of tables have the same name."""
    config = checked.config
    arrays: Mapping[str, Sequence[str]] = {
        "providers": [each.name for each in config.providers],
        "keys": [each.name for each in config.keys],
        "models": [each.name for each in config.models],
    }
    for key, names in arrays.items():
        first: dict[str, int] = {}
        for index, name in enumerate(names):
            if name in first:
                where = node_at(checked.place.root, (key, first[name], "name")).origin
                checked.place.error((key, index, "name"), f"{name!r} is already at {where}")
            first.setdefault(name, index)


def providers(checked: Checked) -> None:
    """Every provider is of a type there is and can be reached as it says."""
    for index, provider in enumerate(checked.config.providers):
        path: KeyPath = ("providers", index)
        _provider_name(checked, path, provider)
        _provider_type(checked, path, provider)
        _provider_connection(checked, path, provider)
        _provider_headers(checked, path, provider)
        _provider_models(checked, path, provider)
        service_account(checked, path, provider.service_account_file, provider.service_account_json)


def _provider_name(checked: Checked, path: KeyPath, provider: Provider) -> None:
    if not _PROVIDER_NAME.fullmatch(provider.name):
        message = f"expected letters, digits, `.`, `_` and `-`, got {provider.name!r}"
        checked.place.error((*path, "name"), message)
    elif provider.name == BUILT_IN:
        checked.place.error((*path, "name"), f"{BUILT_IN!r} is the name of the built-in models")
    elif provider.name == vertex.NAME and vertex.is_used(checked.config.vertex):
        message = f"{vertex.NAME!r} is the name of the provider that [vertex] makes"
        checked.place.error((*path, "name"), message)


def _provider_type(checked: Checked, path: KeyPath, provider: Provider) -> None:
    known = sorted(checked.types)
    if provider.type not in checked.types:
        near = did_you_mean(provider.type, known)
        message = f"expected a provider type, got {provider.type!r}{near}"
        checked.place.error((*path, "type"), message, f"there are: {', '.join(known)}")
    if provider.type != vertex.NAME:
        for key in _GOOGLE_KEYS:
            if getattr(provider, key):
                checked.place.error((*path, key), f"only for providers of type {vertex.NAME!r}")
    row = checked.types.get(provider.type)
    if row is None or provider.type == vertex.NAME:
        return
    if not (row.base_url or provider.base_url):
        message = f"required: where is this server of the type {provider.type!r}?"
        checked.place.error((*path, "base_url"), message, URL_HINT)
    if row.needs_key and provider.auth == "api_key" and not provider.keys:
        variable = next(iter(row.env.get("api_key", ())), "VARIABLE")
        message = f"required: {provider.type!r} answers nobody without one"
        checked.place.error((*path, "api_key"), message, f'api_key = "${{{variable}}}"')


def _provider_connection(checked: Checked, path: KeyPath, provider: Provider) -> None:
    place = checked.place
    if provider.base_url and (problem := url_problem(provider.base_url)):
        place.error((*path, "base_url"), problem, URL_HINT)
    for key in ("http2", "proxy"):
        if getattr(provider, key):
            place.error((*path, key), f"{key} is not available in this version")
    if provider.ca_file and not Path(provider.ca_file).is_file():
        place.error((*path, "ca_file"), f"there is no file {provider.ca_file!r}")
    if not provider.verify:
        message = "the certificate is not checked: anyone on the way can read key and calls"
        place.warn((*path, "verify"), message)
    if provider.auth == "passthrough" and provider.keys:
        message = "passthrough sends the caller's credentials, so no key of ours is used"
        place.error((*path, "auth"), message, "remove api_key, or auth")
    strategy = checked.config.routing.strategy
    if provider.weight != 1 and strategy not in BY_WEIGHT:
        place.warn((*path, "weight"), f"has no effect with the strategy {strategy!r}")


def _provider_headers(checked: Checked, path: KeyPath, provider: Provider) -> None:
    for name, value in provider.headers.items():
        at = (*path, "headers", name)
        if not _HEADER_NAME.fullmatch(name):
            checked.place.error(at, "expected the name of a header")
        elif name.lower() in _OUR_HEADERS:
            checked.place.error(at, "this header is set by modelmux itself")
        elif not _HEADER_VALUE.fullmatch(value):
            checked.place.error(at, "expected a header's value, without control characters")


def _provider_models(checked: Checked, path: KeyPath, provider: Provider) -> None:
    names: set[str] = set()
    for index, model in enumerate(provider.models):
        at = (*path, "models", index)
        name = model.name if isinstance(model, ProviderModel) else model
        if not name:
            checked.place.error(at, "expected the name of a model, got nothing")
        elif name in names:
            checked.place.error(at, f"the model {name!r} is listed twice")
        names.add(name)
        if isinstance(model, ProviderModel) and model.upstream and _is_glob(name):
            message = f"{name!r} stands for many models, so it has no name of its own upstream"
            checked.place.error((*at, "upstream"), message)


def keys(checked: Checked) -> None:
    """Every key has one secret, which no other has."""
    seen: dict[str, str] = {}
    for index, key in enumerate(checked.config.keys):
        path: KeyPath = ("keys", index)
        if bool(key.secret) == bool(key.sha256):
            message = f"expected secret or sha256, got {'both' if key.secret else 'neither'}"
            checked.place.error(path, message)
            continue
        if key.sha256 and not _SHA256.fullmatch(key.sha256):
            checked.place.error((*path, "sha256"), "expected 64 hexadecimal digits")
        digest = key.sha256.lower() or hashlib.sha256(key.secret.encode()).hexdigest()
        if digest in seen:
            checked.place.error(path, f"has the same secret as the key {seen[digest]!r}")
        seen.setdefault(digest, key.name)
        if 0 < len(key.secret) < _SHORT_SECRET:
            message = f"shorter than {_SHORT_SECRET} characters: easy to guess"
            checked.place.warn((*path, "secret"), message)


Leads = Mapping[str, Sequence[str]]
"""Where the names of `[[models]]` lead."""


def models(checked: Checked) -> None:
    """Every model leads to a target there is, and none to itself."""
    config = checked.config
    leads = leads_of(config)
    for index, model in enumerate(config.models):
        path: KeyPath = ("models", index)
        if not model.targets:
            checked.place.error((*path, "targets"), "expected at least one target")
        for at, target in enumerate(model.target_names):
            check_target(checked, leads, (*path, "targets", at), target)
        for at, target in enumerate(model.fallback):
            check_target(checked, leads, (*path, "fallback", at), target)
        if ring := _ring(leads, model.name):
            message = f"leads back to itself: {' → '.join(ring)}"
            hint = "write provider/model where a provider's model is meant"
            checked.place.error((*path, "targets"), message, hint)
    if config.routing.default:
        check_target(checked, leads, ("routing", "default"), config.routing.default)


def leads_of(config: Config) -> Leads:
    """Where the names of `[[models]]` lead."""
    return {model.name: _leads_to(model) for model in config.models}


def check_target(checked: Checked, leads: Leads, path: KeyPath, target: str) -> None:
    """Tell if `target` is nobody; `leads` are those of the configuration."""
    config = checked.config
    if not target:
        checked.place.error(path, "expected a target, got nothing")
        return
    head, slash, rest = target.partition("/")
    owners = provider_names(config)
    if target in leads or (slash and rest and head in owners):
        return
    offers = list(_offers(config))
    if any(fnmatchcase(target, offer) for offer in offers):
        return
    if not slash and any(not provider.models for provider in config.providers):
        return  # the catalogue may know it
    known = [*leads, *offers]
    if slash and not did_you_mean(target, known):
        near = did_you_mean(head, owners)
        hint = f"providers are: {', '.join(owners)}"
        checked.place.error(path, f"{target!r}: there is no such provider{near}", hint)
    else:
        checked.place.error(path, f"nobody offers {target!r}{did_you_mean(target, known)}")


def provider_names(config: Config) -> list[str]:
    """Every provider there is."""
    names = [provider.name for provider in config.providers]
    return [*names, *([vertex.NAME] if vertex.is_used(config.vertex) else []), BUILT_IN]


def _offers(config: Config) -> Iterator[str]:
    for provider in config.providers:
        for model in provider.models:
            yield model.name if isinstance(model, ProviderModel) else model
    if vertex.is_used(config.vertex):
        yield from (name for _, name in vertex.names(config.vertex))


def _ring(leads: Leads, name: str) -> list[str]:
    """The way from a model back to itself, if there is one."""
    trail: list[tuple[str, list[str]]] = [(name, [name])]
    seen: set[str] = set()
    while trail:
        here, way = trail.pop()
        for target in leads.get(here, ()):
            if target == name:
                return [*way, name]
            if target not in seen:
                seen.add(target)
                trail.append((target, [*way, target]))
    return []


def _leads_to(model: Model) -> tuple[str, ...]:
    """Everybody whom a model names."""
    said = model.fallback_for
    special = (*said.context_length, *said.content_policy, *said.capability)
    mirrors = (each if isinstance(each, str) else each.target for each in model.mirror)
    return (*model.target_names, *model.fallback, *special, *mirrors)


def _is_glob(name: str) -> bool:
    return any(mark in name for mark in "*?[")


NAME_RULES: tuple[Rule, ...] = (unique_names, providers, keys, models)
