"""Rules about the cache: it has a place, and its conditions can be evaluated."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from modelmux.config.check import Checked, Rule
from modelmux.config.origin import KeyPath
from modelmux.config.schema_cache import CacheRule
from modelmux.target.rules import ExpressionError, compile_condition

_SCHEMES = frozenset({"redis", "rediss", "unix"})


def cache(checked: Checked) -> None:
    """The cache has a place to keep answers in, and rules that say something."""
    said, place = checked.config.cache, checked.place
    if said.backend == "redis":
        problem = _url_problem(said.url)
        if problem:
            place.error(("cache", "url"), problem, "redis://HOST:6379/0, rediss://…, unix:///PATH")
    elif said.url:
        place.warn(("cache", "url"), 'has no effect with backend = "memory"')
    if said.scope == "team" and not any("team" in key.tags for key in checked.config.keys):
        place.warn(("cache", "scope"), "no key has the tag `team`: each has answers of its own")
    _rules(checked, said.rules)


def _rules(checked: Checked, rules: Sequence[CacheRule]) -> None:
    for index, rule in enumerate(rules):
        path: KeyPath = ("cache", "rules", index)
        if bool(rule.cache_if) == bool(rule.skip_if):
            checked.place.error(path, "expected either cache_if or skip_if")
        if rule.ttl_seconds is not None and rule.skip_if:
            checked.place.warn((*path, "ttl_seconds"), "has no effect with skip_if")
        for key, text in (("cache_if", rule.cache_if), ("skip_if", rule.skip_if)):
            if not text:
                continue
            try:
                compile_condition(text)
            except ExpressionError as exc:
                checked.place.error((*path, key), exc.message, exc.hint)


def _url_problem(text: str) -> str:
    """Why a text is no URL of a server; empty if it is one. Does not quote it."""
    if not text:
        return "required: where is the server?"
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        return "expected a URL"
    if url.scheme not in _SCHEMES or not (url.hostname or url.path.strip("/")):
        return "expected a URL of a server with Redis's protocol"
    return ""


CACHE_RULES: tuple[Rule, ...] = (cache,)
