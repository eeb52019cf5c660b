"""Where a provider's operations are: request heads, made once and kept as bytes."""

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote

from msgspec.structs import replace

from modelmux import __version__
from modelmux.errors import ConfigError
from modelmux.provider import headers
from modelmux.provider.catalog import ProviderRow, WireRow
from modelmux.target.passage import Passage
from modelmux.transport import origin
from modelmux.transport.origin import Origin

MAX_HEADS: Final = 512
"""Most heads kept for models whose names are in the path; beyond, all are made anew."""

_VERSION: Final = re.compile(r"/v\d+(?:(?:alpha|beta)\d*)?(?:/|$)")
_STREAM: Final = ".stream"
_MODEL: Final = "{model}"
_PATH_SAFE: Final = "/%:@!$&'()*+,;="
"""What may stand in a path as it is, beside letters and digits. RFC 3986, 3.3."""


class Endpoint:
    """The operations of one provider as request heads, without a credential. May be shared."""

    def __init__(
        self,
        row: ProviderRow,
        *,
        base_url: str = "",
        extra_headers: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Make every head that does not depend on the model.

        Args:
            row: What the catalogue says of the provider.
            base_url: Where its API is, with or without the version segment, and also with an
                operation's path behind it; empty: what the catalogue says.
            extra_headers: Header fields of the configuration; they win over the catalogue's.
            settings: What paths, and the catalogue's URL, have in braces beside the model
                (`project`, `location`, `region`, …).

        Raises:
            ConfigError: The URL cannot be used, a header field is none, or a setting is missing.
        """
        settings = settings or {}
        self.origin: Origin = _place(row, base_url or _filled(row.base_url, settings))
        self._prefix = self.origin.path
        own = {"user-agent": f"modelmux/{__version__}"}
        self._typeless = headers.block(own, row.headers, extra_headers or {})
        typed = {"content-type": "application/json", **own}
        self.fields = headers.block(typed, row.headers, extra_headers or {})
        self._paths: dict[tuple[str, str], str] = {}
        self._heads: dict[tuple[str, str, bool], bytes] = {}
        self._templates: dict[tuple[str, str, bool], str] = {}
        self._by_model: dict[tuple[str, str, bool, str], bytes] = {}
        for wire in row.wires:
            self._add(wire, settings)

    @property
    def has_models_in_paths(self) -> bool:
        """Every operation is at a path of the model's own."""
        return not self._heads

    def offers(self, wire: str, operation: str) -> bool:
        """Whether the provider has the operation on that wire."""
        key = (wire, operation, False)
        return key in self._heads or key in self._templates

    def names_model(self, wire: str, operation: str) -> bool:
        """Whether the model's name is in the path, and so not in the body."""
        return (wire, operation, False) in self._templates

    def head(self, wire: str, operation: str, *, stream: bool = False, model: str = "") -> bytes:
        """Request line and header fields, each ended by CRLF, to be followed by a credential's.

        Args:
            wire: Name of the wire.
            operation: Name of the operation, which the provider `offers`.
            stream: The answer is to come piece by piece.
            model: The provider's name for the model.

        Raises:
            KeyError: The provider does not offer the operation.
        """
        key = (wire, operation, stream)
        head = self._heads.get(key)
        if head is not None:
            return head
        head = self._by_model.get((*key, model))
        if head is None:
            # Not `/` nor `:`, with which a name could reach another path or verb.
            path = self._templates[key].replace(_MODEL, quote(model, safe="@"))
            head = self._head(path)
            if len(self._by_model) >= MAX_HEADS:
                self._by_model.clear()
            self._by_model[*key, model] = head
        return head

    def passing(self, wire: str, operation: str, passage: Passage, model: str = "") -> bytes:
        """The head for a request that is passed on as it came. Raises as `head` does."""
        path = self._paths[wire, operation].replace(_MODEL, quote(model, safe="@"))
        target = path + quote(passage.path, safe=_PATH_SAFE)
        if passage.query:
            target += f"?{passage.query}"
        line = f"{passage.method} {target} HTTP/1.1\r\nhost: {self.origin.authority}\r\n"
        if passage.content_type:
            line += f"content-type: {passage.content_type}\r\n"
        return line.encode("latin-1") + self._typeless

    def _add(self, wire: WireRow, settings: Mapping[str, str]) -> None:
        for operation, template in wire.paths.items():
            if operation.endswith(_STREAM):
                continue
            for stream in (False, True):
                own = wire.paths.get(operation + _STREAM) if stream else None
                path = _resolved(self._prefix + _filled(own or template, settings))
                key = (wire.wire, operation, stream)
                if not stream:
                    self._paths[wire.wire, operation] = path
                if _MODEL in path:
                    self._templates[key] = path
                else:
                    self._heads[key] = self._head(path)

    def _head(self, path: str) -> bytes:
        line = f"POST {path} HTTP/1.1\r\nhost: {self.origin.authority}\r\n"
        return line.encode("ascii") + self.fields


def _resolved(path: str) -> str:
    """`path` with `..` taken for the segment before it: an operation may be beside the version."""
    return posixpath.normpath(path) if "/../" in path else path


def _filled(template: str, settings: Mapping[str, str]) -> str:
    """`template` with every setting in its place; `{model}` stays."""
    path = template
    for name in re.findall(r"\{(\w+)\}", template):
        if "{" + name + "}" == _MODEL:
            continue
        value = settings.get(name, "")
        if not value:
            raise ConfigError(f"{name} is not set", hint=f"the provider's URL is made of {name}")
        path = path.replace("{" + name + "}", quote(value, safe="@:"))
    return path


def _place(row: ProviderRow, base_url: str) -> Origin:
    """Origin of a base URL, its path being what stands before every operation's."""
    if not base_url:
        raise ConfigError(
            f"a provider of type {row.type!r} has no URL of its own",
            hint="set base_url, with or without /v1",
        )
    place = origin.parse(base_url)
    path = quote(place.path, safe=_PATH_SAFE)
    for known in _fixed_paths(row.wires):
        if path.endswith(known):
            # The whole URL of an operation: what stands before its path is meant as it is.
            return replace(place, path=path.removesuffix(known))
    if row.version and _VERSION.search(path) is None:
        path = f"{path}/{row.version}"
    return replace(place, path=path)


def _fixed_paths(wires: Iterable[WireRow]) -> list[str]:
    paths = [path for wire in wires for path in wire.paths.values() if "{" not in path]
    return sorted(paths, key=len, reverse=True)
