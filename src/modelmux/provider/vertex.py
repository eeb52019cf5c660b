"""Claude and Gemini on Google Cloud (Vertex AI): where a model is, from what is said of it.

A URL is made of project, region, location, publisher and model, or given whole. Everything that
is not in the URL is a row of the catalogue.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from modelmux.errors import ConfigError
from modelmux.provider.catalog import ProviderRow
from modelmux.provider.endpoint import Endpoint

_PUBLISHER: Final = "anthropic"
_GOOGLE: Final = "google"
_GEMINI: Final = "gemini"
"""How the names of Google's own models begin."""
_MULTI_REGIONS: Final = frozenset({"us", "eu"})
_REGION: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_DATE: Final = re.compile(r"-(\d{8})$")
_VERB: Final = re.compile(
    r":(?:streamRawPredict|rawPredict|generateContent|streamGenerateContent(?:\?.*)?)$"
)
_URL: Final = re.compile(
    r"(?P<base>.+?)"
    r"(?:/projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)"
    r"/publishers/(?P<publisher>[^/]+))?"
    r"/models/(?P<model>[^/]+)"
)
_PARTS: Final = ("project", "location", "publisher")
_MODELS: Final = "/models/"


class Settings(Struct, frozen=True, kw_only=True):
    """What a configuration says of one model, or of all. Empty: nothing."""

    project: str = ""
    region: str = ""
    """Which region serves it, and so which host. Empty: `location`."""
    location: str = ""
    """Location in the resource's path. Empty: `region`."""
    publisher: str = ""
    model: str = ""
    """Google's id of the model; Anthropic's spelling of its date is understood too."""
    url: str = ""
    """The whole resource in place of the fields above. A verb at its end does not count."""


NOTHING: Final = Settings()


class Place(Struct, frozen=True):
    """Where a model is."""

    base_url: str
    """What stands before the operations' paths."""
    model: str
    """The model's name in the path."""
    parts: Mapping[str, str]
    """Project, location and publisher, for the paths; empty where `base_url` has them."""
    is_whole: bool
    """A URL was given: nothing is to be added to `base_url`."""

    @property
    def row(self) -> str:
        """The type of the catalogue's row for the model: its publisher decides the API."""
        publisher = self.parts.get("publisher") or _publisher(self.model)
        return "vertex_gemini" if publisher == _GOOGLE else "vertex"


def _publisher(model: str) -> str:
    """Whose a model is, where nobody says."""
    return _GOOGLE if model.startswith(_GEMINI) else _PUBLISHER


def model_id(name: str) -> str:
    """Google's spelling of a Claude model's name: `@20251001`, where Anthropic's is `-20251001`.

    https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai, read 2026-11-20
    """
    return _DATE.sub(r"@\1", name)


def display_name(settings: Settings) -> str:
    """What callers call a model that was given no name: its id, up to `@`."""
    model = settings.model or _VERB.sub("", settings.url).rpartition("/")[2]
    return unquote(model).partition("@")[0]


def base_url(region: str) -> str:
    """Where a region is served from; case does not matter.

    `global` is none in particular, `us` and `eu` are several each, and have hosts of their own
    kind. As Anthropic's SDK has it, in `lib/vertex/_client.py`:
    https://github.com/anthropics/anthropic-sdk-python, read 2026-11-20

    Raises:
        ConfigError: `region` cannot be part of a host's name.
    """
    name = region.lower()
    if name == "global":
        return "https://aiplatform.googleapis.com/v1"
    if _REGION.fullmatch(name) is None:
        raise ConfigError(
            f"{region!r} is no region of Google Cloud",
            hint="such as global, us, eu, us-east5 or europe-west1",
        )
    if name in _MULTI_REGIONS:
        return f"https://aiplatform.{name}.rep.googleapis.com/v1"
    return f"https://{name}-aiplatform.googleapis.com/v1"


def place(settings: Settings, parent: Settings = NOTHING) -> Place:
    """Where a model is.

    A region that is said without a location is the location too, and the other way round, before
    anything is taken from `parent`: one without the other would point at two places.

    Args:
        settings: What is said of the model. Its `url` is used as it is, whatever else is said.
        parent: What is said of all models, for what `settings` leave out; also what its `url`
            is made of.

    Raises:
        ConfigError: The URL is not a model's, or a part of it is missing and nothing says it.
    """
    if settings.url:
        return _taken_apart(settings.url)
    outer = _taken_apart(parent.url) if parent.url else Place("", "", {}, is_whole=False)
    model = model_id(_said("model", settings.model, parent.model, outer.model))
    project = settings.project or parent.project or outer.parts.get("project", "")
    if not project and outer.base_url:
        # Not Google's kind of URL: whatever stands before the model is meant as it is.
        return replace(outer, model=model)
    region = settings.region or settings.location or parent.region or parent.location
    location = settings.location or settings.region or parent.location or parent.region
    publisher = settings.publisher or parent.publisher or outer.parts.get("publisher", "")
    return Place(
        base_url=base_url(region) if region else _said("region", outer.base_url),
        model=model,
        parts={
            "project": _said("project", project),
            "location": (location or outer.parts.get("location", "")).lower(),
            "publisher": publisher or _publisher(model),
        },
        is_whole=not region,
    )


def _said(name: str, *values: str) -> str:
    """The first of `values` that is not empty."""
    for value in values:
        if value:
            return value
    raise ConfigError(
        f"vertex: {name} is not set",
        hint=f"set {name} for the model or in [vertex], or write the model's whole url",
    )


def _taken_apart(url: str) -> Place:
    found = _URL.fullmatch(_VERB.sub("", url.strip()))
    if found is None:
        raise ConfigError(
            "vertex: the url does not end in a model",
            hint="https://HOST/v1/projects/P/locations/L/publishers/anthropic/models/MODEL",
        )
    parts = {name: unquote(found[name]) for name in _PARTS if found[name]}
    return Place(found["base"], unquote(found["model"]), parts, is_whole=True)


def endpoint(
    row: ProviderRow, where: Place, *, extra_headers: Mapping[str, str] | None = None
) -> Endpoint:
    """The operations at a place.

    Args:
        row: The catalogue's row for the place.
        where: The place.
        extra_headers: Header fields of the configuration.

    Raises:
        ConfigError: The URL cannot be used, or a header field is none.
    """
    if where.is_whole:
        row = replace(row, version="")
    if not where.parts:
        wires = tuple(
            replace(wire, paths={name: _from_models(path) for name, path in wire.paths.items()})
            for wire in row.wires
        )
        row = replace(row, wires=wires)
    return Endpoint(row, base_url=where.base_url, extra_headers=extra_headers, settings=where.parts)


def _from_models(path: str) -> str:
    return path[path.index(_MODELS) :]
