"""What there is to use when no configuration names a provider."""

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from msgspec import Struct

from modelmux.config.origin import Branch, Items, Leaf, Node, Origin

Probe = Callable[[str, int], bool]
"""Whether something listens on a host and port; must answer quickly."""


class ProviderType(Struct, frozen=True):
    """What loading has to know of a row of the provider catalogue."""

    env: Mapping[str, Sequence[str]] = {}
    """Keys of `[[providers]]`, each with the variables that usually hold it, the first that is
    set winning. Where all are set, the provider is used without a configuration."""
    base_url: str = ""
    """Where its API is, unless the configuration says."""
    needs_key: bool = True
    discover: bool = False
    """Used without a configuration where something listens at `base_url`."""


ProviderTypes = Mapping[str, ProviderType]
"""Every provider type there is, by name."""

OLLAMA = "ollama"
_OLLAMA_PORT = 11434
_VERTEX = "vertex"
# What modelmux-rs read.
_VERTEX_VARIABLES = {
    "project": "VERTEX_PROJECT",
    "region": "VERTEX_REGION",
    "location": "VERTEX_LOCATION",
    "publisher": "VERTEX_PUBLISHER",
    "model": "VERTEX_MODEL_ID",
}
_VERTEX_NEEDED = ("project", "region", "model")
_VERTEX_URL = "LLM_URL"


def discover(environ: Mapping[str, str], types: ProviderTypes, probe: Probe) -> Branch:
    """A layer with the providers whose usual variables are set, and those that listen here.

    Args:
        environ: The environment.
        types: What there is.
        probe: Asked for those that need no key.
    """
    providers: list[Node] = []
    children: dict[str, Node] = {}
    legacy = _vertex(environ) if _VERTEX in types else None
    if legacy is not None:
        children["vertex"] = legacy
    for name, row in types.items():
        if name == _VERTEX and legacy is not None:
            continue
        found = _from_variables(name, row, environ)
        if found is None and row.discover:
            found = _listening(name, row, environ, probe)
        if found is not None:
            providers.append(found)
    if providers:
        children["providers"] = Items(providers, Origin("discovered"))
    return Branch(children, Origin("discovered"))


def _from_variables(name: str, row: ProviderType, environ: Mapping[str, str]) -> Branch | None:
    said: dict[str, Node] = {}
    for key, variables in row.env.items():
        found = next((variable for variable in variables if environ.get(variable)), None)
        if found is None:
            return None
        said[key] = Leaf(environ[found], _by(found), variables=(found,))
    return _provider(name, next(iter(said.values())).origin, said) if said else None


def _listening(
    name: str, row: ProviderType, environ: Mapping[str, str], probe: Probe
) -> Branch | None:
    url = urlsplit(row.base_url)
    scheme, host, port = url.scheme, url.hostname or "", url.port or 80
    more: dict[str, Node] = {}
    if name == OLLAMA and environ.get("OLLAMA_HOST"):
        scheme, host, port = ollama_address(environ["OLLAMA_HOST"])
        shown = f"[{host}]" if ":" in host else host
        more["base_url"] = Leaf(f"{scheme}://{shown}:{port}", _by("OLLAMA_HOST"))
    return _provider(name, _by(f"{host}:{port}"), more) if probe(host, port) else None


def _by(variable: str) -> Origin:
    return Origin("discovered", variable)


def _provider(name: str, origin: Origin, more: Mapping[str, Node]) -> Branch:
    return Branch({"name": Leaf(name, origin), "type": Leaf(name, origin), **more}, origin)


def ollama_address(text: str) -> tuple[str, str, int]:
    """Scheme, host and port that `$OLLAMA_HOST` means, for a client on the same machine.

    It is written `HOST`, `HOST:PORT`, `:PORT` or as a URL; a server's "every interface" is
    reached on loopback. github.com/ollama/ollama/blob/main/envconfig/config.go, as of 2026-11.
    """
    scheme, separator, rest = text.strip().strip("\"'").partition("://")
    if not separator:
        scheme, rest = "http", scheme
    rest = rest.partition("/")[0]
    if rest.startswith("["):
        host, _, port_text = rest[1:].partition("]")
        port_text = port_text.removeprefix(":")
    elif rest.count(":") > 1:
        host, port_text = rest, ""
    else:
        host, _, port_text = rest.partition(":")
    standard = {"http": 80, "https": 443}.get(scheme, _OLLAMA_PORT) if separator else _OLLAMA_PORT
    port = int(port_text) if port_text.isascii() and port_text.isdigit() else standard
    if host in {"", "0.0.0.0", "::"}:  # noqa: S104  # it is replaced, not listened on
        host = "127.0.0.1"
    return scheme, host, port if port <= 65535 else standard


def _vertex(environ: Mapping[str, str]) -> Branch | None:
    """What modelmux-rs read from the environment, if it is enough for a model."""
    said = {key: name for key, name in _VERTEX_VARIABLES.items() if environ.get(name)}
    if "aiplatform" in environ.get(_VERTEX_URL, ""):
        said = {"url": _VERTEX_URL}
    elif any(key not in said for key in _VERTEX_NEEDED):
        return None
    children = {key: Leaf(environ[name], _by(name)) for key, name in said.items()}
    return Branch(children, Origin("discovered"))
